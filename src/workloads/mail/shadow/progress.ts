/** Adds up what accounts report into one line of progress with an estimate of the time left. */
import type { Clock, ProgressListener } from '../../../lib/index.ts';

const REPORT_EVERY_MS = 200;

export class PassProgress {
  readonly #clock: Clock;
  readonly #listener: ProgressListener | undefined;
  readonly #server: string;
  readonly #startMs: number;
  #reportedMs = Number.NEGATIVE_INFINITY;
  #accountsDone = 0;
  #accountsTotal = 0;
  #messagesDone = 0;
  #messagesTotal = 0;
  #totalIsKnown = false;
  #bytesDone = 0;
  #account: string | undefined;

  constructor(server: string, clock: Clock, listener: ProgressListener | undefined) {
    this.#server = server;
    this.#clock = clock;
    this.#listener = listener;
    this.#startMs = clock.monotonicMs();
  }

  /** `messages`: how many are to be fetched in all, when one request told (doveadm). */
  begin(accounts: number, messages?: number): void {
    this.#accountsTotal = accounts;
    this.#totalIsKnown = messages !== undefined;
    this.#messagesTotal = messages ?? 0;
    this.#report(true);
  }

  /** An account was opened and needs so many messages more. */
  found(account: string, messages: number): void {
    this.#account = account;
    if (!this.#totalIsKnown) this.#messagesTotal += messages;
    this.#report(false);
  }

  fetched(messages: number, bytes: number): void {
    this.#messagesDone += messages;
    this.#bytesDone += bytes;
    this.#report(false);
  }

  accountDone(): void {
    this.#accountsDone += 1;
    this.#report(this.#accountsDone === this.#accountsTotal);
  }

  /** Estimated time to the end in ms; undefined while nothing is known. */
  get etaMs(): number | undefined {
    const elapsed = this.#clock.monotonicMs() - this.#startMs;
    const byMessages =
      this.#totalIsKnown && this.#messagesDone > 0
        ? (elapsed / this.#messagesDone) * Math.max(0, this.#messagesTotal - this.#messagesDone)
        : undefined;
    if (byMessages !== undefined) return byMessages;
    if (this.#accountsDone === 0) return undefined;
    return (elapsed / this.#accountsDone) * (this.#accountsTotal - this.#accountsDone);
  }

  #report(always: boolean): void {
    if (!this.#listener) return;
    const now = this.#clock.monotonicMs();
    if (!always && now - this.#reportedMs < REPORT_EVERY_MS) return;
    this.#reportedMs = now;
    const etaMs = this.etaMs;
    this.#listener({
      phase: 'shadow',
      server: this.#server,
      ...(this.#account === undefined ? {} : { account: this.#account }),
      accountsDone: this.#accountsDone,
      accountsTotal: this.#accountsTotal,
      messagesDone: this.#messagesDone,
      ...(this.#messagesTotal === 0
        ? {}
        : { messagesTotal: Math.max(this.#messagesTotal, this.#messagesDone) }),
      bytesDone: this.#bytesDone,
      elapsedMs: now - this.#startMs,
      ...(etaMs === undefined ? {} : { etaMs }),
    });
  }
}
