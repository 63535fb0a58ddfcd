/** The threads that keep standbys warm, one for each pair, as the main thread sees them. */
import type { Lsn } from '../../journal/index.ts';
import type { HeldBurst, WarmLive, WarmPair, WarmStandbys } from '../core.ts';
import { asOperatingError } from '../defects.ts';
import { apiErrors } from '../errors.ts';
import type { WarmThreadMetrics } from '../threads.ts';
import type { ThreadHost } from './thread-host.ts';

interface Kept {
  readonly place: WarmPair;
  readonly thread: ThreadHost;
}

export class WarmHosts implements Omit<WarmStandbys, 'held'> {
  readonly #start: (pair: WarmPair) => Promise<ThreadHost>;
  readonly #kept = new Map<string, Kept>();
  /** One change after the other. */
  #changing: Promise<void> = Promise.resolve();

  constructor(start: (pair: WarmPair) => Promise<ThreadHost>) {
    this.#start = start;
  }

  /** Keeps exactly these warm: others rest, and one whose servers changed is begun anew. May be repeated. */
  keep(pairs: readonly WarmPair[]): Promise<void> {
    return this.#change(async () => {
      for (const [pair, { place }] of [...this.#kept]) {
        const wanted = pairs.find((one) => one.pair === pair);
        if (wanted?.source !== place.source || wanted.target !== place.target) await this.#stop(pair);
      }
      for (const place of pairs) {
        if (this.#kept.has(place.pair)) continue;
        this.#kept.set(place.pair, { place, thread: await this.#start(place) });
      }
    });
  }

  /** Lets a pair rest: what is being applied ends before this resolves. `keep` goes on with it. May be repeated. */
  pause(pair: string): Promise<void> {
    return this.#change(() => this.#stop(pair));
  }

  /** Whether the pair is kept warm now. */
  keeps(pair: string): boolean {
    return this.#kept.has(pair);
  }

  async status(pair: string): Promise<WarmLive | undefined> {
    const kept = this.#kept.get(pair);
    if (kept === undefined) return undefined;
    try {
      return await kept.thread.call('warmStatus', undefined);
    } catch (error) {
      const { code, message, remedy } = asOperatingError(error);
      return { ...kept.place, phase: 'down', problem: { code, message, remedy } };
    }
  }

  async caughtUp(pair: string, lsn: Lsn, signal: AbortSignal): Promise<void> {
    await this.#thread(pair).call('warmCaughtUp', { lsn }, { signal });
  }

  async look(pair: string, accounts: readonly string[]): Promise<void> {
    await this.#thread(pair).call('warmLook', { accounts });
  }

  async accept(pair: string, account?: string): Promise<readonly HeldBurst[]> {
    return this.#thread(pair).call('warmAccept', account === undefined ? {} : { account });
  }

  /** Figures for Prometheus; a thread that is down has none. */
  async metrics(): Promise<ReadonlyMap<string, WarmThreadMetrics>> {
    const all = await Promise.all(
      [...this.#kept].map(async ([pair, { thread }]) => {
        const figures = thread.up
          ? await thread.call('warmMetrics', undefined).catch(() => undefined)
          : undefined;
        return [pair, figures ?? { restarts: 0, errorsByCode: {} }] as const;
      }),
    );
    return new Map(all);
  }

  async stop(): Promise<void> {
    await this.#change(async () => {
      await Promise.all([...this.#kept.keys()].map((pair) => this.#stop(pair)));
    });
  }

  async #stop(pair: string): Promise<void> {
    const kept = this.#kept.get(pair);
    this.#kept.delete(pair);
    await kept?.thread.stop();
  }

  #thread(pair: string): ThreadHost {
    const kept = this.#kept.get(pair);
    if (kept !== undefined) return kept.thread;
    throw apiErrors.make('API_STANDBY_NOT_WARM', `the standby of ${pair} is not kept warm now`);
  }

  #change(work: () => Promise<void>): Promise<void> {
    const change = this.#changing.then(work);
    this.#changing = change.catch(() => {
      // Whoever asked for the change is told; the next one begins all the same.
    });
    return change;
  }
}
