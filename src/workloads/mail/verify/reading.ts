/**
 * Reads one account for a comparison. A message may break the connection that it is asked for on, as one with a truncated file
 * does on Dovecot, which ends the session in the middle of the answer. Such a message is asked for alone on another connection;
 * when that breaks too the fault is the message's own, and all the others are read on.
 */
import { hasCode, type UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import {
  countOfRanges,
  type FetchHandler,
  type FetchItems,
  type ImapConnection,
  rangesHold,
  type SelectedMailbox,
  type UidRange,
} from '../imap/index.ts';
import type { ConnectionPool } from '../shadow/index.ts';

/** Messages of one account that may break their connections: with more, it is the server that fails. */
const FAULTY_MOST = 200;

export interface FetchRequest {
  readonly ranges: readonly UidRange[];
  /** UIDs in `ranges` that are expected to be there; ascending. One of them is the suspect when a connection breaks. */
  readonly known: readonly number[];
  readonly items: FetchItems;
}

export class AccountReading {
  readonly #pool: ConnectionPool;
  readonly #account: string;
  readonly #signal: AbortSignal | undefined;
  #connection: ImapConnection;
  #faulty = 0;

  /** Errors: those of `ConnectionPool.connect`. */
  static async open(pool: ConnectionPool, account: string, signal?: AbortSignal): Promise<AccountReading> {
    return new AccountReading(pool, account, signal, await pool.connect(account));
  }

  private constructor(
    pool: ConnectionPool,
    account: string,
    signal: AbortSignal | undefined,
    connection: ImapConnection,
  ) {
    this.#pool = pool;
    this.#account = account;
    this.#signal = signal;
    this.#connection = connection;
  }

  /** The one that is open now: `fetch` and `renew` may open another. */
  get connection(): ImapConnection {
    return this.#connection;
  }

  /** Another connection, without a mailbox, where this one has ended. Errors: those of `ConnectionPool.connect`. */
  async renew(): Promise<void> {
    this.#signal?.throwIfAborted();
    if (this.#connection.failure) this.#connection = await this.#pool.connect(this.#account);
  }

  /**
   * As `ImapConnection.fetch` on the open mailbox. Gives the UIDs of `known` that the server cannot serve, with the reason.
   * Errors: what is not the fault of one message.
   */
  async fetch(
    { ranges, known, items }: FetchRequest,
    handle: FetchHandler,
  ): Promise<ReadonlyMap<number, UnderstudyError>> {
    const faulty = new Map<number, UnderstudyError>();
    const served = new Set<number>();
    const mailbox = this.#connection.selected;
    let last = 0;
    const attempt = async (wanted: readonly UidRange[]): Promise<UnderstudyError | undefined> => {
      last = 0;
      try {
        await this.#connection.fetch(wanted, items, (message) => {
          last = message.uid;
          served.add(message.uid);
          return handle(message);
        });
        return undefined;
      } catch (error) {
        this.#signal?.throwIfAborted();
        if (!mayBeOfOneMessage(error)) throw error;
        return error;
      }
    };
    let left = ranges;
    for (;;) {
      const failure = await attempt(left);
      if (!failure) return faulty;
      const missing = known.filter((uid) => !served.has(uid) && rangesHold(left, uid));
      // Servers serve in ascending order; one that is missing before the last may be gone, or refused at the end.
      const suspect = missing.find((uid) => uid > last) ?? missing[0];
      if (suspect === undefined) {
        // A refusal after an answer in which everything came.
        if (!this.#connection.failure && countOfRanges(left) <= known.length) return faulty;
        throw failure;
      }
      await this.#openAgain(mailbox);
      const alone = await attempt([{ from: suspect, to: suspect }]);
      if (alone) {
        this.#faulty += 1;
        if (this.#faulty > FAULTY_MOST) throw alone;
        faulty.set(suspect, alone);
      }
      await this.#openAgain(mailbox);
      left = above(left, suspect);
      if (left.length === 0) return faulty;
    }
  }

  close(): void {
    this.#connection.close();
  }

  async #openAgain(mailbox: SelectedMailbox | undefined): Promise<void> {
    if (!this.#connection.failure || !mailbox) return;
    await this.renew();
    const { uidValidity } = await this.#connection.examine(mailbox.name);
    if (uidValidity !== mailbox.uidValidity) {
      throw mailErrors.make(
        'MAIL_MAILBOX_MOVED',
        `${this.#account}/${mailbox.name} was replaced by another mailbox while it was compared`,
      );
    }
  }
}

/** What a single message can cause, as a corrupt one does on some servers. */
function mayBeOfOneMessage(error: unknown): error is UnderstudyError {
  return [
    'MAIL_CONNECTION_LOST',
    'MAIL_PROTOCOL_ERROR',
    'MAIL_UNAVAILABLE',
    'MAIL_COMMAND_REFUSED',
    'MAIL_LITERAL_TOO_LARGE',
  ].some((code) => hasCode(error, code));
}

function above(ranges: readonly UidRange[], uid: number): UidRange[] {
  return ranges.filter(({ to }) => to > uid).map(({ from, to }) => ({ from: Math.max(from, uid + 1), to }));
}
