/**
 * How long clients were without a server, measured where it happens. A client is its address: mail programs open several connections, and come back
 * with new ones. Its outage begins when it is made to wait, is refused or is ended so that it comes back elsewhere, and ends when a connection of it leads
 * to a server again. Bounded: the oldest are forgotten.
 */
import type { ServiceName } from '../../config/index.ts';
import type { Clock } from '../../lib/index.ts';
import type { ClientOutage, ClientOutages } from '../types.ts';

const REMEMBERED_MOST = 20_000;
/** Told one by one. */
const TOLD_MOST = 200;

export class Outages {
  readonly #service: ServiceName;
  readonly #clock: Clock;
  /** Begins, wall ms, of those that have not ended; in order. */
  readonly #open = new Map<string, number>();
  readonly #ended: ClientOutage[] = [];

  constructor(service: ServiceName, clock: Clock) {
    this.#service = service;
    this.#clock = clock;
  }

  /** May be repeated: the first counts. */
  begins(client: string | undefined): void {
    if (client === undefined || this.#open.has(client)) return;
    this.#open.set(client, this.#clock.wallMs());
    if (this.#open.size <= REMEMBERED_MOST) return;
    for (const oldest of this.#open.keys()) {
      this.#open.delete(oldest);
      return;
    }
  }

  ends(client: string | undefined): void {
    const at = client === undefined ? undefined : this.#open.get(client);
    if (client === undefined || at === undefined) return;
    this.#open.delete(client);
    this.#ended.push({ client, to: this.#service, at, ms: Math.max(0, this.#clock.wallMs() - at) });
    if (this.#ended.length > 2 * REMEMBERED_MOST) this.#ended.splice(0, REMEMBERED_MOST);
  }

  /** Those that ended since, and clients that have not come back. */
  since(wallMs: number): { readonly ended: readonly ClientOutage[]; readonly away: number } {
    return { ended: this.#ended.filter(({ at, ms }) => at + ms >= wallMs), away: this.#open.size };
  }
}

/** Of all services: `before` leaves out what began later. Pure. */
export function sumOfOutages(
  parts: readonly { readonly ended: readonly ClientOutage[]; readonly away: number }[],
  before: number,
): ClientOutages {
  const all = parts
    .flatMap(({ ended }) => ended)
    .filter(({ at }) => at <= before)
    .sort((a, b) => b.ms - a.ms);
  const middle = all[Math.floor(all.length / 2)];
  return {
    measured: all.length,
    medianMs: middle?.ms ?? 0,
    longestMs: all[0]?.ms ?? 0,
    away: parts.reduce((sum, { away }) => sum + away, 0),
    longest: all.slice(0, TOLD_MOST),
  };
}
