/**
 * Follows one server until stopped. What makes it look, from soonest to surest: pushed events, IDLE and NOTIFY on
 * the most active accounts, a sweep over all of them. All three only say where to look; the truth is read.
 *
 *     starting ──first pass begins──► baseline ──it ends──► following
 *         ▲                              │  ▲                 │  ▲
 *         │                         trouble └── over ────┐  trouble
 *         │                              ▼               │    ▼  │
 *         └──────────────────────────  stalled ──────────┴───────┘
 *
 * Stalled: the server as a whole fails us, and is tried again with growing pauses, and at once when it pushes a change;
 * or our own disk does: then this
 * engine is `broken`, and its host opens the vault again and makes another one.
 */
import type { UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import type {
  ActionOptions,
  MailDeps,
  PushAnswer,
  PushEvent,
  ShadowEngine,
  ShadowMetrics,
  ShadowStatus,
  ShadowSummary,
} from '../types.ts';
import { isBeingRestored } from './account-lock.ts';
import { hasSecret } from './connection-pool.ts';
import { Follower, type PassOptions, type Trouble } from './follower.ts';
import { problemOf } from './problems.ts';
import { standingOf } from './pushed.ts';
import { isConnectionFailure, isUnreachable } from './server-failures.ts';
import { Watchers } from './watchers.ts';

const SERVER_RETRY_FIRST_MS = 1_000;
const SERVER_RETRY_MOST_MS = 60_000;
/** Accounts with which one try asks whether the server serves again. */
const ACCOUNTS_TRIED = 3;

/** Events that change which mailboxes there are: the whole account is looked at. */
const TREE_EVENTS = /^Mailbox/;

/** Dovecot tells of a mailbox made, renamed or deleted before LIST shows it: it is looked for again after this. */
const TREE_SHOWS_AFTER_MS = 1_000;

/** Events of a mailbox that is made, before anything is in it. */
const MAKING_EVENTS: ReadonlySet<string> = new Set(['MailboxCreate', 'MailboxSubscribe']);

export function startShadow(deps: MailDeps): ShadowEngine {
  return new Engine(deps);
}

class Engine implements ShadowEngine {
  readonly #deps: MailDeps;
  readonly #follower: Follower;
  readonly #watchers: Watchers;
  readonly #stopping = new AbortController();
  readonly #loop: Promise<void>;
  #phase: ShadowStatus['phase'] = 'starting';
  #passUnderWay: Promise<ShadowSummary> | undefined;
  /** The engine's own pass, under way or to come. */
  #sweeping: Promise<void> | undefined;
  #passes = 0;
  /** When the last whole pass ended: wall time, and on the clock for durations; and what it could not read. */
  #lastPass: (NonNullable<ShadowStatus['lastPass']> & { atMs: number; monotonicMs: number }) | undefined;
  /** The last pass came to nothing, and not because of the server: no source says which accounts there are. */
  #hasFailed = false;
  #trying: Promise<void> | undefined;
  /** Where among the accounts the next try begins. */
  #tried = 0;
  #passProblem: ReturnType<typeof problemOf> | undefined;
  readonly #broken = Promise.withResolvers<UnderstudyError>();

  constructor(deps: MailDeps) {
    this.#deps = deps;
    this.#follower = new Follower(deps);
    this.#watchers = new Watchers(this.#follower, deps.config.shadow.watch);
    this.#follower.onChange = (account) => this.#watchers.active(account);
    this.#follower.onTrouble = (trouble) => {
      if (trouble.kind === 'disk') this.#broken.resolve(trouble.error);
      else void this.#awaitServer(trouble);
    };
    this.#loop = this.#sweep();
  }

  async push(event: PushEvent): Promise<PushAnswer> {
    if (!(await this.#follower.follows(event.user))) {
      throw mailErrors.make(
        'MAIL_ACCOUNT_NOT_FOLLOWED',
        `${event.user} is no account of ${this.#deps.server} that is followed`,
      );
    }
    // What a restore does comes back as pushed events, and the server waits for our answer before the restore can go
    // on: waiting for its end here would be waiting for each other. It reads at its end what it did. New mail can wait.
    const isDelivery = event.changes.some(({ name }) => name === 'MessageNew');
    if (!isDelivery && isBeingRestored(this.#deps.vault, event.user)) {
      // Not a success: among the restore's own changes may be one of the account's owner.
      throw mailErrors.make('MAIL_ACCOUNT_BEING_RESTORED', `${event.user} is being restored`);
    }
    this.#watchers.pushed(event.user);
    const { trouble } = this.#follower;
    // It pushes, so it serves again: what it acknowledges from now on is not left to the end of our pause.
    if (trouble?.kind === 'server') await this.#tryServer(trouble);
    const mailboxes = new Set<string>();
    let whole = event.changes.length === 0;
    for (const { name, mailbox } of event.changes) {
      if (mailbox === undefined || TREE_EVENTS.test(name)) whole = true;
      else mailboxes.add(mailbox);
    }
    const look = this.#follower.look(event.user, whole ? 'account' : mailboxes, 'now');
    if (event.changes.some(({ name }) => TREE_EVENTS.test(name))) void this.#lookAgain(event.user);
    // Dovecot makes INBOX and what is set to `auto` when somebody first opens it, and that may be our own look: it
    // would wait for this answer, and this answer for its end. No mail is in what was just made.
    if (event.changes.length > 0 && event.changes.every(({ name }) => MAKING_EVENTS.has(name))) {
      return { committed: false };
    }
    const result = await look;
    if (!result.ok) throw result.error;
    const { lacking, isListed } = standingOf(this.#deps.vault.catalog, event, result.outcome.setAside);
    if (lacking !== undefined) throw mailErrors.make('MAIL_CHANGE_NOT_JOURNALED', lacking);
    return { committed: isListed };
  }

  async #lookAgain(account: string): Promise<void> {
    await this.#pause(TREE_SHOWS_AFTER_MS);
    await this.#follower.look(account, 'account', 'soon');
  }

  /** Begins after this call: a pass that is under way may have asked the server before what the caller wants to be seen. */
  async pass(options: ActionOptions = {}): Promise<ShadowSummary> {
    await this.#passUnderWay?.catch(() => {
      // Told to whoever began it.
    });
    options.signal?.throwIfAborted();
    return this.#sharedPass(options);
  }

  #sharedPass(options: PassOptions): Promise<ShadowSummary> {
    this.#passUnderWay ??= this.#pass(options).finally(() => {
      this.#passUnderWay = undefined;
    });
    return this.#passUnderWay;
  }

  status(): ShadowStatus {
    const { trouble, problems, queue, uncommittedMs, context, named } = this.#follower;
    const lagMs = this.#lagMs;
    const all = problems.list();
    const stalled = trouble ? problemOf('', trouble.error) : this.#passProblem;
    const etaMs = context.progress?.etaMs;
    return {
      phase: this.#isStalled ? 'stalled' : this.#phase,
      firstPassDone: this.#passes > 0,
      committedLsn: this.#deps.vault.committedLsn,
      uncommittedMs,
      accountsSetAside: all.length,
      queueDepth: queue.depth,
      problems: all,
      bursts: this.#follower.bursts,
      ...(lagMs === undefined ? {} : { lagMs }),
      ...(named === undefined ? {} : { accounts: named }),
      ...this.#lastPassStatus,
      ...(etaMs === undefined ? {} : { etaMs }),
      ...(stalled
        ? { problem: { code: stalled.code, message: stalled.message, remedy: stalled.remedy } }
        : {}),
    };
  }

  get #lastPassStatus(): Pick<ShadowStatus, 'lastPassAt' | 'lastPass'> {
    if (this.#lastPass === undefined) return {};
    const { atMs, beganAt, unread } = this.#lastPass;
    return { lastPassAt: atMs, lastPass: { beganAt, unread } };
  }

  metrics(): ShadowMetrics {
    const { context, queue, problems } = this.#follower;
    const { vault } = this.#deps;
    const lagMs = this.#lagMs;
    return {
      ...context.counters,
      passes: this.#passes,
      errorsByCode: problems.countsByCode(),
      queueDepth: queue.depth,
      stalled: this.#isStalled,
      ...(lagMs === undefined ? {} : { lagMs }),
      connections: context.pool.size,
      messagesSetAside: vault.failure === undefined ? vault.catalog.setAside().length : 0,
      bursts: this.#follower.bursts.length,
      committedLsn: vault.committedLsn,
    };
  }

  get #isStalled(): boolean {
    return this.#follower.trouble !== undefined || this.#hasFailed;
  }

  /**
   * While nothing is followed, changes are not known of: since the last whole look there may be any. Undefined when there was no look yet: the
   * journal may be behind by however long nobody followed.
   */
  get #lagMs(): number | undefined {
    const { uncommittedMs } = this.#follower;
    if (!this.#isStalled) return uncommittedMs;
    if (this.#lastPass === undefined) return undefined;
    return Math.max(uncommittedMs, this.#deps.clock.monotonicMs() - this.#lastPass.monotonicMs);
  }

  get broken(): Promise<UnderstudyError> {
    return this.#broken.promise;
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the engine was stopped'));
    this.#watchers.stop();
    await this.#follower.stop();
    await this.#loop;
  }

  async #sweep(): Promise<void> {
    const { clock, config } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      const began = clock.monotonicMs();
      if (!this.#follower.trouble) {
        if (this.#passUnderWay) await this.#sweepBesidePass();
        else this.#sweeping = this.#sweepingPass();
      }
      const rest = config.shadow.sweep - (clock.monotonicMs() - began);
      await this.#pause(Math.max(rest, 50));
    }
    await this.#sweeping;
  }

  async #sweepingPass(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    try {
      await this.#sharedPass({ signal: this.#stopping.signal, fallBack: true });
      this.#passProblem = this.#follower.sourceProblem;
    } catch (error) {
      // Trouble reports itself; what is left is a source of accounts that does not answer, or our being stopped.
      if (this.#stopping.signal.aborted || this.#follower.trouble || this.#follower.isTrouble(error)) return;
      this.#hasFailed = true;
      this.#passProblem = problemOf('', error);
      this.#deps.log.error({ err: error }, 'the pass over the server failed, it will be tried again');
    }
  }

  /** One account may hold up a pass for long: the others are looked at as often as ever, and watched. */
  async #sweepBesidePass(): Promise<void> {
    try {
      await this.#follower.markIdle(this.#stopping.signal);
      if (this.#phase === 'baseline') this.#watchFirst();
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#deps.log.warn({ err: error }, 'the sweep beside a pass failed, it will be tried again');
    }
  }

  async #pass(options: PassOptions): Promise<ShadowSummary> {
    if (this.#phase === 'starting') this.#phase = 'baseline';
    const { clock } = this.#deps;
    const beganAt = clock.wallMs();
    const summary = await this.#follower.pass(options);
    this.#passes += 1;
    this.#hasFailed = false;
    // A message that is set aside is journaled as that; `*` is the question for all accounts at once.
    const unread = summary.problems.flatMap(({ account, uid }) =>
      uid === undefined && account !== '*' ? [account] : [],
    );
    this.#lastPass = { beganAt, unread, atMs: clock.wallMs(), monotonicMs: clock.monotonicMs() };
    if (this.#phase !== 'following') {
      this.#phase = 'following';
      this.#watchFirst();
    }
    this.#deps.log.info(
      {
        lsn: summary.lsn,
        added: summary.messagesAdded,
        flags: summary.flagsChanged,
        removed: summary.messagesRemoved,
        problems: summary.problems.length,
      },
      `looked at ${summary.accounts} accounts: ${
        summary.problems.length === 0 ? 'all is well' : `${summary.problems.length} problems`
      }`,
    );
    return summary;
  }

  /** Watches some accounts before any has shown itself active. */
  #watchFirst(): void {
    const { vault, config } = this.#deps;
    for (const account of vault.catalog.accountNames().slice(0, config.shadow.watch))
      this.#watchers.active(account);
  }

  /** Waits until the server serves us again, then goes on with a whole pass. */
  async #awaitServer(trouble: Trouble): Promise<void> {
    this.#deps.log.error({ err: trouble.error }, `following is stalled: ${trouble.error.message}`);
    for (let waitMs = SERVER_RETRY_FIRST_MS; ; waitMs = Math.min(waitMs * 2, SERVER_RETRY_MOST_MS)) {
      await this.#pause(waitMs);
      if (this.#stopping.signal.aborted || this.#follower.trouble !== trouble) return;
      await this.#tryServer(trouble);
    }
  }

  /** Asks whether the trouble is over, and goes on if it is. One question at a time, however many wait for its answer. */
  #tryServer(trouble: Trouble): Promise<void> {
    this.#trying ??= this.#serverAnswers(trouble)
      .then((answers) => {
        if (answers && this.#follower.trouble === trouble) this.#goOn();
      })
      .finally(() => {
        this.#trying = undefined;
      });
    return this.#trying;
  }

  #goOn(): void {
    if (this.#stopping.signal.aborted) return;
    this.#deps.log.info({}, 'the server serves us again, following goes on');
    this.#follower.clearTrouble();
    // A pass that the trouble met comes to nothing, however long its last look still takes.
    const met = this.#passUnderWay?.catch(() => {});
    this.#sweeping = Promise.resolve(met).then(() => this.#sweepingPass());
  }

  /**
   * A few log-ins decide, with other accounts each time: one that is always refused says nothing of the server. Where
   * nothing was reached, to be refused is an answer; where everybody was refused, only to be let in is one.
   */
  async #serverAnswers(trouble: Trouble): Promise<boolean> {
    for (const account of this.#nextTried()) {
      if (!hasSecret(this.#deps, account)) continue;
      try {
        const connection = await this.#follower.context.pool.connect(account);
        connection.close();
        return true;
      } catch (error) {
        this.#deps.log.debug({ err: error }, 'the server does not serve us yet');
        if (isUnreachable(error)) return false;
        if (isConnectionFailure(trouble.error) && !isConnectionFailure(error)) return true;
      }
    }
    return false;
  }

  #nextTried(): string[] {
    const { known } = this.#follower;
    const tried = Array.from(
      { length: Math.min(ACCOUNTS_TRIED, known.length) },
      (_, index) => known[(this.#tried + index) % known.length] as string,
    );
    this.#tried += tried.length;
    return tried;
  }

  async #pause(ms: number): Promise<void> {
    await this.#deps.clock.sleep(ms, this.#stopping.signal).catch(() => {
      // Stopped: the caller looks at the signal.
    });
  }
}
