/** Holds reading back so that no more than so many bytes a second come from a server (token bucket of one second). */
import type { Clock } from '../../../lib/index.ts';
import type { Throttle } from '../imap/index.ts';

export class Bandwidth implements Throttle {
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  #spentUntilMs: number;

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#spentUntilMs = clock.monotonicMs();
  }

  beforeCommand(): undefined {
    return undefined;
  }

  /** The bytes are paid for after they came; whoever comes next waits until the debt is below a second. */
  received(bytes: number): Promise<void> | undefined {
    const now = this.#clock.monotonicMs();
    this.#spentUntilMs = Math.max(this.#spentUntilMs, now - 1_000) + (bytes / this.#bytesPerSecond) * 1_000;
    const debtMs = this.#spentUntilMs - now;
    return debtMs > 0 ? this.#clock.sleep(debtMs) : undefined;
  }
}
