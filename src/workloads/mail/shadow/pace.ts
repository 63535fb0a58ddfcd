/**
 * How hard we may lean on a live server: the number of accounts looked at together follows its response time.
 * Additive increase, multiplicative decrease, as TCP does: one more after a good stretch, half when it slows.
 */

export interface PaceOptions {
  /** Upper bound: the configured number of connections at work. */
  readonly most: number;
  /** A response slower than this many times the usual one counts as slow... */
  readonly slowFactor?: number;
  /** ...if it also took longer than this, in ms: noise on a fast server is no distress. */
  readonly slowFloorMs?: number;
}

const GOOD_RESPONSES_FOR_ONE_MORE = 20;
/** Weight of a new sample in the usual response time; the usual follows slowly, so that distress stays visible. */
const SAMPLE_WEIGHT = 0.02;

export class Pace {
  readonly #most: number;
  readonly #slowFactor: number;
  readonly #slowFloorMs: number;
  #limit: number;
  #usualMs: number | undefined;
  #good = 0;

  constructor(options: PaceOptions) {
    this.#most = Math.max(1, options.most);
    this.#slowFactor = options.slowFactor ?? 8;
    this.#slowFloorMs = options.slowFloorMs ?? 1_000;
    this.#limit = this.#most;
  }

  /** How many accounts may be looked at together now; at least one. */
  get limit(): number {
    return this.#limit;
  }

  /** One cheap command (LIST, EXAMINE) was answered after `ms`. */
  answered(ms: number): void {
    this.#usualMs ??= ms;
    const slow = ms > this.#slowFloorMs && ms > this.#usualMs * this.#slowFactor;
    this.#usualMs += (ms - this.#usualMs) * SAMPLE_WEIGHT;
    if (slow) {
      this.#limit = Math.max(1, Math.floor(this.#limit / 2));
      this.#good = 0;
      return;
    }
    this.#good += 1;
    if (this.#good >= GOOD_RESPONSES_FOR_ONE_MORE && this.#limit < this.#most) {
      this.#limit += 1;
      this.#good = 0;
    }
  }
}
