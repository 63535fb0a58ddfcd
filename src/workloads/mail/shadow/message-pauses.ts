/**
 * When a message that is set aside because asking for it costs the connection is asked for again. A damaged one costs
 * nothing and is asked for at every look; these would take from each look what it has to do beside them.
 */
import type { MailboxId } from '../../../journal/index.ts';
import { type Clock, hasCode, type UnderstudyError } from '../../../lib/index.ts';

/** More than an account's own first pauses, so that it has looks between two tries in which all else is done. */
const FIRST_MS = 30_000;
const MOST_MS = 30 * 60_000;

interface Pause {
  readonly error: UnderstudyError;
  readonly lengthMs: number;
  readonly endsAtMs: number;
}

export class MessagePauses {
  readonly #clock: Clock;
  readonly #byMailbox = new Map<MailboxId, Map<number, Pause>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  failed(id: MailboxId, uid: number, error: UnderstudyError): void {
    if (hasCode(error, 'MAIL_MESSAGE_DAMAGED')) return;
    const pauses = this.#byMailbox.get(id) ?? new Map<number, Pause>();
    const before = pauses.get(uid);
    const lengthMs = before ? Math.min(before.lengthMs * 2, MOST_MS) : FIRST_MS;
    pauses.set(uid, { error, lengthMs, endsAtMs: this.#clock.monotonicMs() + lengthMs });
    this.#byMailbox.set(id, pauses);
  }

  /** Why the message is not asked for now; undefined when it is. */
  paused(id: MailboxId, uid: number): UnderstudyError | undefined {
    const pause = this.#byMailbox.get(id)?.get(uid);
    return pause !== undefined && pause.endsAtMs > this.#clock.monotonicMs() ? pause.error : undefined;
  }

  /** Mailboxes that have such messages. */
  get mailboxes(): number {
    return this.#byMailbox.size;
  }

  /** The mailbox is gone. */
  forget(id: MailboxId): void {
    this.#byMailbox.delete(id);
  }

  /** Forgets those of the mailbox that are not set aside any more. */
  keepOnly(id: MailboxId, setAside: ReadonlySet<number>): void {
    const pauses = this.#byMailbox.get(id);
    if (!pauses) return;
    for (const uid of pauses.keys()) if (!setAside.has(uid)) pauses.delete(uid);
    if (pauses.size === 0) this.#byMailbox.delete(id);
  }
}
