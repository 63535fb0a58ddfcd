import { FolderLock, JournalReader, type Lsn } from '../journal/index.ts';
import { hasCode } from '../lib/index.ts';
import { journalOf } from './control-files.ts';
import { ControlLog } from './control-log.ts';
import type { ControlEntry, ControlView } from './types.ts';

export interface ControlReaderOptions {
  readonly dir: string;
  readonly key?: Uint8Array;
}

/** Reads the control journal, also while another process writes it. Where there is none it has no entries. */
export class ControlReader implements ControlView {
  readonly dir: string;
  readonly #options: ControlReaderOptions;
  #journal: JournalReader | undefined;
  #known: ControlLog;
  #readLsn = 0;

  /** @throws CONTROL_DAMAGED, JOURNAL_KEY_*, JOURNAL_DAMAGED. Changes nothing. */
  static async open(options: ControlReaderOptions): Promise<ControlReader> {
    const reader = new ControlReader(options);
    await reader.refresh();
    return reader;
  }

  private constructor(options: ControlReaderOptions) {
    this.dir = options.dir;
    this.#options = options;
    this.#known = new ControlLog(options.dir);
  }

  entries(topic?: string, id?: string): Iterable<ControlEntry> {
    return this.#known.entries(topic, id);
  }

  /** Whether a service or a command has the journal open for writing now. */
  get hasWriter(): boolean {
    return FolderLock.isHeld(this.dir);
  }

  /** Looks for what was added since. @throws as `open` */
  async refresh(): Promise<void> {
    if (this.#journal === undefined) {
      this.#journal = await openJournal(this.#options);
      if (this.#journal === undefined) return;
    } else await this.#journal.refresh();
    const { committedLsn } = this.#journal;
    if (committedLsn < this.#readLsn) {
      // A writer whose sync failed has cut what was seen in the page cache.
      this.#known = new ControlLog(this.dir);
      this.#readLsn = 0;
    }
    if (committedLsn > this.#readLsn) {
      this.#readLsn = await this.#known.readFrom(this.#journal, (this.#readLsn + 1) as Lsn);
    }
  }

  async close(): Promise<void> {
    await this.#journal?.close();
  }
}

async function openJournal({ dir, key }: ControlReaderOptions): Promise<JournalReader | undefined> {
  try {
    return await JournalReader.open({ storage: journalOf(dir), ...(key ? { key } : {}) });
  } catch (error) {
    if (hasCode(error, 'JOURNAL_NOT_FOUND')) return undefined;
    throw error;
  }
}
