/**
 * Remembers what a journal held as committed, so that after a crash it can be asked whether all of it is still there,
 * unchanged and in order. Reads the journal's files beside the process that writes them.
 */
import { createHash, type Hash } from 'node:crypto';
import { vaultFiles } from '../../src/catalog/index.ts';
import { type JournalEntry, JournalReader, type Lsn } from '../../src/journal/index.ts';

export class CommitWitness {
  readonly #reader: JournalReader;
  readonly #seen: Hash = createHash('sha256');
  #lsn = 0;

  static async open(vaultDir: string): Promise<CommitWitness> {
    return new CommitWitness(await JournalReader.open({ storage: vaultFiles(vaultDir).journal }));
  }

  private constructor(reader: JournalReader) {
    this.#reader = reader;
  }

  /** LSN of the last commit that was seen. */
  get lsn(): number {
    return this.#lsn;
  }

  /** Takes notice of what was committed since. */
  async look(): Promise<void> {
    const upTo = await this.#reader.refresh();
    for await (const entry of this.#reader.entries((this.#lsn + 1) as Lsn, upTo)) note(this.#seen, entry);
    this.#lsn = upTo;
  }

  /** What is wrong with the journal as it is now; undefined when all that was seen is there. */
  async missing(vaultDir: string): Promise<string | undefined> {
    const reader = await JournalReader.open({ storage: vaultFiles(vaultDir).journal });
    try {
      if (reader.committedLsn < this.#lsn) {
        return `committed up to ${reader.committedLsn}, and ${this.#lsn} was committed before`;
      }
      if (this.#lsn === 0) return undefined;
      const now = createHash('sha256');
      for await (const entry of reader.entries(1 as Lsn, this.#lsn as Lsn)) note(now, entry);
      const same = now.digest('hex') === this.#seen.copy().digest('hex');
      return same ? undefined : `the records up to ${this.#lsn} are not those that were there before`;
    } finally {
      await reader.close();
    }
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}

function note(hash: Hash, { lsn, record }: JournalEntry): void {
  const text = JSON.stringify(record, (_, value) =>
    value instanceof Uint8Array ? createHash('sha256').update(value).digest('hex') : value,
  );
  hash.update(`${lsn} ${text}\n`);
}
