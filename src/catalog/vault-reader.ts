import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
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
   * While a writer lives the catalog may lag a few commits behind the journal: that is normal. When none does and the catalog
   * lacks commits (the writer was killed), they are added first, under the vault's lock; where the vault cannot be written to (its
   * disk is full), they are added to a copy in the folder for temporary files, which lives as long as this reader.
   * @throws CATALOG_VAULT_MISSING, CATALOG_MISSING, CATALOG_SCHEMA_OTHER, CATALOG_DAMAGED, CATALOG_OTHER_JOURNAL, CATALOG_AHEAD_OF_JOURNAL,
   * CATALOG_BEHIND_JOURNAL, JOURNAL_KEY_*, JOURNAL_DAMAGED
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
      const appliedLsn = catalog?.appliedLsn;
      journal = await openJournal(dir, key);
      if (unusable) return await VaultReader.#openCopy(options, journal, unusable);
      if (!catalog || appliedLsn === undefined) throw missing(dir);
      assertFits({ journalId: catalog.journalId, appliedLsn }, journal, dir);
      if (appliedLsn < journal.committedLsn && !VaultLock.isHeld(dir)) {
        try {
          await catchUp(options, journal);
        } catch (error) {
          if (!cannotWrite(error)) throw behind(dir, journal, error);
          catalog.close();
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

async function catchUp(options: VaultReaderOptions, reader: JournalReader): Promise<void> {
  const { dir, clock, log = silentLog } = options;
  const lock = VaultLock.take(dir, clock.wallMs());
  try {
    const catalog = await openCatalogForWriting({ dir, reader, clock, log });
    log.info({ vault: dir, appliedLsn: catalog.appliedLsn }, 'catalog brought up to its journal');
    catalog.close();
  } finally {
    lock.release();
  }
}

/** The disk of the vault is full or failing, or we may not write there. */
function cannotWrite(error: unknown): boolean {
  return hasCode(error, 'CATALOG_STORAGE_FAILED') || hasCode(error, 'CATALOG_VAULT_UNWRITABLE');
}

function behind(dir: string, reader: JournalReader, cause: unknown): Error {
  return catalogErrors.make(
    'CATALOG_BEHIND_JOURNAL',
    `the catalog in ${dir} lacks commits up to lsn:${reader.committedLsn}, and cannot be brought up to date here: ${messageOf(cause)}`,
    { cause },
  );
}
