/** The one writer of the control journal. */
import {
  type Committed,
  FolderLock,
  JournalReader,
  JournalWriter,
  type LockRefusal,
  type Lsn,
} from '../journal/index.ts';
import { type Clock, type JsonValue, type Log, messageOf } from '../lib/index.ts';
import { journalOf } from './control-files.ts';
import { ControlLog } from './control-log.ts';
import { controlErrors } from './errors.ts';
import type { ControlEntry, ControlView } from './types.ts';

export interface ControlJournalOptions {
  /** `<dataDir>/control`; made if it is not there. */
  readonly dir: string;
  readonly clock: Clock;
  readonly log: Log;
  /** 32 bytes; encrypts a new journal, opens an encrypted one. */
  readonly key?: Uint8Array;
}

/** Text of one record at most, in UTF-16 units: a record of a journal stays below 1 MiB. */
const PIECE_CHARS_MAX = 256 << 10;

export class ControlJournal implements ControlView {
  readonly dir: string;
  readonly #options: ControlJournalOptions;
  readonly #lock: FolderLock;
  #writer!: JournalWriter;
  #known!: ControlLog;
  #failed = false;
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * Takes the lock and recovers the journal.
   * @throws CONTROL_LOCKED (names the process), CONTROL_UNWRITABLE, CONTROL_STORAGE_FAILED, CONTROL_DAMAGED, JOURNAL_*; nothing stays locked then.
   */
  static async open(options: ControlJournalOptions): Promise<ControlJournal> {
    const lock = FolderLock.take(options.dir, options.clock.wallMs(), (why) => refused(options.dir, why));
    const journal = new ControlJournal(options, lock);
    try {
      await journal.#openParts();
      return journal;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  private constructor(options: ControlJournalOptions, lock: FolderLock) {
    this.dir = options.dir;
    this.#options = options;
    this.#lock = lock;
  }

  async #openParts(): Promise<void> {
    const { clock, log, key, dir } = this.#options;
    const place = { storage: journalOf(dir), ...(key ? { key } : {}) };
    const writer = await JournalWriter.open({ ...place, clock, log });
    try {
      const reader = await JournalReader.open(place);
      try {
        const known = new ControlLog(dir);
        await known.readFrom(reader, 1 as Lsn);
        this.#known = known;
      } finally {
        await reader.close();
      }
    } catch (error) {
      await writer.close();
      throw error;
    }
    this.#writer = writer;
    this.#failed = false;
  }

  entries(topic?: string, id?: string): Iterable<ControlEntry> {
    return this.#known.entries(topic, id);
  }

  /**
   * Adds an entry; durable, and seen by `entries`, when it resolves. Entries are in the order of the calls. `data` is plain JSON.
   * @throws JOURNAL_STORAGE_FULL, JOURNAL_STORAGE_FAILED: the entry may be there or not, as after a crash. It may be repeated: the journal
   * is opened again first.
   */
  append(topic: string, id: string, data: unknown): Promise<void> {
    const text = JSON.stringify(data) as string | undefined;
    if (text === undefined) throw new TypeError(`an entry of ${topic} is not JSON`);
    const mine = this.#turn.then(() => this.#append(topic, id, text));
    this.#turn = mine.catch(() => {});
    return mine;
  }

  async #append(topic: string, id: string, text: string): Promise<void> {
    if (this.#failed) {
      await this.#writer.close();
      await this.#openParts();
    }
    try {
      const records = piecesOf(text).map((data, at, all) => ({
        t: 'control' as const,
        topic,
        id,
        data,
        ...(at < all.length - 1 ? { more: true } : {}),
      }));
      const lsns = records.map((record) => this.#writer.append(record));
      const { lsn, time }: Committed = await this.#writer.commit();
      for (const [at, record] of records.entries()) this.#known.take(lsns[at] as Lsn, record);
      this.#known.take(lsn, { t: 'commit', time });
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  /** Ends what is being written, lets go of the lock. May be called twice. */
  async close(): Promise<void> {
    await this.#turn;
    try {
      await this.#writer.close();
    } finally {
      this.#lock.release();
    }
  }
}

/** What an entry says, as an object of its topic. */
export function dataOf<T extends object>(entry: ControlEntry): T {
  return entry.data as JsonValue as unknown as T;
}

function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length || at === 0; ) {
    let end = Math.min(at + PIECE_CHARS_MAX, text.length);
    // Never between the halves of a surrogate pair: each piece is UTF-8 of its own.
    if (end < text.length && /[\uD800-\uDBFF]/.test(text.charAt(end - 1))) end -= 1;
    pieces.push(text.slice(at, end));
    at = end;
  }
  return pieces;
}

function refused(dir: string, refusal: LockRefusal): Error {
  if (refusal.reason === 'held') {
    const { holder } = refusal;
    const who = holder ? `process ${holder.pid}, since ${holder.started}` : 'another process';
    return controlErrors.make('CONTROL_LOCKED', `the control journal in ${dir} is in use by ${who}`, {
      details: { dir, ...holder },
    });
  }
  return controlErrors.make(
    refusal.reason === 'full' ? 'CONTROL_STORAGE_FAILED' : 'CONTROL_UNWRITABLE',
    `cannot write to ${dir}: ${messageOf(refusal.cause)}`,
    { cause: refusal.cause, details: { dir } },
  );
}
