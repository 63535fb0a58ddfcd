/**
 * Pushed events that a live server was let go on with before the journal had them, and that are not known to be in it yet: what a
 * synchronously protected server may lose all the same. An event leaves when its own look ends well, or when a whole pass has ended that
 * began after it.
 */
import type { Clock } from '../lib/index.ts';

export class UnprotectedEvents {
  readonly #clock: Clock;
  readonly #open = new Map<string, Set<{ readonly atMs: number }>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `committed` resolves when the journal has the event after all; when it rejects the event stays open until a pass. */
  note(server: string, committed: Promise<unknown>): void {
    const event = { atMs: this.#clock.wallMs() };
    const events = this.#open.get(server) ?? new Set();
    this.#open.set(server, events.add(event));
    committed.then(
      () => events.delete(event),
      () => {
        // Whoever waited for the event has heard why; a pass will find the change.
      },
    );
  }

  /** How many are open now. `lastPassAt`: when the last whole pass over the server ended, ms since 1970. */
  count(server: string, lastPassAt: number | undefined): number {
    const events = this.#open.get(server);
    if (events === undefined) return 0;
    for (const event of events) {
      if (lastPassAt !== undefined && lastPassAt - PASS_MOST_MS > event.atMs) events.delete(event);
    }
    return events.size;
  }
}

/** A pass is taken to have begun so long before its end, for it is not told when. */
const PASS_MOST_MS = 60_000;
