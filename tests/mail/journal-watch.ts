/**
 * What a journal holds as committed, read from its files by another process than the one that writes it: the
 * strongest witness there is that a change would survive this moment.
 */

import { vaultFiles } from '../../src/catalog/index.ts';
import { JournalReader, type Lsn, type StepRecord } from '../../src/journal/index.ts';

export class JournalWatch {
  readonly #reader: JournalReader;
  #next = 1;
  readonly #idByHash = new Map<string, string>();
  /** Message-IDs (of `numberedMessage`) of all messages journaled so far. */
  readonly messageIds = new Set<string>();
  /** Every step record so far but bodies. */
  readonly steps: StepRecord[] = [];

  static async open(vaultDir: string): Promise<JournalWatch> {
    return new JournalWatch(await JournalReader.open({ storage: vaultFiles(vaultDir).journal }));
  }

  private constructor(reader: JournalReader) {
    this.#reader = reader;
  }

  /** Reads what was committed since. */
  async look(): Promise<this> {
    const upTo = await this.#reader.refresh();
    for await (const { record } of this.#reader.entries(this.#next as Lsn, upTo)) {
      if (record.t === 'commit' || record.t === 'control') continue;
      if (record.t === 'body') {
        const id = /^Message-ID: <(.*)@/im.exec(Buffer.from(record.data).toString('latin1'))?.[1];
        if (record.at === 0 && id !== undefined) this.#idByHash.set(hex(record.hash), id);
        continue;
      }
      this.steps.push(record);
      if (record.t === 'message') this.messageIds.add(this.#idByHash.get(hex(record.hash)) ?? '');
    }
    this.#next = upTo + 1;
    return this;
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}

const hex = (hash: Uint8Array) => Buffer.from(hash).toString('hex');
