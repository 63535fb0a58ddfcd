/** What a bringing up has done so far: one for all accounts. */
import type { Clock, ProgressListener } from '../../../lib/index.ts';
import type { Problem } from '../types.ts';
import type { KeptAside, NotKept, Repair } from './types.ts';

export class Tally {
  accountsDone = 0;
  mailboxes = 0;
  wanted = 0;
  present = 0;
  restored = 0;
  bytes = 0;
  flagsSet = 0;
  readonly kept: KeptAside[] = [];
  readonly repaired: Repair[] = [];
  readonly notKept: NotKept[] = [];
  readonly problems: Problem[] = [];
  readonly #clock: Clock;
  readonly #progress: ProgressListener | undefined;
  readonly #totals: { readonly server: string; readonly accounts: number; readonly messages: number };
  readonly #began: number;

  constructor(
    clock: Clock,
    totals: { server: string; accounts: number; messages: number },
    progress: ProgressListener | undefined,
  ) {
    this.#clock = clock;
    this.#totals = totals;
    this.#progress = progress;
    this.#began = clock.monotonicMs();
  }

  get elapsedMs(): number {
    return this.#clock.monotonicMs() - this.#began;
  }

  tell(account: string, mailbox?: string): void {
    const { elapsedMs } = this;
    const done = this.present + this.restored;
    const left = Math.max(0, this.#totals.messages - done);
    this.#progress?.({
      phase: 'restore',
      server: this.#totals.server,
      account,
      ...(mailbox === undefined ? {} : { mailbox }),
      accountsDone: this.accountsDone,
      accountsTotal: this.#totals.accounts,
      messagesDone: done,
      messagesTotal: this.#totals.messages,
      bytesDone: this.bytes,
      elapsedMs,
      ...(done > 0 ? { etaMs: (elapsedMs / done) * left } : {}),
    });
  }
}
