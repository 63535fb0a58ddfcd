import { existsSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { type Catalog, vaultFiles } from '../catalog/index.ts';
import type { BodyRecord, JournalReader, Lsn } from '../journal/index.ts';
import { type Clock, type Log, messageOf, type ProgressListener, silentLog } from '../lib/index.ts';
import { historyErrors } from './errors.ts';
import type { SearchText } from './extract-text.ts';
import { segment } from './search-query.ts';

export interface CatchUpOptions {
  readonly clock: Clock;
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal;
  readonly share?: number;
}

/** What the index asks the catalog of its vault. */
export type IndexedCatalog = Pick<Catalog, 'journalId' | 'lastCommit' | 'commitAtOrAfter'>;

/** Bytes of one body that are looked at; text mostly comes first. */
const bodyBytesMax = 8 << 20;
const batchMessages = 200;
const batchBytes = 8 << 20;
/** Between two rests, where it is to rest: a sleep of less than some milliseconds is no rest. */
const WORK_AT_ONCE_MS = 5;

/**
 * The full-text index of one vault, `search.sqlite`: one row per body, by its LSN. It is filled from the journal, may be behind,
 * and can be deleted at any time. Which messages a body is, and when, the catalog knows. It is never ahead of the catalog, and says by
 * which commit it was as far as it is: a journal that lost its end gives the same LSNs out again.
 *
 * Several processes may fill it at once: each batch starts where the index ends, in a transaction.
 */
export class SearchIndex {
  readonly #db: DatabaseSync;

  /**
   * Opens the index of a vault for filling and searching; makes it when it is missing, damaged, of another journal or version, or has
   * commits that the journal does not have any more.
   */
  static open(dir: string, catalog: IndexedCatalog, log: Log = silentLog): SearchIndex {
    const file = vaultFiles(dir).search;
    try {
      const index = SearchIndex.#try(file, catalog);
      if (index) return index;
      log.info({ file }, 'search index does not fit the journal: building it anew');
    } catch (error) {
      if (!isDamage(error)) throw storageFailed(error, file);
      log.warn({ file, err: error }, 'search index is damaged: building it anew');
    }
    for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
    const index = SearchIndex.#try(file, catalog);
    if (!index) throw historyErrors.make('HISTORY_SEARCH_STORAGE_FAILED', `cannot make search index ${file}`);
    return index;
  }

  /** Opens it for searching alone. Error: HISTORY_SEARCH_NOT_READY. */
  static openReadOnly(dir: string, catalog: IndexedCatalog): SearchIndex {
    const file = vaultFiles(dir).search;
    const notReady = () =>
      historyErrors.make('HISTORY_SEARCH_NOT_READY', `there is no search index in ${dir} yet`);
    if (!existsSync(file)) throw notReady();
    try {
      const db = new DatabaseSync(file, { readOnly: true, timeout: 10_000 });
      if (fits(db, catalog)) return new SearchIndex(db);
      db.close();
    } catch (error) {
      throw storageFailed(error, file);
    }
    throw notReady();
  }

  static #try(file: string, catalog: IndexedCatalog): SearchIndex | undefined {
    const db = new DatabaseSync(file, { timeout: 10_000 });
    try {
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384');
      if (Number(db.prepare('PRAGMA user_version').get()?.user_version) === 0) create(db, catalog.journalId);
      if (fits(db, catalog)) return new SearchIndex(db);
      db.close();
      return undefined;
    } catch (error) {
      db.close();
      throw error;
    }
  }

  private constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** Every body that begins at or before this LSN is in here. */
  get indexedLsn(): Lsn {
    return this.#db.prepare(`SELECT value FROM meta WHERE key = 'indexed_lsn'`).get()?.value as Lsn;
  }

  /**
   * Indexes bodies committed since, in batches of a few MiB, giving way to other work between messages. Ends when it has met
   * the catalog's end as of its start; an abort rejects with the signal's reason and loses at most a batch. May be repeated.
   * `share`: of the time at most, where nobody waits for the index; default 1, without rest.
   */
  async catchUp(
    reader: { readonly journal: JournalReader; readonly catalog: IndexedCatalog },
    options: CatchUpOptions,
  ): Promise<{ readonly indexed: number }> {
    const { clock, onProgress, signal, share = 1 } = options;
    // Its MIME and HTML parsers are loaded here, so that listings and searches do not wait for them.
    const { extractText } = await import('./extract-text.ts');
    // What the journal has beyond it may be cut again: a writer whose sync fails takes it back.
    const endLsn = reader.catalog.lastCommit()?.lsn ?? (0 as Lsn);
    await reader.journal.refresh();
    const startLsn = this.indexedLsn;
    const startMs = clock.monotonicMs();
    let indexed = 0;
    let from = startLsn;
    let batch: { lsn: Lsn; text: SearchText }[] = [];
    let bytes = 0;
    let restedAtMs = startMs;
    const flush = (to: Lsn) => {
      const taken = this.#add(from, to, batch, reader.catalog);
      if (taken) indexed += batch.length;
      batch = [];
      bytes = 0;
      from = to;
      const elapsedMs = clock.monotonicMs() - startMs;
      const etaMs = (elapsedMs / Math.max(1, to - startLsn)) * (endLsn - to);
      onProgress?.({ phase: 'search-index', messagesDone: indexed, elapsedMs, etaMs });
      return taken;
    };
    for await (const body of bodies(reader.journal, (startLsn + 1) as Lsn, endLsn)) {
      signal?.throwIfAborted();
      batch.push({ lsn: body.lsn, text: await extractText(body.data) });
      bytes += body.data.length;
      const workedMs = clock.monotonicMs() - restedAtMs;
      if (share < 1 && workedMs >= WORK_AT_ONCE_MS) {
        await clock.sleep(workedMs / share - workedMs, signal);
        restedAtMs = clock.monotonicMs();
      } else await new Promise<void>((resolve) => setImmediate(resolve));
      if (batch.length < batchMessages && bytes < batchBytes) continue;
      // Another process was faster: go on from where it is.
      if (!flush(body.lastLsn)) return this.catchUp(reader, options);
    }
    if (endLsn > from && !flush(endLsn)) return this.catchUp(reader, options);
    return { indexed };
  }

  #add(
    from: Lsn,
    to: Lsn,
    batch: readonly { lsn: Lsn; text: SearchText }[],
    catalog: IndexedCatalog,
  ): boolean {
    const commit = catalog.commitAtOrAfter(to);
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      if (this.indexedLsn !== from) {
        this.#db.exec('ROLLBACK');
        return false;
      }
      const insert = this.#db.prepare(
        'INSERT INTO mail (rowid, subject, sender, recipients, body) VALUES (?, ?, ?, ?, ?)',
      );
      for (const { lsn, text } of batch) {
        insert.run(lsn, segment(text.subject), segment(text.from), segment(text.to), segment(text.text));
      }
      const set = this.#db.prepare('UPDATE meta SET value = ? WHERE key = ?');
      set.run(to, 'indexed_lsn');
      set.run(commit?.lsn ?? 0, 'commit_lsn');
      set.run(commit?.time ?? 0, 'commit_time');
      this.#db.exec('COMMIT');
      return true;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw storageFailed(error, 'search.sqlite');
    }
  }

  /** LSNs of bodies that match, newest first, below `before`. `query`: from `searchQuery`. */
  *matches(query: string, before: Lsn): Iterable<Lsn> {
    const page = this.#db.prepare(
      'SELECT rowid FROM mail WHERE mail MATCH ? AND rowid < ? ORDER BY rowid DESC LIMIT 500',
    );
    let next = before;
    for (;;) {
      const rows = page.all(query, next);
      for (const row of rows) yield row.rowid as Lsn;
      if (rows.length < 500) return;
      next = rows.at(-1)?.rowid as Lsn;
    }
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }
}

const schemaVersion = 2;

/** Contentless: the text itself is in the journal, once. */
function create(db: DatabaseSync, journalId: string): void {
  db.exec('BEGIN IMMEDIATE');
  if (Number(db.prepare('PRAGMA user_version').get()?.user_version) === 0) {
    db.exec(`CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
      CREATE VIRTUAL TABLE mail USING fts5 (subject, sender, recipients, body, content = '',
        tokenize = 'unicode61 remove_diacritics 2');`);
    const keys = `('journal_id', ?), ('indexed_lsn', 0), ('commit_lsn', 0), ('commit_time', 0)`;
    db.prepare(`INSERT INTO meta (key, value) VALUES ${keys}`).run(journalId);
    db.exec(`PRAGMA user_version = ${schemaVersion}`);
  }
  db.exec('COMMIT');
}

function fits(db: DatabaseSync, catalog: IndexedCatalog): boolean {
  if (Number(db.prepare('PRAGMA user_version').get()?.user_version) !== schemaVersion) return false;
  const rows = db.prepare('SELECT key, value FROM meta').all();
  const meta = new Map(rows.map(({ key, value }) => [key, value]));
  if (meta.get('journal_id') !== catalog.journalId) return false;
  const indexedLsn = meta.get('indexed_lsn') as Lsn;
  if (indexedLsn === 0) return true;
  const commit = catalog.commitAtOrAfter(indexedLsn);
  return commit?.lsn === meta.get('commit_lsn') && commit?.time === meta.get('commit_time');
}

const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

function isDamage(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode ?? 0;
  return code % 256 === SQLITE_CORRUPT || code % 256 === SQLITE_NOTADB;
}

function storageFailed(error: unknown, file: string): Error {
  return historyErrors.make('HISTORY_SEARCH_STORAGE_FAILED', `search index ${file}: ${messageOf(error)}`, {
    cause: error,
  });
}

/** Whole bodies in LSN order; of a large one the beginning. */
async function* bodies(
  journal: JournalReader,
  fromLsn: Lsn,
  toLsn: Lsn,
): AsyncGenerator<{ readonly lsn: Lsn; readonly lastLsn: Lsn; readonly data: Uint8Array }, void> {
  let open: { lsn: Lsn; seen: number; kept: number; pieces: Uint8Array[] } | undefined;
  for await (const { lsn, record } of journal.entries(fromLsn, toLsn)) {
    if (record.t !== 'body') continue;
    const piece: BodyRecord = record;
    if (piece.at === 0) open = { lsn, seen: 0, kept: 0, pieces: [] };
    if (!open) continue;
    open.seen += piece.data.length;
    if (open.kept < bodyBytesMax) {
      open.pieces.push(piece.data);
      open.kept += piece.data.length;
    }
    if (open.seen < piece.size) continue;
    const [only] = open.pieces;
    const data = open.pieces.length === 1 && only ? only : Buffer.concat(open.pieces);
    yield { lsn: open.lsn, lastLsn: lsn, data };
    open = undefined;
  }
}
