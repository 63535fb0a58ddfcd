/**
 * Follows the accounts of one server: takes them from the queue, as many at once as the server bears, and looks at
 * each. One account's failure is its own; a failure of the whole server (it does not answer, it refuses the master
 * user) or of our disk stops the taking until it is over.
 */
import { hasCode, type UnderstudyError } from '../../../lib/index.ts';
import type { ActionOptions, Burst, MailDeps, Problem, ShadowSummary } from '../types.ts';
import { followAccount } from './account.ts';
import { listAccounts } from './accounts.ts';
import { bandwidthOf } from './bandwidth.ts';
import { ConnectionPool } from './connection-pool.ts';
import { type AccountOutcome, type Counters, type FollowContext, forgetMailbox } from './context.ts';
import { MessagePauses } from './message-pauses.ts';
import { Pace } from './pace.ts';
import { AccountProblems, problemOf } from './problems.ts';
import { PassProgress } from './progress.ts';
import { AccountQueue, type Scope, type Task, type Urgency } from './queue.ts';
import { ServerFailures } from './server-failures.ts';

const DISK_FAILURES = ['JOURNAL_STORAGE_FULL', 'JOURNAL_STORAGE_FAILED', 'CATALOG_STORAGE_FAILED'];

/** More accounts than this share gone at once look like a broken source of accounts; they get a checkpoint before. */
const ACCOUNTS_GONE_SHARE = 0.3;

export type LookResult =
  | { readonly ok: true; readonly outcome: AccountOutcome }
  | { readonly ok: false; readonly error: unknown };

export interface Trouble {
  readonly kind: 'server' | 'disk';
  readonly error: UnderstudyError;
}

export interface PassOptions extends ActionOptions {
  readonly fallBack?: boolean;
}

export class Follower {
  readonly context: FollowContext;
  readonly problems: AccountProblems;
  readonly queue: AccountQueue<LookResult>;
  /** Last bursts of removals, newest last. */
  readonly bursts: Burst[] = [];
  readonly #deps: MailDeps;
  /** When the account was first marked since its last look began, for the lag. */
  readonly #markedAtMs = new Map<string, number>();
  readonly #lookingSinceMs = new Map<string, number>();
  readonly #failures = new ServerFailures();
  #trouble: Trouble | undefined;
  /** The last one that began, over or not. */
  #lastTrouble: Trouble | undefined;
  #passes = 0;
  #known: ReadonlySet<string> | undefined;
  readonly #accounts = Promise.withResolvers<ReadonlySet<string>>();
  #stopped = false;
  readonly #stopping = new AbortController();
  /** Looks under way. */
  readonly #active = { now: 0, soon: 0 };
  #idle: (() => void)[] = [];
  /** Why the last pass had to do without the source of accounts. */
  sourceProblem: Problem | undefined;
  /** Told when trouble begins; `clearTrouble` ends it. */
  onTrouble: (trouble: Trouble) => void = () => {};
  /** Told after each look that changed something of what was known: who is active. */
  onChange: (account: string) => void = () => {};

  constructor(deps: MailDeps) {
    const { shadow } = deps.config;
    const bandwidth = bandwidthOf(deps.config, deps.clock);
    const counters: Counters = {
      bytesFetched: 0,
      recordsCommitted: 0,
      messagesAdded: 0,
      flagsChanged: 0,
      messagesRemoved: 0,
    };
    this.#deps = deps;
    this.problems = new AccountProblems(deps.clock);
    this.queue = new AccountQueue(() => this.#work());
    this.context = {
      deps,
      pool: new ConnectionPool(deps, {
        keepWarm: shadow.keepWarm,
        ...(bandwidth === undefined ? {} : { bandwidth }),
      }),
      pace: new Pace({ most: shadow.connections }),
      counters,
      progress: undefined,
      movedOn: new Set(),
      pauses: new MessagePauses(deps.clock),
      suspects: new Map(),
      removalsHeldSinceMs: new Map(),
      onBurst: (burst) => this.#burst(burst),
    };
  }

  get trouble(): Trouble | undefined {
    return this.#trouble;
  }

  /** Whether a pass failed because of the trouble that began last, which may be over. */
  isTrouble(error: unknown): boolean {
    return this.#lastTrouble !== undefined && error === this.#lastTrouble.error;
  }

  /** Age in ms of the oldest change that was announced and is not committed; 0 when there is none. */
  get uncommittedMs(): number {
    const now = this.#deps.clock.monotonicMs();
    let oldest = now;
    for (const since of this.#markedAtMs.values()) oldest = Math.min(oldest, since);
    for (const since of this.#lookingSinceMs.values()) oldest = Math.min(oldest, since);
    return now - oldest;
  }

  /** The accounts that the source named last. */
  get known(): readonly string[] {
    return [...(this.#known ?? [])];
  }

  /** How many those are; undefined before the first answer of the source. */
  get named(): number | undefined {
    return this.#known?.size;
  }

  /** Whether the account is one of this server's; waits for the first answer of their source. */
  async follows(account: string): Promise<boolean> {
    return (this.#known ?? (await this.#accounts.promise)).has(account);
  }

  /** Looks at the account soon; resolves with the outcome of a look that begins after this call. Never rejects. */
  look(account: string, scope: Scope, urgency: Urgency): Promise<LookResult> {
    if (this.#stopped) return Promise.resolve({ ok: false, error: new Error('the follower has stopped') });
    if (this.#trouble) return Promise.resolve({ ok: false, error: this.#trouble.error });
    if (!this.#markedAtMs.has(account)) this.#markedAtMs.set(account, this.#deps.clock.monotonicMs());
    return this.queue.mark(account, scope, urgency);
  }

  /**
   * One pass: every account that may have changed is looked at. With problems the summary names them; a failure of
   * the whole server or of the journal is thrown, also one that is over by then: what waited for its turn was dropped, and nobody
   * has looked at it. `fallBack`: when the source of accounts is down, those known are taken.
   */
  async pass(options: PassOptions = {}): Promise<ShadowSummary> {
    const { clock, vault } = this.#deps;
    const progress = new PassProgress(this.#deps.server, clock, options.progress);
    const { accounts, changed, messages, statusProblem, sourceProblem } = await this.#listAccounts({
      everyAccount: this.#passes % EVERY_ACCOUNT_PASSES === EVERY_ACCOUNT_PASSES - 1,
      fallBack: options.fallBack ?? false,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    this.#passes += 1;
    options.signal?.throwIfAborted();
    // Also those that were named since: to learn which of them changed takes long, and they may have been looked at already.
    const named = new Set([...accounts, ...this.known]);
    this.problems.keepOnly(named);
    this.sourceProblem = sourceProblem;
    const problems = [sourceProblem, statusProblem].filter((problem) => problem !== undefined);
    await this.#accountsGone(named);
    const due = this.#due(changed);
    progress.begin(due.length, messages);
    this.context.progress = progress;
    const stop = () => this.queue.drain(() => ({ ok: false, error: options.signal?.reason }));
    options.signal?.addEventListener('abort', stop, { once: true });
    const before = this.#trouble ? undefined : this.#lastTrouble;
    const totals = { mailboxes: 0, added: 0, flagsChanged: 0, removed: 0, bytes: 0 };
    try {
      await Promise.all(
        due.map(async (account) => {
          const result = await this.look(account, 'account', 'soon');
          progress.accountDone();
          if (!result.ok) return;
          totals.mailboxes += result.outcome.mailboxes;
          totals.added += result.outcome.added;
          totals.flagsChanged += result.outcome.flagsChanged;
          totals.removed += result.outcome.removed;
          totals.bytes += result.outcome.bytes;
          for (const { mailbox, uid, error } of result.outcome.setAside) {
            problems.push({ ...problemOf(account, error), mailbox, uid });
          }
        }),
      );
    } finally {
      options.signal?.removeEventListener('abort', stop);
      this.context.progress = undefined;
    }
    options.signal?.throwIfAborted();
    if (this.#stopped) throw new Error('the follower has stopped');
    if (this.#lastTrouble && this.#lastTrouble !== before) throw this.#lastTrouble.error;
    await this.#checkpoint();
    return {
      lsn: vault.committedLsn,
      accounts: accounts.length,
      mailboxes: totals.mailboxes,
      messagesAdded: totals.added,
      flagsChanged: totals.flagsChanged,
      messagesRemoved: totals.removed,
      bytesFetched: totals.bytes,
      problems: [...problems, ...this.problems.list()],
    };
  }

  /**
   * Looks at every account that may have changed and is not being looked at, without waiting for any: a pass ends when its
   * slowest account does. Errors: those of the source of accounts.
   */
  async markIdle(signal: AbortSignal): Promise<void> {
    const { changed } = await this.#listAccounts({ everyAccount: false, fallBack: true, signal });
    for (const account of this.#due(changed)) {
      if (this.queue.isIdle(account)) void this.look(account, 'account', 'soon');
    }
  }

  /** With those whose problem is not known to be over: that nothing changed on the server does not end it. */
  #due(changed: readonly string[]): string[] {
    const named = ({ account }: Problem) => (this.#known?.has(account) ? [account] : []);
    const troubled = this.problems.list().flatMap(named);
    return [...new Set([...changed, ...troubled])].filter((account) => !this.problems.isSetAside(account));
  }

  /** Pushed events of an account are followed from the moment on that it is named. */
  #listAccounts(options: { everyAccount: boolean; fallBack: boolean; signal?: AbortSignal }) {
    return listAccounts(this.context, {
      ...options,
      known: this.#known ?? [],
      onNamed: (named) => {
        this.#known = new Set(named);
        this.#accounts.resolve(this.#known);
      },
    });
  }

  /** Ends the trouble and goes on. */
  clearTrouble(): void {
    this.#trouble = undefined;
    this.#failures.forget();
    this.#work();
  }

  /** Looks under way are finished, what waits is answered with an error, connections are closed. May be called twice. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.queue.drain(() => ({ ok: false, error: new Error('the follower has stopped') }));
    const closing = this.#deps.clock.sleep(STOP_WITHIN_MS, this.#stopping.signal).then(
      () => this.context.pool.close(),
      () => {}, // everything ended before
    );
    if (this.#busy > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#stopping.abort();
    await closing;
    this.context.pool.close();
  }

  #work(): void {
    while (!this.#stopped && !this.#trouble) {
      const { limit } = this.context.pace;
      // A baseline takes minutes an account, and a pass may look at all of them: what is pushed never waits for their
      // places, and has twice as many of its own.
      const pushedMost = Math.max(2 * limit, this.#deps.config.shadow.connections);
      const task =
        this.#busy < limit
          ? this.queue.take()
          : this.#active.now < pushedMost
            ? this.queue.take('now')
            : undefined;
      if (!task) return;
      this.#active[task.urgency] += 1;
      void this.#look(task).then((result) => {
        this.#active[task.urgency] -= 1;
        if (this.#busy === 0) for (const resolve of this.#idle.splice(0)) resolve();
        task.finish(result);
      });
    }
  }

  get #busy(): number {
    return this.#active.now + this.#active.soon;
  }

  async #look(task: Task<LookResult>): Promise<LookResult> {
    const { account } = task;
    this.#lookingSinceMs.set(account, this.#markedAtMs.get(account) ?? this.#deps.clock.monotonicMs());
    this.#markedAtMs.delete(account);
    try {
      const outcome = await followAccount(this.context, account, task.scope);
      // The mailbox that was the problem may be another one than those that were looked at.
      if (outcome.isWhole) this.problems.recovered(account);
      this.#failures.well();
      const isChanged = outcome.added + outcome.flagsChanged + outcome.removed > 0;
      if (isChanged && !outcome.isFirst) this.onChange(account);
      return { ok: true, outcome };
    } catch (error) {
      this.#failed(account, error);
      return { ok: false, error };
    } finally {
      this.#lookingSinceMs.delete(account);
    }
  }

  #failed(account: string, error: unknown): void {
    if (DISK_FAILURES.some((code) => hasCode(error, code))) {
      this.#begin({ kind: 'disk', error: error as UnderstudyError });
      return;
    }
    const problem = this.problems.failed(account, error);
    this.#deps.log.warn(
      { account, code: problem.code, err: error },
      'account set aside, it will be tried again',
    );
    if (this.#failures.failed(account, error, this.#known?.size)) {
      this.#begin({ kind: 'server', error: error as UnderstudyError });
    }
  }

  #begin(trouble: Trouble): void {
    if (this.#trouble || this.#stopped) return;
    this.#trouble = trouble;
    this.#lastTrouble = trouble;
    this.#markedAtMs.clear();
    this.queue.drain(() => ({ ok: false, error: trouble.error }));
    this.onTrouble(trouble);
  }

  #burst(burst: Burst): void {
    this.#deps.log.warn(
      { ...burst },
      'a burst of removals was journaled; the state before it is a checkpoint',
    );
    this.bursts.push(burst);
    if (this.bursts.length > 100) this.bursts.shift();
  }

  /** Accounts that the source no longer names end in the replica; their history stays. */
  async #accountsGone(named: ReadonlySet<string>): Promise<void> {
    const { vault, log } = this.#deps;
    const living = vault.catalog.accountNames();
    const gone = living.filter((account) => !named.has(account));
    if (gone.length === 0) return;
    if (gone.length > living.length * ACCOUNTS_GONE_SHARE) {
      await vault.commit([{ t: 'checkpoint', cause: 'burst' }]);
    }
    for (const account of gone) {
      this.context.removalsHeldSinceMs.delete(account);
      for (const { id } of vault.catalog.mailboxes(account)) forgetMailbox(this.context, id);
    }
    await vault.commit(gone.map((account) => ({ t: 'account-gone', account })));
    log.warn({ accounts: gone }, 'accounts are no longer named by their source');
  }

  /** What changed since the last checkpoint gets one: a point at which the whole server was looked at. */
  async #checkpoint(): Promise<void> {
    const { vault } = this.#deps;
    const last = vault.catalog.lastCheckpoint();
    if (vault.committedLsn <= (last?.lsn ?? 0)) return;
    await vault.commit([{ t: 'checkpoint', cause: 'pass' }]);
  }
}

/** So often a pass looks at every account although one request told which changed: that request does not tell all. */
const EVERY_ACCOUNT_PASSES = 20;

/** Looks under way get so long to end by themselves. */
const STOP_WITHIN_MS = 500;
