/** Holds connections back so that no more than so many bytes a second come from a server, or go to it (token bucket of one second). */
import type { MailServerConfig } from '../../../config/index.ts';
import type { Clock } from '../../../lib/index.ts';
import type { Throttle } from '../imap/index.ts';

/** One for all connections of a server; undefined where it is not bounded. */
export function bandwidthOf({ shadow }: MailServerConfig, clock: Clock): Bandwidth | undefined {
  return shadow.bandwidth === undefined ? undefined : new Bandwidth(clock, shadow.bandwidth);
}

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

  sent(bytes: number): Promise<void> | undefined {
    return this.received(bytes);
  }
}
