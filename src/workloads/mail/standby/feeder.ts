/**
 * Puts messages under exactly the UIDs that they had: runs of consecutive UIDs go as MULTIAPPEND, the next one being read from the journal
 * while those before are on their way. A small gap is filled (`filler.ts`), a large one is jumped over by setting the next UID; which is
 * cheaper is measured as it goes, for it differs a hundredfold between stores.
 */
import type { MessageRow, VaultReader } from '../../../catalog/index.ts';
import { type Clock, crashPoint, UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import { type AppendMessage, type AppendResult, ByteBudget, type ImapConnection } from '../imap/index.ts';
import { removeMessages } from './aside.ts';
import { FILLER } from './filler.ts';
import type { Lanes } from './lanes.ts';

const BATCH_MESSAGES = 500;
const BATCH_BYTES = 4 * 1024 * 1024;
/** Fillers of a batch count less: they have no bytes to speak of. */
const BATCH_ITEMS = 2_000;
/** Batches on their way at once over one connection; over several there are fewer of each, so that memory stays bounded. */
const BATCHES_IN_FLIGHT = 3;
const BATCHES_IN_FLIGHT_OF_EACH = 2;
/** Fillers are cleared away in between: a Maildir with very many files is slow. */
const FILLERS_MOST = 20_000;

/** Bytes of batches that are larger than `BATCH_BYTES` because of one message, on their way at once over all connections. */
const LARGE_BYTES = 64 * 1024 * 1024;

const PIN_GUESS_MS = 15;
const ITEM_GUESS_MS = 0.1;
const FILL_MOST = 4_000;

export interface FeederTools {
  readonly reader: Pick<VaultReader, 'body'>;
  readonly connection: ImapConnection;
  /** All that it may be sent over, `connection` among them. */
  readonly lanes: Pick<Lanes, 'open' | 'grow'>;
  readonly clock: Clock;
  /** Sets the next UID. */
  pin(minNextUid: number): Promise<void>;
  flagsKept(flags: readonly string[]): readonly string[];
  done(messages: number, bytes: number): void;
}

interface Item {
  /** Undefined = a filler. */
  readonly row: MessageRow | undefined;
  readonly uid: number;
}

/** What each kind of step costs on this target, learned as it goes, and what it may; shared by all mailboxes. */
export class Costs {
  /** Memory for batches with large messages. */
  readonly large = new ByteBudget(LARGE_BYTES);
  /** Lists of UIDs cannot be replaced there, as has been seen. */
  cannotRenumber = false;
  #pinMs = PIN_GUESS_MS;
  #fillerMs = ITEM_GUESS_MS;

  /** Gaps up to this are filled. */
  get fillMost(): number {
    return Math.max(2, Math.min(FILL_MOST, Math.floor(this.#pinMs / this.#fillerMs)));
  }

  pinned(ms: number): void {
    this.#pinMs = this.#pinMs * 0.8 + ms * 0.2;
  }

  filled(fillers: number, ms: number): void {
    this.#fillerMs = Math.max(0.005, this.#fillerMs * 0.8 + (ms / fillers) * 0.2);
  }
}

/** Another writer took UIDs meanwhile; what we had appended is gone again. Look once more. */
export const MOVED = 'MAIL_MAILBOX_MOVED';

export class Feeder {
  readonly #tools: FeederTools;
  readonly #costs: Costs;
  readonly #name: string;
  #next: number;
  #batch: Item[] = [];
  #batchMessages = 0;
  #batchBytes = 0;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #busy = new Map<ImapConnection, number>();
  #batches = 0;
  /** Settles when everything sent before is stored. */
  #last: Promise<void> = Promise.resolve();
  readonly #fillers: number[] = [];
  /** UIDs that our messages got and must not keep. */
  readonly #misplaced: number[] = [];
  #failure: unknown;

  /** `next`: the UID that the mailbox gives next. */
  constructor(tools: FeederTools, costs: Costs, name: string, next: number) {
    this.#tools = tools;
    this.#costs = costs;
    this.#name = name;
    this.#next = next;
  }

  /** Rows by ascending UID, none below the next UID. */
  async put(row: MessageRow): Promise<void> {
    const gap = row.uid - this.#next;
    if (gap > this.#costs.fillMost) await this.#jump(row.uid);
    else for (let uid = this.#next; uid < row.uid; uid += 1) await this.#add({ row: undefined, uid });
    await this.#add({ row, uid: row.uid });
  }

  /**
   * Resolves when everything is stored under its UID and the fillers are gone. Errors: MAIL_MAILBOX_MOVED when somebody else wrote
   * into the mailbox meanwhile: it has to be compared again.
   */
  async end(): Promise<void> {
    await this.#flush();
    await this.#settle();
    if (this.#misplaced.length > 0) {
      await this.#clear(this.#misplaced);
      throw mailErrors.make(MOVED, `somebody else wrote into ${this.#name} while it was brought up`);
    }
    await this.#clearFillers();
  }

  async #add(item: Item): Promise<void> {
    this.#batch.push(item);
    this.#next = item.uid + 1;
    if (item.row) {
      this.#batchMessages += 1;
      this.#batchBytes += item.row.size;
    }
    const full =
      this.#batchMessages >= BATCH_MESSAGES ||
      this.#batchBytes >= BATCH_BYTES ||
      this.#batch.length >= BATCH_ITEMS;
    if (full) await this.#flush();
  }

  async #jump(uid: number): Promise<void> {
    await this.#flush();
    await this.#settle();
    if (this.#misplaced.length > 0) return this.end();
    const began = this.#tools.clock.monotonicMs();
    await this.#tools.pin(uid);
    this.#costs.pinned(this.#tools.clock.monotonicMs() - began);
    this.#next = uid;
  }

  async #flush(): Promise<void> {
    const batch = this.#batch;
    if (batch.length === 0) return;
    const large = this.#batchBytes >= 2 * BATCH_BYTES ? this.#batchBytes : 0;
    this.#batch = [];
    this.#batchMessages = 0;
    this.#batchBytes = 0;
    if (large > 0) await this.#costs.large.acquire(large);
    let isSent = false;
    try {
      const messages = await this.#load(batch);
      while (this.#inFlight.size >= this.#inFlightMost) await Promise.race(this.#inFlight);
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#misplaced.length > 0) return;
      this.#send(batch, messages, large);
      isSent = true;
    } finally {
      if (!isSent) this.#costs.large.release(large);
    }
    if (this.#fillers.length >= FILLERS_MOST) {
      await this.#settle();
      await this.#clearFillers();
    }
  }

  /** `large`: what it holds of the budget, and gives back when it is stored. */
  #send(batch: readonly Item[], messages: readonly AppendMessage[], large: number): void {
    crashPoint('standby.append.before');
    const began = this.#tools.clock.monotonicMs();
    const lane = this.#lane();
    this.#busy.set(lane, (this.#busy.get(lane) ?? 0) + 1);
    const before = this.#last;
    const stored = lane
      // Over one connection they are stored in their order in any case.
      .append(this.#name, messages, this.#tools.lanes.open.length > 1 ? before : undefined)
      .then((result) => this.#stored(batch, result, began));
    // Also what goes over one connection waits for what may be under way over another.
    this.#last = Promise.all([before, stored]).then(() => {});
    this.#last.catch(() => {});
    const sent = stored
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#inFlight.delete(sent);
        this.#busy.set(lane, (this.#busy.get(lane) ?? 1) - 1);
        this.#costs.large.release(large);
      });
    this.#inFlight.add(sent);
  }

  get #inFlightMost(): number {
    const lanes = this.#tools.lanes.open.length;
    return lanes === 1 ? BATCHES_IN_FLIGHT : lanes * BATCHES_IN_FLIGHT_OF_EACH;
  }

  /** The one that has the least to do. */
  #lane(): ImapConnection {
    this.#batches += 1;
    // What fits into a few batches is sooner sent than another log-in made.
    if (this.#batches > BATCHES_IN_FLIGHT) this.#tools.lanes.grow();
    const [first, ...others] = this.#tools.lanes.open as [ImapConnection, ...ImapConnection[]];
    const has = (lane: ImapConnection) => this.#busy.get(lane) ?? 0;
    return others.reduce((least, lane) => (has(lane) < has(least) ? lane : least), first);
  }

  /** In the order of the journal, for neighbours share a compressed frame. */
  async #load(batch: readonly Item[]): Promise<AppendMessage[]> {
    const messages = new Array<AppendMessage>(batch.length).fill(FILLER);
    const order = batch
      .flatMap(({ row }, index) => (row ? [{ row, index }] : []))
      .sort((a, b) => a.row.bodyLsn - b.row.bodyLsn);
    for (const { row, index } of order) {
      messages[index] = {
        body: await this.#tools.reader.body(row.bodyLsn),
        flags: this.#tools.flagsKept(row.flags),
        internalDate: row.date,
      };
    }
    return messages;
  }

  #stored(batch: readonly Item[], { uids }: AppendResult, began: number): void {
    crashPoint('standby.append.after');
    if (!uids) {
      throw mailErrors.make(
        'MAIL_FEATURE_MISSING',
        `the target does not say which UIDs it gave in ${this.#name} (no UIDPLUS), so they cannot be proved`,
      );
    }
    const fillers = batch.reduce((count, { row }) => count + (row ? 0 : 1), 0);
    if (fillers > batch.length / 2) {
      this.#costs.filled(fillers, (this.#tools.clock.monotonicMs() - began) / BATCHES_IN_FLIGHT);
    }
    let messages = 0;
    let bytes = 0;
    for (const [index, { row, uid }] of batch.entries()) {
      const got = uids[index] as number;
      if (got !== uid) this.#misplaced.push(got);
      else if (row) {
        messages += 1;
        bytes += row.size;
      } else this.#fillers.push(got);
    }
    this.#tools.done(messages, bytes);
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#inFlight);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #clearFillers(): Promise<void> {
    crashPoint('standby.fillers.before');
    await this.#clear(this.#fillers.splice(0));
  }

  async #clear(uids: number[]): Promise<void> {
    if (uids.length === 0) return;
    const { connection } = this.#tools;
    await connection.select(this.#name);
    await removeMessages(connection, uids);
    await connection.unselect();
  }
}

/** True for an error that the next look may cure. */
export function isMoved(error: unknown): boolean {
  return error instanceof UnderstudyError && error.code === MOVED;
}
