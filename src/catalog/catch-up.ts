/** Brings a catalog up to its journal: the missing tail, or all of it in a new file that then takes the old one's place. */
import { existsSync, renameSync, rmSync } from 'node:fs';
import {
  type FoundJournal,
  type JournalFrame,
  JournalReader,
  type JournalReaderOptions,
  type JournalRecord,
  type Lsn,
} from '../journal/index.ts';
import { type Clock, crashPoint, hasCode, type Log, type ProgressListener, silentLog } from '../lib/index.ts';
import { Catalog, type CatalogMeta } from './catalog.ts';
import { catalogErrors } from './errors.ts';
import type { CatalogEntry } from './fold.ts';
import { indexBody } from './index-body.ts';
import { vaultFiles } from './vault-files.ts';
import { VaultLock } from './vault-lock.ts';

interface CatchUpOptions {
  readonly dir: string;
  readonly reader: JournalReader;
  readonly clock: Clock;
  readonly log: Log;
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal;
}

/**
 * The catalog of a vault whose lock the caller holds, up to date. One that is missing, damaged or of another version is built
 * anew from the journal. @throws CATALOG_OTHER_JOURNAL, CATALOG_AHEAD_OF_JOURNAL, CATALOG_RECORD_INVALID, CATALOG_STORAGE_FAILED, JOURNAL_*
 */
export async function openCatalogForWriting(options: CatchUpOptions): Promise<Catalog> {
  const { dir, reader, log } = options;
  const file = vaultFiles(dir).catalog;
  if (!existsSync(file)) {
    if (reader.committedLsn > 0) log.warn({ vault: dir }, 'catalog is missing: building it from the journal');
    return build(options);
  }
  let catalog: Catalog | undefined;
  try {
    catalog = Catalog.open(file);
    // One that knows no commit is what a first start left; of which journal does not matter.
    if (catalog.appliedLsn > 0 || catalog.journalId === reader.journalId) {
      assertFits(catalog, reader, dir);
      await foldTail(catalog, options);
      // What a vault asks first: damage that this meets is found while the catalog can still be built anew.
      catalog.lastMailboxId();
      return catalog;
    }
    catalog.close();
  } catch (error) {
    catalog?.close();
    if (!hasCode(error, 'CATALOG_SCHEMA_OTHER') && !hasCode(error, 'CATALOG_DAMAGED')) throw error;
    log.warn({ vault: dir, err: error }, 'catalog cannot be used: building it anew from the journal');
  }
  return build(options);
}

/**
 * Builds the catalog of a vault from its journal alone. The one in use stays until the new one is whole. When it is interrupted
 * the next call goes on where it stopped.
 * @throws CATALOG_VAULT_MISSING, CATALOG_VAULT_LOCKED, CATALOG_VAULT_UNWRITABLE, CATALOG_RECORD_INVALID, CATALOG_STORAGE_FAILED, JOURNAL_*
 */
export async function rebuildCatalog(options: {
  readonly dir: string;
  readonly clock: Clock;
  readonly key?: Uint8Array;
  readonly log?: Log;
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal;
}): Promise<{ readonly appliedLsn: Lsn; readonly messages: number }> {
  const { dir, key, log = silentLog } = options;
  const reader = await openJournal(dir, key);
  try {
    const lock = VaultLock.take(dir, options.clock.wallMs());
    try {
      // The journal as whoever had the lock before left it.
      await reader.makeDurable();
      const catalog = await build({ ...options, reader, log });
      const { messages } = catalog.totals();
      const { appliedLsn } = catalog;
      catalog.close();
      return { appliedLsn, messages };
    } finally {
      lock.release();
    }
  } finally {
    await reader.close();
  }
}

/** The journal of a vault, for reading. `near`: a frame that the catalog knows, see `JournalReaderOptions`. @throws CATALOG_VAULT_MISSING, JOURNAL_* */
export async function openJournal(
  dir: string,
  key: Uint8Array | undefined,
  near?: JournalReaderOptions['near'],
): Promise<JournalReader> {
  try {
    return await JournalReader.open({ storage: vaultFiles(dir).journal, near, ...(key ? { key } : {}) });
  } catch (error) {
    if (!hasCode(error, 'JOURNAL_NOT_FOUND')) throw error;
    throw catalogErrors.make('CATALOG_VAULT_MISSING', `there is no journal in ${dir}`, { cause: error });
  }
}

/** @throws when the catalog indexes another journal, or knows more than the journal holds */
export function assertFits(catalog: CatalogMeta, journal: FoundJournal, dir: string): void {
  if (catalog.journalId !== journal.journalId) {
    throw catalogErrors.make(
      'CATALOG_OTHER_JOURNAL',
      `the catalog in ${dir} indexes journal ${catalog.journalId}, the journal there is ${journal.journalId}`,
    );
  }
  if (catalog.appliedLsn > journal.committedLsn) {
    throw catalogErrors.make(
      'CATALOG_AHEAD_OF_JOURNAL',
      `the catalog in ${dir} knows commits up to lsn:${catalog.appliedLsn}, its journal ends at lsn:${journal.committedLsn}`,
      { details: { appliedLsn: catalog.appliedLsn, committedLsn: journal.committedLsn } },
    );
  }
}

async function build(options: CatchUpOptions): Promise<Catalog> {
  const files = vaultFiles(options.dir);
  const begun = openHalfBuilt(files.rebuilding, options);
  try {
    await fill(begun ?? createAnew(files.rebuilding, options), options);
  } catch (error) {
    if (!begun || !hasCode(error, 'CATALOG_DAMAGED')) throw error;
    options.log.warn({ vault: options.dir, err: error }, 'a half-built catalog is damaged: starting again');
    await fill(createAnew(files.rebuilding, options), options);
  }
  crashPoint('catalog.rebuild.before-rename');
  // Its write-ahead log goes with the old file: SQLite would play it into the new one.
  removeDatabase(files.catalog);
  crashPoint('catalog.rebuild.between');
  renameSync(files.rebuilding, files.catalog);
  return Catalog.open(files.catalog);
}

async function fill(catalog: Catalog, options: CatchUpOptions): Promise<void> {
  try {
    await foldTail(catalog, options);
    catalog.checkpointFile();
  } finally {
    catalog.close();
  }
}

/** What an interrupted build left, where it can be gone on with. */
function openHalfBuilt(file: string, { dir, reader, log }: CatchUpOptions): Catalog | undefined {
  if (!existsSync(file)) return undefined;
  let catalog: Catalog | undefined;
  try {
    catalog = Catalog.open(file);
    assertFits(catalog, reader, dir);
    return catalog;
  } catch (error) {
    catalog?.close();
    log.info({ vault: dir, err: error }, 'a half-built catalog cannot be used: starting again');
    return undefined;
  }
}

function createAnew(file: string, { reader }: CatchUpOptions): Catalog {
  removeDatabase(file);
  return Catalog.create(file, reader.journalId);
}

function removeDatabase(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
}

/** A batch ends with a commit, so that who reads meanwhile sees whole steps; a step larger than this is parted all the same. */
const batchEntries = 4_000;
const batchEntriesMax = 50_000;

/** Applies what the journal has and the catalog has not. An abort leaves the catalog whole and shorter. */
export async function foldTail(catalog: Catalog, options: CatchUpOptions): Promise<void> {
  const { reader, clock, onProgress, signal } = options;
  const startMs = clock.monotonicMs();
  const startLsn = catalog.appliedLsn;
  const endLsn = reader.committedLsn;
  if (endLsn === startLsn) return;
  let messages = 0;
  let batch: CatalogEntry[] = [];
  let frames: JournalFrame[] = [];
  const flush = () => {
    catalog.apply(batch, frames);
    crashPoint('catalog.fold.batch');
    batch = [];
    frames = [];
    const elapsedMs = clock.monotonicMs() - startMs;
    const done = catalog.appliedLsn - startLsn;
    const etaMs = (elapsedMs / done) * (endLsn - catalog.appliedLsn);
    onProgress?.({ phase: 'index', messagesDone: messages, elapsedMs, etaMs });
  };
  for await (const frame of reader.frames((startLsn + 1) as Lsn, endLsn)) {
    frames.push({ ...frame, entries: [] });
    for (const { lsn, record } of frame.entries) {
      if (record.t === 'message') messages += 1;
      const reduced = reduce(record);
      if (reduced) batch.push({ lsn, record: reduced });
      if (batch.length >= (record.t === 'commit' ? batchEntries : batchEntriesMax)) {
        flush();
        signal?.throwIfAborted();
      }
    }
  }
  if (batch.length > 0 || frames.length > 0) flush();
}

/** Byte strings of the reader are views into whole frames, which a batch must not keep alive. */
function reduce(record: JournalRecord): CatalogEntry['record'] | undefined {
  if (record.t === 'message') return { ...record, hash: Uint8Array.from(record.hash) };
  if (record.t !== 'body') return record;
  const indexed = indexBody(record);
  return indexed && { ...indexed, hash: Uint8Array.from(indexed.hash) };
}
