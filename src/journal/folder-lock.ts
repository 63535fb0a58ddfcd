/**
 * One writer at a time in a folder: a transaction held open, exclusively, on its `lock.sqlite`. The operating system lets go of it
 * with the process, so after `kill -9` nothing has to be cleaned up. `lock.json` beside it says who holds it; it
 * is only read when the lock is taken, so a stale one misleads nobody.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { makeFolder } from '../lib/index.ts';

export interface LockHolder {
  readonly pid: number;
  /** RFC 3339. */
  readonly started: string;
}

/**
 * Why a lock was not given. held: somebody has it, whose note may be missing; full: the disk is full or failing;
 * unwritable: the folder cannot be made or written to.
 */
export type LockRefusal =
  | { readonly reason: 'held'; readonly holder?: LockHolder }
  | { readonly reason: 'full' | 'unwritable'; readonly cause: unknown };

export class FolderLock {
  readonly #db: DatabaseSync;
  readonly #noteFile: string;

  private constructor(db: DatabaseSync, noteFile: string) {
    this.#db = db;
    this.#noteFile = noteFile;
  }

  /** Makes the folder if need be and takes the lock at once or not at all: then `refused` is called for the error to throw. */
  static take(dir: string, nowMs: number, refused: (refusal: LockRefusal) => Error): FolderLock {
    const noteFile = join(dir, 'lock.json');
    let db: DatabaseSync | undefined;
    try {
      makeFolder(dir, 0o700);
      db = new DatabaseSync(join(dir, 'lock.sqlite'), { timeout: probeMs });
      db.exec('BEGIN EXCLUSIVE');
      const note: LockHolder = { pid: process.pid, started: new Date(nowMs).toISOString() };
      writeFileSync(noteFile, JSON.stringify(note));
      return new FolderLock(db, noteFile);
    } catch (error) {
      db?.close();
      if (isBusy(error)) throw refused(heldBy(noteFile));
      throw refused({ reason: isFull(error) ? 'full' : 'unwritable', cause: error });
    }
  }

  /** Whether a writer holds the lock now. Takes nothing, writes nothing. */
  static isHeld(dir: string): boolean {
    const file = join(dir, 'lock.sqlite');
    if (!existsSync(file)) return false;
    const db = new DatabaseSync(file, { readOnly: true, timeout: 0 });
    try {
      db.prepare('SELECT 1 FROM sqlite_schema').get();
      return false;
    } catch (error) {
      if (isBusy(error)) return true;
      throw error;
    } finally {
      db.close();
    }
  }

  release(): void {
    if (!this.#db.isOpen) return;
    rmSync(this.#noteFile, { force: true });
    this.#db.close();
  }
}

const SQLITE_BUSY = 5;
const SQLITE_IOERR = 10;
const SQLITE_FULL = 13;
/** Longer than `isHeld` of another process needs, so that a look is not taken for a holder. */
const probeMs = 250;

function isFull(error: unknown): boolean {
  const { code, errcode = 0 } = error as { code?: string; errcode?: number };
  return code === 'ENOSPC' || errcode % 256 === SQLITE_FULL || errcode % 256 === SQLITE_IOERR;
}

function isBusy(error: unknown): boolean {
  return ((error as { errcode?: number }).errcode ?? 0) % 256 === SQLITE_BUSY;
}

function heldBy(noteFile: string): LockRefusal {
  try {
    return { reason: 'held', holder: JSON.parse(readFileSync(noteFile, 'utf8')) as LockHolder };
  } catch {
    // The holder has the lock but has not written its note yet, or the note is gone: the refusal stands without it.
    return { reason: 'held' };
  }
}
