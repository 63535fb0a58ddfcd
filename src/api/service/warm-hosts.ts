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
  /** What was last asked to be kept. */
  #wanted: readonly WarmPair[] = [];
  /** Pairs whose standby somebody else writes to just now, and how many. */
  readonly #resting = new Map<string, number>();
  /** One change after the other. */
  #changing: Promise<void> = Promise.resolve();

  constructor(start: (pair: WarmPair) => Promise<ThreadHost>) {
    this.#start = start;
  }

  /** Keeps exactly these warm: others rest, and one whose servers changed is begun anew. May be repeated. */
  keep(pairs: readonly WarmPair[]): Promise<void> {
    return this.#change(async () => {
      this.#wanted = pairs;
      await this.#align();
    });
  }

  /**
   * Lets the standbys on this server rest while `work` writes there by itself, and goes on with them after. Where the service keeps none there,
   * it just does the work.
   */
  async whileResting<T>(target: string, work: () => Promise<T>): Promise<T> {
    const pairs = this.#wanted.filter((place) => place.target === target).map(({ pair }) => pair);
    const count = (by: 1 | -1) => {
      for (const pair of pairs) this.#resting.set(pair, (this.#resting.get(pair) ?? 0) + by);
    };
    count(1);
    try {
      await this.#change(() => this.#align());
      return await work();
    } finally {
      count(-1);
      await this.#change(() => this.#align());
    }
  }

  async #align(): Promise<void> {
    const pairs = this.#wanted.filter(({ pair }) => !this.#resting.get(pair));
    for (const [pair, { place }] of [...this.#kept]) {
      const wanted = pairs.find((one) => one.pair === pair);
      if (wanted?.source !== place.source || wanted.target !== place.target) await this.#stop(pair);
    }
    for (const place of pairs) {
      if (this.#kept.has(place.pair)) continue;
      this.#kept.set(place.pair, { place, thread: await this.#start(place) });
    }
  }

  /** Lets a pair rest: what is being applied ends before this resolves. `keep` goes on with it. May be repeated. */
  pause(pair: string): Promise<void> {
    return this.#change(async () => {
      this.#wanted = this.#wanted.filter((place) => place.pair !== pair);
      await this.#stop(pair);
    });
  }

  /** Whether a standby on this server is kept warm, or would be but for somebody who writes there just now. */
  keepsOn(target: string): boolean {
    return this.#wanted.some((place) => place.target === target);
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
      this.#wanted = [];
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
