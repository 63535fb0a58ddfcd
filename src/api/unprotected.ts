/**
 * Pushed events that a live server was let go on with before the journal had them, and that are not known to be in it yet: what a
 * synchronously protected server may lose all the same. An event leaves when its own look ends well, or when a whole pass has ended that
 * began after it and could read its account.
 */
import type { Clock } from '../lib/index.ts';
import type { ShadowStatus } from '../workloads/mail/index.ts';
import { asOperatingError } from './defects.ts';

/** The last whole pass over a server that has ended. */
export type LastPass = NonNullable<ShadowStatus['lastPass']>;

interface Open {
  /** Their looks are under way. */
  readonly pending: Set<{ readonly account: string; readonly atMs: number }>;
  /** Their looks have failed; per account by minute, for a server may go on for days with nobody asking how many there are. */
  readonly failed: Map<string, Failed[]>;
}

/** Those of one minute, or of all before it. */
interface Failed {
  readonly minute: number;
  count: number;
  lastAtMs: number;
}

export class UnprotectedEvents {
  readonly #clock: Clock;
  readonly #open = new Map<string, Open>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * `committed` resolves when the journal has the event after all; when it rejects the event stays open until a pass, but for one of an
   * account that is not followed: nothing of it was ever to be protected.
   */
  note(server: string, account: string, committed: Promise<unknown>): void {
    const open = this.#open.get(server) ?? { pending: new Set(), failed: new Map() };
    this.#open.set(server, open);
    const event = { account, atMs: this.#clock.wallMs() };
    open.pending.add(event);
    committed.then(
      () => open.pending.delete(event),
      (error: unknown) => {
        // Whoever waited for the event has heard why; a pass will find the change.
        const isOpen = open.pending.delete(event);
        if (isOpen && asOperatingError(error).code !== 'MAIL_ACCOUNT_NOT_FOLLOWED') addFailed(open, event);
      },
    );
  }

  /** How many are open now. */
  count(server: string, lastPass: LastPass | undefined): number {
    const open = this.#open.get(server);
    if (open === undefined) return 0;
    const { pending, failed } = open;
    const unread = new Set(lastPass?.unread);
    const isFound = (account: string, atMs: number) =>
      lastPass !== undefined && lastPass.beganAt > atMs && !unread.has(account);
    for (const event of pending) if (isFound(event.account, event.atMs)) pending.delete(event);
    let count = pending.size;
    for (const [account, minutes] of failed) {
      const left = minutes.filter(({ lastAtMs }) => !isFound(account, lastAtMs));
      if (left.length === 0) failed.delete(account);
      else failed.set(account, left);
      for (const events of left) count += events.count;
    }
    return count;
  }
}

function addFailed({ failed }: Open, { account, atMs }: { account: string; atMs: number }): void {
  const minutes = failed.get(account) ?? [];
  failed.set(account, minutes);
  const minute = Math.floor(atMs / 60_000);
  const events = minutes.find((known) => known.minute === minute);
  if (events) {
    events.count += 1;
    events.lastAtMs = Math.max(events.lastAtMs, atMs);
    return;
  }
  minutes.push({ minute, count: 1, lastAtMs: atMs });
  minutes.sort((a, b) => a.minute - b.minute);
  const [oldest, next] = minutes;
  if (minutes.length <= MINUTES_MOST || !oldest || !next) return;
  // None of them is forgotten; the older ones count as the later ones do.
  next.count += oldest.count;
  minutes.shift();
}

/** Minutes of one account that are told apart. */
const MINUTES_MOST = 60;
