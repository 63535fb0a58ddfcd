/** What is known of a control journal in memory: its entries, in order. Writer and reader share it. */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { ControlRecord, JournalReader, JournalRecord, Lsn } from '../journal/index.ts';
import type { JsonValue } from '../lib/index.ts';
import { controlErrors } from './errors.ts';
import type { ControlEntry, ControlView } from './types.ts';

/** Longer JSON is kept compressed: the previous values of ten thousand accounts are a few MB of which little differs. */
const PLAIN_CHARS_MAX = 4096;

export class ControlLog implements ControlView {
  readonly #entries: ControlEntry[] = [];
  #pieces: { readonly lsn: Lsn; readonly record: ControlRecord }[] = [];
  /** Whole entries whose commit has not been seen. */
  #uncommitted: Omit<ControlEntry, 'time'>[] = [];
  readonly #place: string;

  /** `place` is named in errors. */
  constructor(place: string) {
    this.#place = place;
  }

  *entries(topic?: string, id?: string): Generator<ControlEntry> {
    for (const entry of this.#entries) {
      if ((topic === undefined || entry.topic === topic) && (id === undefined || entry.id === id))
        yield entry;
    }
  }

  /** Takes what the journal has from `fromLsn` on; gives the LSN of its last commit. @throws CONTROL_DAMAGED, JOURNAL_* */
  async readFrom(reader: JournalReader, fromLsn: Lsn): Promise<Lsn> {
    for await (const { lsn, record } of reader.entries(fromLsn)) this.take(lsn, record);
    return reader.committedLsn;
  }

  /** The next record of the journal. @throws CONTROL_DAMAGED */
  take(lsn: Lsn, record: JournalRecord): void {
    if (record.t === 'commit') {
      if (this.#pieces.length > 0) throw this.#damaged(lsn, 'a commit in the middle of an entry');
      for (const entry of this.#uncommitted) this.#entries.push(withTime(entry, record.time));
      this.#uncommitted = [];
      return;
    }
    if (record.t !== 'control') throw this.#damaged(lsn, `a record of kind ${record.t}`);
    const [first] = this.#pieces;
    if (first && (first.record.topic !== record.topic || first.record.id !== record.id)) {
      throw this.#damaged(lsn, `an entry of ${record.topic} inside one of ${first.record.topic}`);
    }
    this.#pieces.push({ lsn, record });
    if (record.more) return;
    const text = this.#pieces.map((piece) => piece.record.data).join('');
    this.#uncommitted.push(this.#entryOf(first?.lsn ?? lsn, record, text));
    this.#pieces = [];
  }

  #entryOf(lsn: Lsn, { topic, id }: ControlRecord, text: string): Omit<ControlEntry, 'time'> {
    const parse = (json: string): JsonValue => {
      try {
        return JSON.parse(json) as JsonValue;
      } catch (cause) {
        throw this.#damaged(lsn, 'text that is not JSON', cause);
      }
    };
    if (text.length <= PLAIN_CHARS_MAX) return { lsn, topic, id, data: parse(text) };
    const packed = zstdCompressSync(text);
    return {
      lsn,
      topic,
      id,
      get data() {
        return parse(zstdDecompressSync(packed).toString());
      },
    };
  }

  #damaged(lsn: Lsn, what: string, cause?: unknown): Error {
    return controlErrors.make(
      'CONTROL_DAMAGED',
      `the control journal in ${this.#place} has ${what} at lsn:${lsn}`,
      cause === undefined ? {} : { cause },
    );
  }
}

/** Not by spreading: that would call the getter of a packed entry. */
function withTime(entry: Omit<ControlEntry, 'time'>, time: number): ControlEntry {
  return Object.defineProperty(entry, 'time', { value: time, enumerable: true }) as ControlEntry;
}
