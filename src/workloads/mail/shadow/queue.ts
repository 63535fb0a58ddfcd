/**
 * Which accounts are to be looked at, and who waits for it.
 *
 * An account is idle, queued, running, or running and queued again (something happened after the run had
 * begun, so that run may have missed it). `mark` resolves with the outcome of the first run that *began*
 * after it: that is what makes an answer to a pushed event a promise about the journal.
 *
 *     idle ──mark──► queued ──take──► running ──finish──► idle
 *                                        │ mark
 *                                        ▼
 *                                 running + queued ──finish──► queued
 */

/** What to look at: the whole account, or these mailboxes of it (by decoded name). */
export type Scope = 'account' | ReadonlySet<string>;

/** `now` goes before `soon`: pushed and watched events before sweeps, retries and baselines. */
export type Urgency = 'now' | 'soon';

/** All that was asked for together: the names are looked at by themselves also where the whole account is. */
export interface LookScope {
  readonly whole: boolean;
  readonly named: ReadonlySet<string>;
}

export interface Task<Outcome> {
  readonly account: string;
  readonly scope: LookScope;
  readonly urgency: Urgency;
  /** Call exactly once, when the run is over; the account may be taken again after it. */
  finish(outcome: Outcome): void;
}

interface Waiting<Outcome> {
  scope: LookScope;
  urgency: Urgency;
  readonly resolvers: ((outcome: Outcome) => void)[];
}

export class AccountQueue<Outcome> {
  readonly #queued = new Map<string, Waiting<Outcome>>();
  readonly #now = new Set<string>();
  readonly #soon = new Set<string>();
  readonly #running = new Set<string>();
  readonly #onWork: () => void;

  /** `onWork` is called when `take` may have something to give. */
  constructor(onWork: () => void) {
    this.#onWork = onWork;
  }

  /** Accounts waiting, running ones that are queued again included. */
  get depth(): number {
    return this.#queued.size;
  }

  get running(): number {
    return this.#running.size;
  }

  isIdle(account: string): boolean {
    return !this.#queued.has(account) && !this.#running.has(account);
  }

  mark(account: string, scope: Scope, urgency: Urgency): Promise<Outcome> {
    const waiting = this.#queued.get(account) ?? { scope: NOTHING, urgency, resolvers: [] };
    waiting.scope = widen(waiting.scope, scope);
    if (urgency === 'now') waiting.urgency = 'now';
    this.#queued.set(account, waiting);
    const promise = new Promise<Outcome>((resolve) => waiting.resolvers.push(resolve));
    if (!this.#running.has(account)) this.#enqueue(account, waiting.urgency);
    this.#onWork();
    return promise;
  }

  /** The most urgent account that is not running, oldest first; undefined when there is none. `least`: only those as urgent. */
  take(least: Urgency = 'soon'): Task<Outcome> | undefined {
    const account = first(this.#now) ?? (least === 'soon' ? first(this.#soon) : undefined);
    if (account === undefined) return undefined;
    this.#now.delete(account);
    this.#soon.delete(account);
    const waiting = this.#queued.get(account) as Waiting<Outcome>;
    this.#queued.delete(account);
    this.#running.add(account);
    return {
      account,
      scope: waiting.scope,
      urgency: waiting.urgency,
      finish: (outcome) => {
        this.#running.delete(account);
        const again = this.#queued.get(account);
        if (again) this.#enqueue(account, again.urgency);
        for (const resolve of waiting.resolvers) resolve(outcome);
        this.#onWork();
      },
    };
  }

  /** Answers everybody who waits for an account that has not begun, and forgets it: used when stopping. */
  drain(outcome: (account: string) => Outcome): void {
    const queued = [...this.#queued];
    this.#queued.clear();
    this.#now.clear();
    this.#soon.clear();
    for (const [account, waiting] of queued) {
      for (const resolve of waiting.resolvers) resolve(outcome(account));
    }
  }

  #enqueue(account: string, urgency: Urgency): void {
    if (urgency === 'now') {
      this.#soon.delete(account);
      this.#now.add(account);
    } else if (!this.#now.has(account)) {
      this.#soon.add(account);
    }
  }
}

const NOTHING: LookScope = { whole: false, named: new Set() };

function widen({ whole, named }: LookScope, scope: Scope): LookScope {
  return scope === 'account' ? { whole: true, named } : { whole, named: new Set([...named, ...scope]) };
}

function first<T>(set: Set<T>): T | undefined {
  return set.values().next().value;
}
