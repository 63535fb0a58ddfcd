/**
 * The one place that reads the system's clocks. Durations come from the monotonic clock, records from the
 * wall clock; both behind one interface that tests drive (`TestClock`).
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. For durations and deadlines. */
  monotonicMs(): number;
  /** Milliseconds since 1970-01-01 UTC; may jump. For records. */
  wallMs(): number;
  /** Resolves after `ms`, or rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: async (ms, signal) => {
    for (let left = ms; ; left -= TIMER_MOST_MS) {
      await delay(Math.min(left, TIMER_MOST_MS), undefined, signal ? { signal } : {});
      if (left <= TIMER_MOST_MS) return;
    }
  },
};

/** A timer of Node.js that is longer, of about 25 days, ends at once: https://nodejs.org/api/timers.html#settimeoutcallback-delay-args */
const TIMER_MOST_MS = 2 ** 31 - 1;

/** A clock that moves only when told to; wall and monotonic time can be moved apart. */
export class TestClock implements Clock {
  #monotonicMs = 0;
  #wallMs: number;
  readonly #sleepers = new Set<{ at: number; wake: () => void }>();

  constructor(wallMs = Date.parse('2026-01-01T00:00:00Z')) {
    this.#wallMs = wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleeper = { at: this.#monotonicMs + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', () => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason);
      });
    });
  }

  /** Moves both clocks on and wakes who slept until then. */
  advance(ms: number): void {
    this.#monotonicMs += ms;
    this.#wallMs += ms;
    for (const sleeper of [...this.#sleepers]) {
      if (sleeper.at <= this.#monotonicMs) {
        this.#sleepers.delete(sleeper);
        sleeper.wake();
      }
    }
  }

  /** Sets the wall clock alone, as an administrator or NTP does. */
  jumpWall(toMs: number): void {
    this.#wallMs = toMs;
  }
}
