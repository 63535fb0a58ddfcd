/**
 * What the front doors keep in `<dataDir>/doors`, which only its owner can enter:
 *   PAIR.json    the last state, written before it was acted on
 *   PAIR.sock    the control socket of a running proxy
 *   PAIR.lock    an exclusive SQLite transaction is held on it while a proxy runs; the system ends it with the process
 *   PAIR.log     what a proxy says that was started in the background
 */
import { readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { makeFolder, messageOf } from '../../lib/index.ts';
import { rehomeErrors } from '../errors.ts';
import type { DoorState } from '../types.ts';

export interface DoorFiles {
  readonly folder: string;
  readonly state: string;
  readonly socket: string;
  readonly lock: string;
  readonly log: string;
}

export function doorFiles(dataDir: string, pair: string): DoorFiles {
  const folder = join(dataDir, 'doors');
  const file = (ending: string) => join(folder, `${pair}.${ending}`);
  return { folder, state: file('json'), socket: file('sock'), lock: file('lock'), log: file('log') };
}

/** May be repeated. Throws the file system's error. */
export function makeDoorsFolder(files: DoorFiles): void {
  makeFolder(files.folder, 0o700);
}

/** The state that was last written down; nothing before the first. @throws REHOME_STATE_DAMAGED */
export function rememberedState(files: DoorFiles): DoorState | undefined {
  let text: string;
  try {
    text = readFileSync(files.state, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw damaged(files, messageOf(error), error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(files, messageOf(error), error);
  }
  const state = doorStateFrom(value);
  if (state === undefined) throw damaged(files, 'it holds no state');
  return state;
}

/** A state from parsed JSON; nothing when it is none. */
export function doorStateFrom(value: unknown): DoorState | undefined {
  const { mode, server } = (value ?? {}) as { mode?: unknown; server?: unknown };
  if (mode === 'closed') return { mode };
  if ((mode === 'open' || mode === 'hold') && typeof server === 'string') return { mode, server };
  return undefined;
}

/** Writes a state down; it survives a loss of power when this resolves. Throws the file system's error; the earlier state is kept then. */
export async function rememberState(files: DoorFiles, state: DoorState): Promise<void> {
  makeDoorsFolder(files);
  const written = `${files.state}.${process.pid}.new`;
  const file = await open(written, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(state)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(written, files.state);
  const folder = await open(files.folder, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Held by the proxy that runs. Gives nothing when another one does. Throws SQLite's other errors. */
export function takeLock(files: DoorFiles): { release(): void } | undefined {
  const db = new DatabaseSync(files.lock);
  try {
    db.exec('BEGIN EXCLUSIVE');
    return { release: () => db.close() };
  } catch (error) {
    db.close();
    if (((error as { errcode?: number }).errcode ?? 0) % 256 === SQLITE_BUSY) return undefined;
    throw error;
  }
}

const SQLITE_BUSY = 5;

function damaged(files: DoorFiles, why: string, cause?: unknown) {
  return rehomeErrors.make('REHOME_STATE_DAMAGED', `cannot read ${files.state}: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
    details: { file: files.state },
  });
}
