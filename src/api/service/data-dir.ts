/**
 * What a service keeps in the data folder beside the vaults:
 *   service.sqlite   an exclusive transaction is held on it while a service runs; the operating system lets go of it
 *                    with the process, so nothing has to be cleaned up after a kill
 *   service.json     where the service answers, for the command line; only believed while something answers there
 *   api-token        the bearer token of the HTTP interface, readable by its owner only
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { makeFolder, messageOf } from '../../lib/index.ts';
import { apiErrors } from '../errors.ts';

export interface ServiceNote {
  readonly pid: number;
  readonly url: string;
}

/** Room for any address. */
const NOTE_BYTES = 1_024;
const RESERVED = 'service.json.reserved';

/** Holds the data folder for one service. */
export class DataDir {
  readonly #db: DatabaseSync;
  readonly #dir: string;

  private constructor(db: DatabaseSync, dir: string) {
    this.#db = db;
    this.#dir = dir;
  }

  /** @throws API_SERVICE_RUNNING, API_DATA_DIR_UNUSABLE */
  static take(dir: string): DataDir {
    let db: DatabaseSync | undefined;
    try {
      makeFolder(dir, 0o700);
      db = new DatabaseSync(join(dir, 'service.sqlite'));
      db.exec('BEGIN EXCLUSIVE');
      // The place for `announce` is taken now: the vaults may have filled the disk by then.
      writeFileSync(join(dir, RESERVED), ' '.repeat(NOTE_BYTES), { mode: 0o644 });
      return new DataDir(db, dir);
    } catch (error) {
      db?.close();
      if (isBusy(error)) {
        const note = serviceNote(dir);
        const who = note === undefined ? 'another service' : `process ${note.pid}, answering at ${note.url}`;
        throw apiErrors.make('API_SERVICE_RUNNING', `the data folder ${dir} is in use by ${who}`, {
          details: { dataDir: dir, ...note },
        });
      }
      throw apiErrors.make(
        'API_DATA_DIR_UNUSABLE',
        `cannot use the data folder ${dir}: ${messageOf(error)}`,
        {
          cause: error,
          details: { dataDir: dir },
        },
      );
    }
  }

  /** Says where this service answers. */
  announce(url: string): void {
    const note: ServiceNote = { pid: process.pid, url };
    const reserved = join(this.#dir, RESERVED);
    writeFileSync(reserved, `${JSON.stringify(note)}\n`.padEnd(NOTE_BYTES), { flag: 'r+' });
    renameSync(reserved, join(this.#dir, 'service.json'));
  }

  /** The token of this folder's services; made at first use and kept. */
  token(): string {
    const file = join(this.#dir, 'api-token');
    if (!existsSync(file)) {
      writeFileSync(file, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
    }
    return readFileSync(file, 'utf8').trim();
  }

  release(): void {
    if (!this.#db.isOpen) return;
    for (const file of ['service.json', RESERVED]) rmSync(join(this.#dir, file), { force: true });
    this.#db.close();
  }
}

/** What the last service said about itself, if it is still there to read. */
export function serviceNote(dataDir: string): ServiceNote | undefined {
  try {
    return JSON.parse(readFileSync(join(dataDir, 'service.json'), 'utf8')) as ServiceNote;
  } catch {
    // Absent, or half written by a service that died: either way no service says where it is.
    return undefined;
  }
}

function isBusy(error: unknown): boolean {
  return ((error as { errcode?: number }).errcode ?? 0) % 256 === 5;
}
