/**
 * Pushed events that a live server was let go on with before the journal had them, and that are not known to be in it yet: what a
 * synchronously protected server may lose all the same. An event leaves when its own look ends well, or when a whole pass has ended that
 * began after it.
 */
import type { Clock } from '../lib/index.ts';
import { asOperatingError } from './defects.ts';

interface Open {
  /** Their looks are under way. */
  readonly pending: Set<{ readonly atMs: number }>;
  /** Their looks have failed; by minute, for a server may go on for days with nobody asking how many there are. */
  readonly failed: Map<number, { count: number; lastAtMs: number }>;
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
  note(server: string, committed: Promise<unknown>): void {
    const open = this.#open.get(server) ?? { pending: new Set(), failed: new Map() };
    this.#open.set(server, open);
    const event = { atMs: this.#clock.wallMs() };
    open.pending.add(event);
    committed.then(
      () => open.pending.delete(event),
      (error: unknown) => {
        // Whoever waited for the event has heard why; a pass will find the change.
        const isOpen = open.pending.delete(event);
        if (isOpen && asOperatingError(error).code !== 'MAIL_ACCOUNT_NOT_FOLLOWED')
          addFailed(open, event.atMs);
      },
    );
  }

  /** How many are open now. `lastPassAt`: when the last whole pass over the server ended, ms since 1970. */
  count(server: string, lastPassAt: number | undefined): number {
    const open = this.#open.get(server);
    if (open === undefined) return 0;
    const { pending, failed } = open;
    const isFound = (atMs: number) => lastPassAt !== undefined && lastPassAt - PASS_MOST_MS > atMs;
    for (const event of pending) if (isFound(event.atMs)) pending.delete(event);
    let count = pending.size;
    for (const [minute, events] of failed) {
      if (isFound(events.lastAtMs)) failed.delete(minute);
      else count += events.count;
    }
    return count;
  }
}

function addFailed({ failed }: Open, atMs: number): void {
  const minute = Math.floor(atMs / 60_000);
  const { count = 0, lastAtMs = atMs } = failed.get(minute) ?? {};
  failed.set(minute, { count: count + 1, lastAtMs: Math.max(lastAtMs, atMs) });
  if (failed.size <= MINUTES_MOST) return;
  const [oldest = minute, next = minute] = [...failed.keys()].sort((a, b) => a - b);
  const early = failed.get(oldest);
  const later = failed.get(next);
  if (!early || !later) return;
  // None of them is forgotten; the older ones count as the later ones do.
  failed.set(next, { ...later, count: early.count + later.count });
  failed.delete(oldest);
}

const MINUTES_MOST = 1_440;

/** A pass is taken to have begun so long before its end, for it is not told when. */
const PASS_MOST_MS = 60_000;
