/**
 * What is remembered between two runs, in one small SQLite file: how far the standby is, which accounts the first comparison
 * has done, and what is held. Without it, or where it is of another journal or another standby, everything is compared anew, and what was held
 * is told by what the standby serves (`not-passed.ts`); so it is written now and then, and a loss of its last second costs a second's work.
 *
 *   meta     journal_id, target (name, host and port), schema, applied_lsn, fill_lsn (while the first comparison is under way)
 *   filled   accounts that this comparison has done
 *   held     account, at_lsn, removed, of_messages, since; released = 1: on its way to the standby
 *   passed   account, lsn: bursts up to it were accepted, or lost nothing
 *   apart    accounts that are not as of applied_lsn: they failed, or wait for the journal. filled = 0: the first comparison has not done them
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Lsn } from '../../../journal/index.ts';
import type { HeldBurst } from './types.ts';

/** A file of another one is begun anew. */
const SCHEMA = '2';

export interface MemoryKey {
  readonly journalId: string;
  /** Name, host and port of the standby. */
  readonly target: string;
}

export interface Remembered {
  /** Every commit up to it is on the standby, but for what is held, and for accounts apart. Absent while the first comparison is under way. */
  readonly appliedLsn?: Lsn;
  /** The first comparison is under way: what it has done is as of this LSN or later. */
  readonly fillLsn?: Lsn;
  readonly filled: ReadonlySet<string>;
  readonly held: readonly (HeldBurst & { readonly released: boolean })[];
  readonly passed: ReadonlyMap<string, Lsn>;
  /** How far they are is not known: they are compared as a whole. */
  readonly apart: readonly AccountApart[];
}

export interface AccountApart {
  readonly account: string;
  /** False: nothing is known of what the standby has of it, nor which bursts it has had. */
  readonly filled: boolean;
}

export class WarmMemory {
  readonly #db: DatabaseSync;

  /** What was remembered of another journal or standby, and a file that cannot be read, is dropped. */
  static open(file: string, key: MemoryKey): WarmMemory {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    try {
      return new WarmMemory(file, key);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
      return new WarmMemory(file, key);
    }
  }

  /** What is remembered of this journal and standby, beside who writes it; undefined when nothing is, or it cannot be read. */
  static peek(file: string, key: MemoryKey): Remembered | undefined {
    if (!existsSync(file)) return undefined;
    const db = new DatabaseSync(file, { timeout: 5_000 });
    try {
      return isOf(db, key) ? readAll(db) : undefined;
    } catch (error) {
      if (isUnreadable(error)) return undefined;
      throw error;
    } finally {
      db.close();
    }
  }

  private constructor(file: string, key: MemoryKey) {
    this.#db = new DatabaseSync(file, { timeout: 5_000 });
    try {
      this.#db.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS filled (account TEXT PRIMARY KEY) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS held (account TEXT PRIMARY KEY, at_lsn, removed, of_messages, since, released) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS passed (account TEXT PRIMARY KEY, lsn) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS apart (account TEXT PRIMARY KEY, filled) WITHOUT ROWID;`,
      );
      if (isOf(this.#db, key)) return;
      this.#transaction(() => {
        for (const table of ['meta', 'filled', 'held', 'passed', 'apart']) {
          this.#db.exec(`DELETE FROM ${table}`);
        }
        for (const [name, value] of keyRows(key)) this.#setMeta(name, value);
      });
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  read(): Remembered {
    return readAll(this.#db);
  }

  beginFill(lsn: Lsn): void {
    this.#transaction(() => {
      this.#db.exec(`DELETE FROM filled; DELETE FROM apart; DELETE FROM meta WHERE key = 'applied_lsn'`);
      this.#setMeta('fill_lsn', lsn);
    });
  }

  filled(accounts: readonly string[]): void {
    this.#transaction(() => {
      const insert = this.#db.prepare('INSERT OR IGNORE INTO filled (account) VALUES (?)');
      for (const account of accounts) insert.run(account);
    });
  }

  /** The first comparison is over. `apart`: all accounts that are not as of `lsn`. */
  applied(lsn: Lsn, apart: readonly AccountApart[] = []): void {
    this.#transaction(() => {
      this.#setMeta('applied_lsn', lsn);
      this.#db.exec(`DELETE FROM filled; DELETE FROM apart; DELETE FROM meta WHERE key = 'fill_lsn'`);
      const insert = this.#db.prepare('INSERT INTO apart (account, filled) VALUES (?, ?)');
      for (const { account, filled } of apart) insert.run(account, filled ? 1 : 0);
      this.#db.prepare('DELETE FROM passed WHERE lsn < ?').run(lsn);
    });
  }

  hold({ account, at, removed, of, since }: HeldBurst): void {
    this.#db
      .prepare(
        `INSERT OR REPLACE INTO held (account, at_lsn, removed, of_messages, since, released)
         VALUES (?, ?, ?, ?, ?, 0)`,
      )
      .run(account, at, removed, of, since);
  }

  /** On its way to the standby: what is held begins there at the next start too. Bursts up to `passed` are not held again. */
  release(account: string, passed: Lsn): void {
    this.#transaction(() => {
      this.#db.prepare('UPDATE held SET released = 1 WHERE account = ?').run(account);
      this.#db.prepare('INSERT OR REPLACE INTO passed (account, lsn) VALUES (?, ?)').run(account, passed);
    });
  }

  /** What was released is on the standby. */
  arrived(account: string): void {
    this.#db.prepare('DELETE FROM held WHERE account = ? AND released = 1').run(account);
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #setMeta(key: string, value: string | number): void {
    this.#db.prepare('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)').run(key, value);
  }

  #transaction(work: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }
}

/** SQLITE_ERROR (a table is missing), SQLITE_CORRUPT, SQLITE_NOTADB: not what passes, such as a lock or a full disk. */
const UNREADABLE = new Set([1, 11, 26]);

function isUnreadable(error: unknown): boolean {
  const { code, errcode } = error as { code?: string; errcode?: number };
  return code === 'ERR_SQLITE_ERROR' && errcode !== undefined && UNREADABLE.has(errcode & 0xff);
}

function readAll(db: DatabaseSync): Remembered {
  const appliedLsn = meta(db, 'applied_lsn') as Lsn | undefined;
  const fillLsn = meta(db, 'fill_lsn') as Lsn | undefined;
  const rows = (sql: string) => db.prepare(sql).all() as Record<string, string | number>[];
  return {
    ...(appliedLsn === undefined ? {} : { appliedLsn }),
    ...(fillLsn === undefined ? {} : { fillLsn }),
    filled: new Set(rows('SELECT account FROM filled').map(({ account }) => account as string)),
    held: rows('SELECT * FROM held ORDER BY at_lsn').map((row) => ({
      account: row['account'] as string,
      at: row['at_lsn'] as Lsn,
      removed: row['removed'] as number,
      of: row['of_messages'] as number,
      since: row['since'] as number,
      before: `lsn:${row['at_lsn']}`,
      released: row['released'] === 1,
    })),
    passed: new Map(
      rows('SELECT account, lsn FROM passed').map(({ account, lsn }) => [account as string, lsn as Lsn]),
    ),
    apart: rows('SELECT account, filled FROM apart').map(({ account, filled }) => ({
      account: account as string,
      filled: filled === 1,
    })),
  };
}

function isOf(db: DatabaseSync, key: MemoryKey): boolean {
  return keyRows(key).every(([name, value]) => meta(db, name) === value);
}

function keyRows({ journalId, target }: MemoryKey): [string, string][] {
  return Object.entries({ schema: SCHEMA, journal_id: journalId, target });
}

function meta(db: DatabaseSync, key: string): unknown {
  return db.prepare('SELECT value FROM meta WHERE key = ?').get(key)?.['value'] ?? undefined;
}
