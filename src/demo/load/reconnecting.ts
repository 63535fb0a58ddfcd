/** What every client does about its connection: the loop, the pauses, and what is noted of it. */
import { type Clock, messageOf } from '../../lib/index.ts';
import { type Gap, Successes } from './successes.ts';

interface Note {
  readonly atMs: number;
  readonly what: 'reconnect' | 'error';
  readonly words: string;
}

/** The notes of one client. */
export class Diary {
  readonly #clock: Clock;
  readonly #successes = new Successes();
  readonly #notes: Note[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  succeeded(): void {
    this.#successes.add(this.#clock.monotonicMs());
  }

  reconnected(): void {
    this.#notes.push({ atMs: this.#clock.monotonicMs(), what: 'reconnect', words: '' });
  }

  failed(error: unknown): void {
    this.#notes.push({ atMs: this.#clock.monotonicMs(), what: 'error', words: messageOf(error) });
  }

  get lastSuccessMs(): number | undefined {
    return this.#successes.last;
  }

  count(what: Note['what']): number {
    return this.#notes.filter((note) => note.what === what).length;
  }

  between(sinceMs: number, untilMs: number): Gap & { reconnects: number; lastError?: string } {
    const gap = this.#successes.longestGap(sinceMs, untilMs, this.#clock.monotonicMs());
    const notes = this.#notes.filter(({ atMs }) => atMs >= sinceMs && atMs <= (gap.toMs ?? Infinity));
    const lastError = notes.findLast(({ what }) => what === 'error')?.words;
    return {
      ...gap,
      reconnects: notes.filter(({ what }) => what === 'reconnect').length,
      ...(lastError === undefined ? {} : { lastError }),
    };
  }
}

/** Pauses that grow by half up to four times the first, and are forgotten by a success. */
export class Pauses {
  readonly #firstMs: number;
  #nextMs: number;

  constructor(firstMs: number) {
    this.#firstMs = firstMs;
    this.#nextMs = firstMs;
  }

  next(): number {
    const now = this.#nextMs;
    this.#nextMs = Math.min(this.#firstMs * 4, now * 1.5);
    return now;
  }

  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}

/** Sleeps, and resolves early and quietly when the signal aborts. */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await clock.sleep(ms, signal).catch(() => {
    // Stopped: whoever pauses looks at the signal.
  });
}
