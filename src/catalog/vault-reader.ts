import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JournalEntry, JournalReader, Lsn, MailboxId } from '../journal/index.ts';
import { type Clock, hasCode, type Log, messageOf, silentLog } from '../lib/index.ts';
import { Catalog } from './catalog.ts';
import { assertFits, foldTail, openCatalogForWriting, openJournal } from './catch-up.ts';
import { catalogErrors } from './errors.ts';
import { vaultFiles } from './vault-files.ts';
import { VaultLock } from './vault-lock.ts';

export interface VaultReaderOptions {
  readonly dir: string;
  readonly clock: Clock;
  readonly key?: Uint8Array;
  readonly log?: Log;
}

/** Reads a vault, also while another process or thread writes to it. One instance belongs to one thread. */
export class VaultReader {
  readonly dir: string;
  readonly catalog: Catalog;
  readonly journal: JournalReader;

  /**
   * Has every commit that the journal had when it was opened. Where the catalog lacks some, whoever has the vault's lock is about to
   * add them and is waited for (see `upToDate`); when nobody has it (the writer was killed), they are added here, under that lock; where the
   * vault cannot be written to (its disk is full), they are added to a copy in the folder for temporary files, which lives as long as
   * this reader.
   * @throws CATALOG_VAULT_MISSING, CATALOG_MISSING, CATALOG_SCHEMA_OTHER, CATALOG_DAMAGED, CATALOG_OTHER_JOURNAL, CATALOG_AHEAD_OF_JOURNAL,
   * CATALOG_BEHIND_JOURNAL, CATALOG_BEING_BUILT, JOURNAL_KEY_*, JOURNAL_DAMAGED
   */
  static async open(options: VaultReaderOptions): Promise<VaultReader> {
    const { dir, key } = options;
    let catalog: Catalog | undefined;
    let journal: JournalReader | undefined;
    try {
      // First the catalog, then the journal: so what a writer adds in between never looks like a catalog ahead.
      let unusable: unknown;
      try {
        catalog = openCatalog(dir);
      } catch (error) {
        // SQLite makes a file even to read.
        if (!cannotWrite(error)) throw error;
        unusable = error;
      }
      const appliedLsn = catalog?.appliedLsn ?? (0 as Lsn);
      journal = await openJournal(dir, key, catalog?.frameOf(appliedLsn));
      if (unusable) return await VaultReader.#openCopy(options, journal, unusable);
      if (catalog) assertFits({ journalId: catalog.journalId, appliedLsn }, journal, dir);
      if (!catalog || appliedLsn < journal.committedLsn) {
        const begun = catalog;
        catalog = undefined;
        try {
          catalog = await upToDate(options, begun, journal);
        } catch (error) {
          if (!cannotWrite(error)) throw error;
          return await VaultReader.#openCopy(options, journal, error);
        }
      }
      return new VaultReader(dir, catalog, journal, undefined);
    } catch (error) {
      catalog?.close();
      await journal?.close();
      throw error;
    }
  }

  /** A full disk must not stand between an operator and what the journal holds. */
  static async #openCopy(
    options: VaultReaderOptions,
    journal: JournalReader,
    reason: unknown,
  ): Promise<VaultReader> {
    const { dir, clock, log = silentLog } = options;
    const copyDir = mkdtempSync(join(tmpdir(), 'understudy-catalog-'));
    let copy: Catalog | undefined;
    try {
      if (VaultLock.isHeld(dir)) throw reason;
      const { catalog } = vaultFiles(dir);
      const file = join(copyDir, 'catalog.sqlite');
      for (const suffix of ['', '-wal']) {
        if (existsSync(catalog + suffix)) copyFileSync(catalog + suffix, file + suffix);
      }
      copy = Catalog.open(file);
      assertFits(copy, journal, dir);
      await foldTail(copy, { dir, reader: journal, clock, log });
      log.warn(
        { vault: dir, copy: file, err: reason },
        'catalog cannot be brought up to date: reading a copy',
      );
      return new VaultReader(dir, copy, journal, copyDir);
    } catch (error) {
      copy?.close();
      rmSync(copyDir, { recursive: true, force: true });
      throw behind(dir, journal, error);
    }
  }

  readonly #copyDir: string | undefined;

  private constructor(dir: string, catalog: Catalog, journal: JournalReader, copyDir: string | undefined) {
    this.dir = dir;
    this.catalog = catalog;
    this.journal = journal;
    this.#copyDir = copyDir;
  }

  /** The bytes of a message exactly as the server served them. @throws JOURNAL_DAMAGED, JOURNAL_NOT_A_BODY */
  body(bodyLsn: Lsn): Promise<Buffer> {
    return this.journal.body(bodyLsn, () => this.catalog.frameOf(bodyLsn));
  }

  /**
   * The records after `since` up to `until` (default: as far as the catalog is), found without searching the journal: for
   * who follows it. Byte strings are views: copy what outlives the loop. @throws JOURNAL_DAMAGED
   */
  async *entriesSince(since: Lsn, until: Lsn = this.catalog.appliedLsn): AsyncGenerator<JournalEntry, void> {
    if (until <= since) return;
    if (until > this.journal.committedLsn) await this.journal.refresh();
    const from = (since + 1) as Lsn;
    for await (const { entries } of this.journal.frames(from, until, this.catalog.frameOf(from))) {
      yield* entries;
    }
  }

  /**
   * Which mailboxes changed after `since`, and accounts as such (no `mailboxId`): in what order does not matter. Reads the
   * journal from there, so its cost is that of the changes, not of the mail. @throws JOURNAL_DAMAGED
   */
  async changedSince(since: Lsn): Promise<{ readonly account: string; readonly mailboxId?: MailboxId }[]> {
    const mailboxes = new Set<MailboxId>();
    const accounts = new Set<string>();
    for await (const { record } of this.entriesSince(since)) {
      if ('id' in record && typeof record.id === 'number') mailboxes.add(record.id);
      else if (record.t === 'account' || record.t === 'account-gone' || record.t === 'subscriptions')
        accounts.add(record.account);
    }
    return [
      ...[...accounts].map((account) => ({ account })),
      ...[...mailboxes].flatMap((mailboxId) => {
        const account = this.catalog.accountOfMailbox(mailboxId);
        return account === undefined ? [] : [{ account, mailboxId }];
      }),
    ];
  }

  async close(): Promise<void> {
    this.catalog.close();
    if (this.#copyDir) rmSync(this.#copyDir, { recursive: true, force: true });
    await this.journal.close();
  }
}

function openCatalog(dir: string): Catalog | undefined {
  const file = vaultFiles(dir).catalog;
  return existsSync(file) ? Catalog.open(file, { readOnly: true }) : undefined;
}

function missing(dir: string): Error {
  return catalogErrors.make('CATALOG_MISSING', `vault ${dir} has a journal but no catalog`);
}

/**
 * The catalog with all that the journal has now; takes over `catalog` (absent: there was none). While somebody has the lock it is not known
 * who: a writer, which lags for milliseconds, or another reader or a starting service that adds or builds for minutes. So each is waited
 * for as long as it gets on. @throws CATALOG_MISSING, CATALOG_BEING_BUILT, CATALOG_BEHIND_JOURNAL; what `cannotWrite` knows
 */
async function upToDate(
  options: VaultReaderOptions,
  catalog: Catalog | undefined,
  journal: JournalReader,
): Promise<Catalog> {
  const { dir, clock, log = silentLog } = options;
  const startMs = clock.monotonicMs();
  let current = catalog;
  let progress = '';
  let progressMs = startMs;
  let saysSo = false;
  let endLsn: number = journal.committedLsn;
  try {
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      if (current?.isReplaced) {
        current.close();
        current = undefined;
      }
      current ??= openCatalog(dir);
      if (current && current.appliedLsn >= endLsn) return current;
      if (await catchUp(options, journal)) {
        endLsn = Math.min(endLsn, journal.committedLsn);
        continue;
      }
      const nowMs = clock.monotonicMs();
      const seen = progressOf(dir, current);
      if (seen !== progress) {
        progress = seen;
        progressMs = nowMs;
      } else if (nowMs - progressMs > PATIENCE_MS) {
        throw catalogErrors.make(
          'CATALOG_BEING_BUILT',
          `the catalog in ${dir} ${current ? `is at lsn:${current.appliedLsn}` : 'is missing'}, its journal at lsn:${endLsn}, and whoever has the vault has added nothing for ${PATIENCE_MS / 1000} s`,
        );
      }
      if (!saysSo && nowMs - startMs > SAY_SO_MS) {
        saysSo = true;
        log.info(
          { vault: dir, appliedLsn: current?.appliedLsn, committedLsn: endLsn },
          'waiting: somebody else brings the catalog up to its journal',
        );
      }
      await clock.sleep(pauseMs);
      // A writer whose sync failed cuts what could be seen in the page cache: nobody will ever add that.
      endLsn = Math.min(endLsn, await journal.refresh());
    }
  } catch (error) {
    current?.close();
    throw error;
  }
}

/** Adds what the catalog lacks; false when somebody else has the lock. @throws CATALOG_MISSING, CATALOG_BEHIND_JOURNAL; what `cannotWrite` knows */
async function catchUp(options: VaultReaderOptions, reader: JournalReader): Promise<boolean> {
  const { dir, clock, log = silentLog } = options;
  if (VaultLock.isHeld(dir)) return false;
  // Whoever built one would have had the lock until it was there. To build it takes a while, and is the caller's to decide; not where
  // a first start was killed before it had anything.
  if (reader.committedLsn > 0 && !existsSync(vaultFiles(dir).catalog)) throw missing(dir);
  try {
    const lock = VaultLock.take(dir, clock.wallMs());
    try {
      // The journal as whoever had the lock before left it.
      await reader.makeDurable();
      const catalog = await openCatalogForWriting({ dir, reader, clock, log });
      log.info({ vault: dir, appliedLsn: catalog.appliedLsn }, 'catalog brought up to its journal');
      catalog.close();
      return true;
    } finally {
      lock.release();
    }
  } catch (error) {
    if (hasCode(error, 'CATALOG_VAULT_LOCKED')) return false;
    if (cannotWrite(error)) throw error;
    throw behind(dir, reader, error);
  }
}

const PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 250;
/** So long whoever has the lock may do nothing that can be seen. */
const PATIENCE_MS = 10_000;
const SAY_SO_MS = 1_000;

/** Differs when whoever has the lock has written to the catalog, or to the one that is built in its place. */
function progressOf(dir: string, catalog: Catalog | undefined): string {
  const { catalog: file, rebuilding } = vaultFiles(dir);
  const times = [`${file}-wal`, rebuilding, `${rebuilding}-wal`].map(
    (written) => statSync(written, { throwIfNoEntry: false })?.mtimeMs,
  );
  return [catalog?.appliedLsn, ...times].join(' ');
}

/** The disk of the vault is full or failing, or we may not write there. */
function cannotWrite(error: unknown): boolean {
  return WRITE_FAILURES.some((code) => hasCode(error, code));
}

const WRITE_FAILURES = [
  'CATALOG_STORAGE_FAILED',
  'CATALOG_VAULT_UNWRITABLE',
  'JOURNAL_STORAGE_FULL',
  'JOURNAL_STORAGE_FAILED',
];

function behind(dir: string, reader: JournalReader, cause: unknown): Error {
  return catalogErrors.make(
    'CATALOG_BEHIND_JOURNAL',
    `the catalog in ${dir} lacks commits up to lsn:${reader.committedLsn}, and cannot be brought up to date here: ${messageOf(cause)}`,
    { cause },
  );
}
