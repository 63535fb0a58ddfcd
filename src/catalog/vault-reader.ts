import { existsSync } from 'node:fs';
import type { JournalReader, Lsn } from '../journal/index.ts';
import { type Clock, type Log, silentLog } from '../lib/index.ts';
import { Catalog } from './catalog.ts';
import { assertFits, openCatalogForWriting, openJournal } from './catch-up.ts';
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
   * lacks commits (the writer was killed), they are added first, under the vault's lock.
   * @throws CATALOG_VAULT_MISSING, CATALOG_MISSING, CATALOG_SCHEMA_OTHER, CATALOG_DAMAGED, CATALOG_OTHER_JOURNAL, CATALOG_AHEAD_OF_JOURNAL,
   * CATALOG_BEHIND_JOURNAL, JOURNAL_KEY_*, JOURNAL_DAMAGED
   */
  static async open(options: VaultReaderOptions): Promise<VaultReader> {
    const { dir, key } = options;
    let catalog: Catalog | undefined;
    let journal: JournalReader | undefined;
    try {
      // First the catalog, then the journal: so what a writer adds in between never looks like a catalog ahead.
      catalog = openCatalog(dir);
      const appliedLsn = catalog?.appliedLsn;
      journal = await openJournal(dir, key);
      if (!catalog || appliedLsn === undefined) throw missing(dir);
      assertFits({ journalId: catalog.journalId, appliedLsn }, journal, dir);
      if (appliedLsn < journal.committedLsn && !VaultLock.isHeld(dir)) {
        await catchUp(options, journal);
      }
      return new VaultReader(dir, catalog, journal);
    } catch (error) {
      catalog?.close();
      await journal?.close();
      throw error;
    }
  }

  private constructor(dir: string, catalog: Catalog, journal: JournalReader) {
    this.dir = dir;
    this.catalog = catalog;
    this.journal = journal;
  }

  /** The bytes of a message exactly as the server served them. @throws JOURNAL_DAMAGED, JOURNAL_NOT_A_BODY */
  body(bodyLsn: Lsn): Promise<Buffer> {
    return this.journal.body(bodyLsn, this.catalog.frameOf(bodyLsn));
  }

  async close(): Promise<void> {
    this.catalog.close();
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
  let lock: VaultLock | undefined;
  try {
    lock = VaultLock.take(dir, clock.wallMs());
    const catalog = await openCatalogForWriting({ dir, reader, clock, log });
    log.info({ vault: dir, appliedLsn: catalog.appliedLsn }, 'catalog brought up to its journal');
    catalog.close();
  } catch (error) {
    throw catalogErrors.make(
      'CATALOG_BEHIND_JOURNAL',
      `the catalog in ${dir} lacks commits up to lsn:${reader.committedLsn}, and cannot be brought up to date here`,
      { cause: error },
    );
  } finally {
    lock?.release();
  }
}
