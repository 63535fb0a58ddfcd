/**
 * Fetches new messages of the open mailbox into the journal. A body is looked at before it counts: it must be
 * whole and as long as the server says. One that is not is asked for again, then set aside: journaled as such,
 * reported, and tried again at later looks, while the rest of the mailbox goes on.
 */
import type { MailboxId, MessageRecord, SetAsideRecord } from '../../../journal/index.ts';
import { hasCode, type UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import {
  type FetchedMessage,
  type ImapConnection,
  rangesOfUids,
  splitRanges,
  type UidRange,
} from '../imap/index.ts';
import type { FollowContext } from './context.ts';

/** Messages of one step, and of one FETCH command. */
const WINDOW_UIDS = 400;
const WINDOW_TEXT_BYTES = 8_000;

/** How often the journal may hold the server back: asking costs a turn of the event loop. */
const PACED_BYTES = 512 * 1024;

const IDS = { flags: true, internalDate: true, size: true, guid: true } as const;

/** What one look learned of a mailbox's messages that cannot be had; it outlives the connections that they break. */
export interface Unfetchable {
  /** UIDs that were the next to come when a fetch failed, or that are set aside: each is asked for alone. */
  readonly suspects: Set<number>;
  /** UIDs set aside in this look, or still at rest since an earlier one, with the cause: not asked for again in it. */
  readonly givenUp: Map<number, UnderstudyError>;
  /** Those of them that were not set aside before. */
  readonly newly: Set<number>;
}

export interface FetchJob {
  readonly account: string;
  readonly mailbox: string;
  readonly id: MailboxId;
  /** Ascending. */
  readonly ranges: readonly UidRange[];
  /** Ask for ids and sizes first, and for bodies only that the journal does not hold (copies, moves). */
  readonly idsFirst: boolean;
  readonly unfetchable: Unfetchable;
}

export interface FetchedWindow {
  readonly records: readonly (MessageRecord | SetAsideRecord)[];
  /** All UIDs up to this one have been dealt with. */
  readonly upTo: number;
  /** True for the last window of the job, when everything asked for has been dealt with. */
  readonly last: boolean;
  readonly bytes: number;
}

/**
 * Calls `commit` for each window in ascending order. What was received before a failure is committed too, then
 * the failure is thrown; a UID that seems to break the connection is remembered in `unfetchable`.
 */
export async function fetchMessages(
  context: FollowContext,
  connection: ImapConnection,
  job: FetchJob,
  commit: (window: FetchedWindow) => Promise<void>,
): Promise<void> {
  const windows = [...windowsOf(job.ranges, job.unfetchable.suspects)];
  const begin = (): WindowFetch | undefined => {
    const window = windows.shift();
    return window && new WindowFetch(context, connection, job, window);
  };
  let current = begin();
  while (current) {
    // The next command is on its way while this one's answer comes in, so that the line is never idle.
    const next: WindowFetch | undefined = job.idsFirst ? undefined : begin();
    const last = next === undefined && windows.length === 0;
    try {
      await current.done;
    } catch (error) {
      next?.abandon();
      await commit(current.afterFailure(error));
      throw error;
    }
    await commit({ ...current.result(), last });
    await context.deps.vault.ready();
    current = next ?? begin();
  }
}

/** Failures that a single message can cause, as a corrupt one does on some servers. */
const OF_ONE_MESSAGE = [
  'MAIL_CONNECTION_LOST',
  'MAIL_PROTOCOL_ERROR',
  'MAIL_UNAVAILABLE',
  'MAIL_COMMAND_REFUSED',
  'MAIL_NO_ANSWER',
  'MAIL_LITERAL_TOO_LARGE',
];

function mayBeOneMessage(error: unknown): boolean {
  return OF_ONE_MESSAGE.some((code) => hasCode(error, code));
}

/** Cuts the ranges into windows; a suspect has a window of its own. */
function* windowsOf(ranges: readonly UidRange[], suspects: ReadonlySet<number>): Generator<UidRange[]> {
  if (suspects.size === 0) {
    yield* splitRanges(ranges, WINDOW_UIDS, WINDOW_TEXT_BYTES);
    return;
  }
  let before: UidRange[] = [];
  for (const range of ranges) {
    let from = range.from;
    for (const uid of [...suspects].sort((a, b) => a - b)) {
      if (uid < from || uid > range.to) continue;
      if (uid > from) before.push({ from, to: uid - 1 });
      if (before.length > 0) yield* splitRanges(before, WINDOW_UIDS, WINDOW_TEXT_BYTES);
      before = [];
      yield [{ from: uid, to: uid }];
      from = uid + 1;
    }
    if (from <= range.to) before.push({ from, to: range.to });
  }
  if (before.length > 0) yield* splitRanges(before, WINDOW_UIDS, WINDOW_TEXT_BYTES);
}

class WindowFetch {
  /** Settles when every message of the window has been handled. */
  readonly done: Promise<void>;
  readonly #context: FollowContext;
  readonly #connection: ImapConnection;
  readonly #job: FetchJob;
  readonly #window: readonly UidRange[];
  readonly #records = new Map<number, MessageRecord | SetAsideRecord>();
  /** Whole, but not as long as the server says; or announced without a body. */
  readonly #doubtful = new Map<number, string>();
  #expected: number[] | undefined;
  #abandoned = false;
  /** UID of the message served last. */
  #lastServed = 0;
  #bytes = 0;
  /** Bytes received since the journal was last asked whether it keeps up. */
  #unpaced = 0;

  constructor(
    context: FollowContext,
    connection: ImapConnection,
    job: FetchJob,
    window: readonly UidRange[],
  ) {
    this.#context = context;
    this.#connection = connection;
    this.#job = job;
    this.#window = window;
    this.done = this.#run();
  }

  /** Its outcome is of no interest any more: what it received stays in the journal as bodies without a message. */
  abandon(): void {
    this.#abandoned = true;
    this.done.catch(() => {});
  }

  async #run(): Promise<void> {
    let bodies = this.#window;
    if (this.#job.idsFirst) {
      bodies = await this.#withoutHeldBodies();
      if (bodies.length === 0) return;
    }
    await this.#fetchBodies(bodies);
    // Of an abandoned one the mailbox may not be the open one any more.
    if (this.#doubtful.size > 0 && !this.#abandoned) await this.#askAgain();
  }

  result(): FetchedWindow {
    const records = [...this.#records.values()].sort((a, b) => a.uid - b.uid);
    const upTo = this.#window.at(-1)?.to as number;
    return { records, upTo, last: false, bytes: this.#bytes };
  }

  /**
   * What came before a failure; nothing is said about the UIDs that did not. The message that the server was
   * probably working on is asked for alone from now on; alone already, it is set aside. A refusal comes when the server
   * is through: any that it left out may be the one.
   */
  afterFailure(error: unknown): FetchedWindow {
    if (mayBeOneMessage(error)) {
      const { suspects } = this.#job.unfetchable;
      const isRefused = hasCode(error, 'MAIL_COMMAND_REFUSED');
      for (const uid of this.#missing(isRefused ? 0 : this.#lastServed)) {
        if (suspects.has(uid)) this.#giveUp(uid, error as UnderstudyError);
        suspects.add(uid);
        if (!isRefused) break;
      }
    }
    return { ...this.result(), upTo: 0 };
  }

  #giveUp(uid: number, error: UnderstudyError): void {
    const { id } = this.#job;
    this.#records.set(uid, { t: 'set-aside', id, uid, code: error.code, detail: error.message });
    this.#job.unfetchable.givenUp.set(uid, error);
  }

  /** Servers serve in ascending order: what they skipped before `after` is gone from the mailbox. */
  *#missing(after: number): Iterable<number> {
    const expected = this.#expected ? rangesOfUids(this.#expected) : this.#window;
    for (const { from, to } of expected) {
      for (let uid = Math.max(from, after + 1); uid <= to; uid++) {
        if (!this.#records.has(uid)) yield uid;
      }
    }
  }

  async #withoutHeldBodies(): Promise<UidRange[]> {
    const { vault } = this.#context.deps;
    const wanted: number[] = [];
    await this.#connection.fetch(this.#window, IDS, (message) => {
      const held =
        message.guid !== undefined && message.size !== undefined
          ? vault.bodyByGuid(this.#job.account, message.guid, message.size)
          : undefined;
      if (held) this.#records.set(message.uid, this.#record(message, held));
      else wanted.push(message.uid);
    });
    this.#expected = wanted.sort((a, b) => a - b);
    return rangesOfUids(this.#expected);
  }

  async #fetchBodies(ranges: readonly UidRange[]): Promise<void> {
    const { vault } = this.#context.deps;
    await this.#connection.fetch(ranges, { ...IDS, body: true }, (message) => {
      this.#lastServed = message.uid;
      const fault = faultOf(message);
      if (fault !== undefined) {
        this.#doubtful.set(message.uid, fault);
        return undefined;
      }
      const body = message.body as Buffer;
      this.#bytes += body.length;
      const placed = vault.takeBody(body);
      if (placed instanceof Promise) return placed.then((later) => this.#placed(message, later));
      return this.#placed(message, placed);
    });
  }

  /** The promise holds the server back until the journal keeps up. */
  #placed(message: FetchedMessage, placed: { hash: Uint8Array; size: number }): Promise<void> | undefined {
    this.#records.set(message.uid, this.#record(message, placed));
    this.#doubtful.delete(message.uid);
    this.#unpaced += placed.size;
    if (this.#unpaced < PACED_BYTES) return undefined;
    this.#unpaced = 0;
    return this.#context.deps.vault.ready();
  }

  /** A passing fault is over at the second try; a lasting one is set aside. */
  async #askAgain(): Promise<void> {
    const doubtful = [...this.#doubtful.keys()].sort((a, b) => a - b);
    this.#lastServed = 0;
    await this.#fetchBodies(rangesOfUids(doubtful));
    for (const [uid, fault] of this.#doubtful) {
      const place = `UID ${uid} of ${this.#job.account}/${this.#job.mailbox}`;
      this.#giveUp(uid, mailErrors.make('MAIL_MESSAGE_DAMAGED', `${place}: ${fault}`));
    }
  }

  #record(message: FetchedMessage, body: { hash: Uint8Array; size: number }): MessageRecord {
    return {
      t: 'message',
      id: this.#job.id,
      uid: message.uid,
      hash: body.hash,
      size: body.size,
      flags: message.flags ?? [],
      date: message.internalDate ?? '',
      ...(message.guid === undefined ? {} : { guid: message.guid }),
    };
  }
}

function faultOf(message: FetchedMessage): string | undefined {
  if (!message.body) return 'the server gives no body';
  if (message.size === message.body.length) return undefined;
  return `the server says ${message.size} bytes and serves ${message.body.length}`;
}
