/**
 * Keeps a standby restored behind the journal of the live server. It reads what was committed, account by account, and brings
 * each account over: message by message where messages alone changed, else by a comparison. The newest state counts, so
 * an account that changes often is not behind for it. What was not brought over is not remembered as done, so whatever ends
 * this process, the same is done again.
 *
 *     starting ──nothing remembered──► filling ──every account was compared──► following ◄──ends── held
 *         │                               ▲                                      │  ▲                ▲
 *         └──remembered───────────────────┼──────────────────────────────────────┘  └────burst───────┘
 *     any of them ──the standby does not serve──► stalled ──it serves again──► the one before
 *
 * An account that fails, or that the journal does not hold as a whole, is tried again by itself; the others do not wait for it, nor does who waits
 * for them, nor what is remembered of them.
 *
 * A burst of removals holds its account: everything up to the state just before goes to the standby, nothing after. The hold
 * ends when the operator accepts it, or when what was removed is not lost any more (moved, or brought back). Where nothing is remembered, an
 * account in which the journal marks bursts is held where the standby serves still what one of them took.
 */
import { isDeepStrictEqual } from 'node:util';
import type { CheckpointRow } from '../../../catalog/index.ts';
import type { Lsn, MailboxId } from '../../../journal/index.ts';
import { hasCode, messageOf, reviveError, UnderstudyError } from '../../../lib/index.ts';
import type { DoveadmClient, DoveadmMailboxStatus } from '../doveadm/index.ts';
import { mailErrors } from '../errors.ts';
import type { ImapConnection } from '../imap/index.ts';
import {
  AccountProblems,
  type Bandwidth,
  bandwidthOf,
  ConnectionPool,
  doveadmOf,
  problemOf,
} from '../shadow/index.ts';
import {
  asSomeAccount,
  type BringUpReport,
  type BringUpRequest,
  namesFor,
  newestFirst,
  type Rules,
  type StandbyDeps,
} from '../standby/index.ts';
import type { ActionOptions, MailDeps, Problem } from '../types.ts';
import { type BurstRule, isBurst, lossSince } from './burst.ts';
import {
  type AccountChanges,
  accountOfRecord,
  addRecord,
  burstOf,
  comparisonFrom,
  mergeChanges,
} from './changes.ts';
import { applyDifference } from './difference.ts';
import { warmErrors } from './errors.ts';
import { memoryKey } from './held.ts';
import { type AccountApart, WarmMemory } from './memory.ts';
import { burstNotPassed, burstsByAccount } from './not-passed.ts';
import type { HeldBurst, WarmEngine, WarmMetrics, WarmStatus } from './types.ts';
import { StandbyWatch } from './watch.ts';

export interface WarmDeps extends StandbyDeps {
  readonly pair: string;
  /** `<dataDir>/<source>/warm-<pair>.sqlite`; made where it is missing. */
  readonly memoryFile: string;
  /** Which removals are a burst: `shadow.burst` of the source. */
  readonly burst: BurstRule;
  /** Compares accounts with the standby and sets right what differs. */
  bringUp(deps: StandbyDeps, request: BringUpRequest, options: ActionOptions): Promise<BringUpReport>;
}

/** A look whether something was committed costs some 20 µs. */
const LOOK_EVERY_MS = 50;
/** What is remembered, and what is held, is looked at so often. */
const TIDY_EVERY_MS = 1_000;
/** The records of a burst follow each other faster. */
const BURST_ENDS_AFTER_MS = 1_500;
/** Whether the standby is there is asked so often when nothing else tells. */
const HEARTBEAT_MS = 30_000;
/** STATUS of all mailboxes of the standby: so long after the last one at least, and so many times as long as that took. */
const STATUS_EVERY_MS = 60_000;
const STATUS_PAUSE_TIMES = 20;
/** The same where we changed nothing since: somebody else may have. */
const STATUS_UNCHANGED_EVERY_MS = 10 * 60_000;
const STATUS_FAILED_FIRST_MS = 2 * 60_000;
const STATUS_FAILED_MOST_MS = 60 * 60_000;
const CATALOG_CHECK_MS = 10_000;
const STALLED_FIRST_MS = 500;
const STALLED_MOST_MS = 15_000;
/** A mailbox that is looked at for the first time is waited for. */
const INCOMPLETE_PAUSE_MS = 1_000;
/** Accounts of one comparison while filling. */
const FILL_ACCOUNTS = 20;
/** Accounts whose STATUS is compared without a pause: it is CPU alone. */
const JUDGED_AT_ONCE = 20;
/** What is under way gets so long to end by itself. */
const STOP_WITHIN_MS = 2_000;

/** Failures that are the standby's, not the account's. */
const SERVER_FAILURES: ReadonlySet<string> = new Set([
  'MAIL_UNREACHABLE',
  'MAIL_TLS_NOT_OFFERED',
  'MAIL_TLS_FAILED',
  'MAIL_TLS_UNVERIFIED',
  'MAIL_LOGIN_DISABLED',
  'MAIL_DOVEADM_REFUSED',
]);

/** Failures that a broken account may have of its own: a session that ends or hangs, a process of the server that dies. */
const DOUBTFUL_FAILURES: ReadonlySet<string> = new Set([
  'MAIL_NO_ANSWER',
  'MAIL_UNAVAILABLE',
  'MAIL_CONNECTION_LOST',
  'MAIL_DOVEADM_UNREACHABLE',
  'MAIL_DOVEADM_PROTOCOL_ERROR',
]);
/** So many accounts in a row with one, and none well since: the standby is the cause. */
const DOUBTFUL_IN_A_ROW = 3;

interface Hold {
  readonly at: Lsn;
  readonly since: number;
  /** Known once the burst is over. */
  loss: { removed: number; of: number } | undefined;
  /** Something happened in the account since the loss was counted, last at that time. */
  touchedAtMs: number | undefined;
}

interface Trouble {
  readonly problem: Problem;
  pauseMs: number;
  retryAtMs: number;
}

interface Waiter {
  readonly lsn: Lsn;
  resolve(): void;
  reject(error: unknown): void;
}

/** Starts at once; problems are in its status. The reader stays the caller's to close, after `stop`. */
export function startWarm(deps: WarmDeps): WarmEngine {
  return new Engine(deps);
}

class Engine implements WarmEngine {
  readonly #deps: WarmDeps;
  readonly #memory: WarmMemory;
  readonly #pool: ConnectionPool;
  /** Shared by everything that goes to the standby. */
  readonly #bandwidth: { readonly bandwidth?: Bandwidth };
  readonly #doveadm: DoveadmClient | undefined;
  readonly #watch: StandbyWatch;
  #rules: Rules | undefined;
  /** Accounts that were begun with since STATUS of all was asked for; undefined while it is not. */
  #begunMeanwhile: Set<string> | undefined;
  #statusLsn: Lsn | undefined;
  #statusAtMs = 0;
  #statusPauseMs = STATUS_EVERY_MS;
  readonly #problems: AccountProblems;
  readonly #stopping = new AbortController();
  readonly #broken = Promise.withResolvers<UnderstudyError>();
  readonly #accountOf = new Map<MailboxId, string>();
  /** What waits, by account; oldest first. */
  readonly #behind = new Map<string, AccountChanges>();
  readonly #working = new Map<string, AccountChanges>();
  readonly #notBefore = new Map<string, number>();
  readonly #held = new Map<string, Hold>();
  /** Held no more, by account with the LSN it was held at: what happened since is read again. */
  readonly #released = new Map<string, Lsn>();
  /** Accounts on their way from a hold to the journal's end. */
  readonly #arriving = new Set<string>();
  readonly #passed: Map<string, Lsn>;
  readonly #waiters = new Set<Waiter>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #metrics = { messagesAdded: 0, messagesRemoved: 0, flagsSet: 0, applied: 0, compared: 0 };
  /** Accounts that wait for the journal: it does not hold one of their mailboxes as a whole yet. */
  readonly #incomplete = new Set<string>();
  /** Accounts that failed one after the other, in a way that may be the standby's. */
  readonly #doubtfulInARow = new Set<string>();
  /** Accounts that the first comparison has not done. */
  readonly #unfilled = new Set<string>();
  /** Accounts of which is not known which of these bursts the standby has had. */
  readonly #doubted = new Map<string, readonly CheckpointRow[]>();
  #filling = false;
  #fillBeganMs = 0;
  #fillTotal = 0;
  #phase: 'starting' | 'following' = 'starting';
  #readLsn: Lsn;
  #rememberedLsn: Lsn | undefined;
  #rememberedApart: readonly AccountApart[] = [];
  #trouble: Trouble | undefined;
  #tidiedAtMs: number;
  #heardAtMs: number;
  #catalogCheckedAtMs: number;
  #catalogThen: Lsn;
  readonly #loop: Promise<void>;

  constructor(deps: WarmDeps) {
    this.#deps = deps;
    const { reader, clock, config, target, log } = deps;
    this.#memory = WarmMemory.open(deps.memoryFile, memoryKey(deps));
    const mail = { server: target, config, clock, log } as MailDeps;
    const bandwidth = bandwidthOf(config, clock);
    this.#bandwidth = bandwidth === undefined ? {} : { bandwidth };
    this.#pool = new ConnectionPool(mail, { keepWarm: config.shadow.keepWarm, ...this.#bandwidth });
    this.#doveadm = doveadmOf(mail);
    this.#watch = new StandbyWatch(reader.catalog);
    this.#problems = new AccountProblems(clock);
    const now = clock.monotonicMs();
    this.#tidiedAtMs = now;
    this.#heardAtMs = now;
    this.#catalogCheckedAtMs = now;
    this.#catalogThen = reader.catalog.appliedLsn;
    const { appliedLsn, fillLsn, filled, held, passed, apart } = this.#memory.read();
    this.#passed = new Map(passed);
    for (const { account, at, removed, of, since, released } of held) {
      if (released) this.#released.set(account, at);
      else {
        const loss = removed > 0 ? { removed, of } : undefined;
        this.#held.set(account, { at, since, loss, touchedAtMs: now });
      }
    }
    const known = appliedLsn ?? fillLsn;
    if (known !== undefined && known <= reader.catalog.appliedLsn) {
      this.#readLsn = known;
      if (appliedLsn === undefined) this.#fill(filled);
      else {
        this.#rememberedLsn = appliedLsn;
        this.#compareApart(apart, appliedLsn);
      }
    } else {
      this.#readLsn = reader.catalog.appliedLsn;
      this.#memory.beginFill(this.#readLsn);
      this.#fill(new Set());
    }
    this.#loop = this.#run();
  }

  status(): WarmStatus {
    const { reader, pair, source, target, clock } = this.#deps;
    const appliedLsn = this.#appliedLsn();
    const end = reader.catalog.lastCommit();
    const next = reader.catalog.commitAtOrAfter((appliedLsn + 1) as Lsn);
    const held = this.#heldBursts();
    const problem = this.#trouble?.problem;
    const left = this.#unfilled.size;
    const done = this.#fillTotal - left;
    const etaMs =
      this.#filling && done > 0 ? ((clock.monotonicMs() - this.#fillBeganMs) / done) * left : undefined;
    return {
      pair,
      source,
      target,
      phase: this.#currentPhase(held.length),
      appliedLsn,
      lagMs: next === undefined ? 0 : Math.max(0, clock.wallMs() - next.time),
      lagLsn: Math.max(0, (end?.lsn ?? 0) - appliedLsn),
      accountsBehind: new Set([...this.#behind.keys(), ...this.#working.keys(), ...this.#released.keys()])
        .size,
      held,
      problems: this.#problems.list(),
      incomplete: [...this.#incomplete],
      ...(etaMs === undefined ? {} : { etaMs }),
      ...(problem === undefined
        ? {}
        : { problem: { code: problem.code, message: problem.message, remedy: problem.remedy } }),
    };
  }

  metrics(): WarmMetrics {
    return { ...this.#metrics };
  }

  caughtUp(lsn: Lsn, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (signal.aborted || this.#stopping.signal.aborted) {
      reject(signal.aborted ? signal.reason : stopped());
      return promise;
    }
    const waiter = { lsn, resolve, reject };
    const abort = () => reject(signal.reason);
    this.#waiters.add(waiter);
    signal.addEventListener('abort', abort, { once: true });
    return promise.finally(() => {
      signal.removeEventListener('abort', abort);
      this.#waiters.delete(waiter);
    });
  }

  look(accounts: readonly string[]): void {
    for (const account of accounts) this.#putBehind(account, comparisonFrom((this.#readLsn + 1) as Lsn));
  }

  accept(account?: string): readonly HeldBurst[] {
    const accepted = this.#heldBursts().filter((burst) => account === undefined || burst.account === account);
    for (const burst of accepted) {
      this.#passed.set(burst.account, this.#deps.reader.catalog.appliedLsn);
      this.#release(burst.account, this.#deps.reader.catalog.appliedLsn);
      this.#deps.log.warn({ ...burst }, 'a held burst was accepted and goes to the standby');
    }
    return accepted;
  }

  get broken(): Promise<UnderstudyError> {
    return this.#broken.promise;
  }

  async stop(): Promise<void> {
    if (!this.#stopping.signal.aborted) {
      this.#stopping.abort(stopped());
      await this.#loop;
      const late = new AbortController();
      await Promise.race([
        Promise.allSettled(this.#tasks),
        this.#deps.clock.sleep(STOP_WITHIN_MS, late.signal).catch(ignored),
      ]);
      late.abort();
      this.#pool.close();
      await Promise.allSettled(this.#tasks);
      this.#remember();
      this.#memory.close();
      for (const waiter of this.#waiters) waiter.reject(stopped());
    }
    await this.#loop;
  }

  #currentPhase(held: number): WarmStatus['phase'] {
    if (this.#trouble) return 'stalled';
    if (this.#filling) return 'filling';
    return held > 0 ? 'held' : this.#phase;
  }

  async #run(): Promise<void> {
    const { clock } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#look();
      } catch (error) {
        this.#breakDown(asMailError(error));
        return;
      }
      await clock.sleep(LOOK_EVERY_MS, this.#stopping.signal).catch(ignored);
    }
  }

  /** Nothing more is done: the host makes another engine. */
  #breakDown(failure: UnderstudyError): void {
    this.#deps.log.error({ err: failure }, `the standby cannot be kept warm: ${failure.message}`);
    this.#broken.resolve(failure);
    for (const waiter of this.#waiters) waiter.reject(failure);
  }

  async #look(): Promise<void> {
    await this.#readReleased();
    await this.#readNew();
    if (this.#phase === 'starting') this.#phase = 'following';
    const now = this.#deps.clock.monotonicMs();
    if (now - this.#tidiedAtMs >= TIDY_EVERY_MS) {
      this.#tidiedAtMs = now;
      this.#decide(now);
      this.#remember();
      await this.#checkCatalog(now);
      this.#hear(now);
      this.#watchStandby(now);
    }
    this.#pump();
  }

  /** A catalog that was rebuilt is another file: ours would stay as it was for ever. */
  async #checkCatalog(now: number): Promise<void> {
    if (now - this.#catalogCheckedAtMs < CATALOG_CHECK_MS) return;
    this.#catalogCheckedAtMs = now;
    const { journal, catalog } = this.#deps.reader;
    const before = journal.committedLsn;
    const stuck = before > catalog.appliedLsn && catalog.appliedLsn === this.#catalogThen;
    this.#catalogThen = catalog.appliedLsn;
    await journal.refresh();
    if (!stuck) return;
    throw warmErrors.make(
      'MAIL_WARM_JOURNAL_AHEAD',
      `the journal is at lsn:${before}, its catalog stays at lsn:${catalog.appliedLsn}`,
    );
  }

  async #readNew(): Promise<void> {
    const { reader } = this.#deps;
    const until = reader.catalog.appliedLsn;
    if (until <= this.#readLsn) return;
    const found = new Map<string, AccountChanges>();
    for await (const entry of reader.entriesSince(this.#readLsn, until)) {
      const burst = burstOf(entry);
      if (burst) {
        this.#holdAt(burst.account, burst.at);
        continue;
      }
      const account = accountOfRecord(entry, this.#knownAccountOf);
      if (account === undefined) continue;
      const hold = this.#held.get(account);
      if (hold) hold.touchedAtMs = this.#deps.clock.monotonicMs();
      // What is read of it begins with where it was held.
      else if (!this.#released.has(account)) found.set(account, addRecord(found.get(account), entry));
    }
    // At once: an account that is begun with is brought to #readLsn, and what it waited for counts as done then.
    for (const [account, changes] of found) {
      this.#behind.set(account, mergeChanges(this.#behind.get(account), changes) as AccountChanges);
    }
    this.#readLsn = until;
  }

  readonly #knownAccountOf = (mailbox: MailboxId): string | undefined => {
    let account = this.#accountOf.get(mailbox);
    if (account === undefined) {
      account = this.#deps.reader.catalog.accountOfMailbox(mailbox);
      if (account !== undefined) this.#accountOf.set(mailbox, account);
    }
    return account;
  };

  /** What happened in accounts while they were held; the journal is read once for all of them. */
  async #readReleased(): Promise<void> {
    if (this.#released.size === 0) return;
    const reading = new Map<string, { readonly at: Lsn; changes?: AccountChanges; next?: Lsn }>();
    for (const [account, at] of this.#released) reading.set(account, { at });
    const from = Math.min(...this.#released.values()) as Lsn;
    for await (const entry of this.#deps.reader.entriesSince(from, this.#readLsn)) {
      const burst = burstOf(entry);
      const account = burst?.account ?? accountOfRecord(entry, this.#knownAccountOf);
      const one = account === undefined ? undefined : reading.get(account);
      if (account === undefined || one === undefined) continue;
      if (entry.lsn <= one.at || one.next !== undefined) continue;
      if (burst === undefined) one.changes = addRecord(one.changes, entry);
      else if (burst.at > one.at && !this.#isPassed(account, burst.at)) one.next = burst.at;
    }
    for (const [account, { at, changes, next }] of reading) {
      this.#released.delete(account);
      this.#arriving.add(account);
      this.#putBehind(account, changes ?? comparisonFrom((at + 1) as Lsn));
      if (next !== undefined) this.#holdAt(account, next);
    }
  }

  #isPassed(account: string, at: Lsn): boolean {
    return at <= (this.#passed.get(account) ?? 0);
  }

  #putBehind(account: string, changes: AccountChanges): void {
    this.#behind.set(account, mergeChanges(changes, this.#behind.get(account)) as AccountChanges);
  }

  #holdAt(account: string, at: Lsn): void {
    if (this.#held.has(account) || this.#released.has(account) || this.#isPassed(account, at)) return;
    const since = this.#deps.clock.wallMs();
    const hold: Hold = { at, since, loss: undefined, touchedAtMs: this.#deps.clock.monotonicMs() };
    this.#held.set(account, hold);
    this.#memory.hold(heldBurst(account, hold));
  }

  /** Counts what the accounts that are held would lose, once their bursts are over. */
  #decide(now: number): void {
    const { reader, burst, log, pair } = this.#deps;
    for (const [account, hold] of this.#held) {
      if (hold.touchedAtMs === undefined || now - hold.touchedAtMs < BURST_ENDS_AFTER_MS) continue;
      hold.touchedAtMs = undefined;
      const isNew = hold.loss === undefined;
      hold.loss = lossSince(reader.catalog, account, hold.at);
      if (isBurst(hold.loss, burst)) {
        this.#memory.hold(heldBurst(account, hold));
        if (!isNew) continue;
        log.error(
          { ...heldBurst(account, hold), remedy: `understudy standby accept ${pair} --account ${account}` },
          `${account} lost ${hold.loss.removed} of ${hold.loss.of} messages at once: the standby keeps the state before, until this is accepted or the mail is brought back`,
        );
      } else {
        if (!isNew) log.info({ account }, 'what was removed is there again: the burst is held no more');
        // For good: what goes later, for whatever reason, is no loss of this burst.
        this.#passed.set(account, hold.at);
        this.#release(account, hold.at);
      }
    }
  }

  #release(account: string, passed: Lsn): void {
    const hold = this.#held.get(account);
    if (!hold) return;
    this.#held.delete(account);
    this.#memory.release(account, passed);
    this.#released.set(account, hold.at);
  }

  #heldBursts(): HeldBurst[] {
    return [...this.#held].flatMap(([account, hold]) =>
      hold.loss === undefined ? [] : [heldBurst(account, hold)],
    );
  }

  #remember(): void {
    if (this.#filling) return;
    const apart = this.#apart();
    const waiting = [...this.#behind, ...this.#working];
    // What was released is remembered by itself. Never back, where accounts count again since the standby failed: bursts long decided would be held.
    const lsn = Math.max(
      this.#rememberedLsn ?? 0,
      this.#lowest(waiting.filter(([name]) => !apart.has(name) && !this.#arriving.has(name))),
    ) as Lsn;
    const left = new Set(waiting.filter(([, { from }]) => from <= lsn).map(([name]) => name));
    const accounts = [...left].sort().map((account) => ({ account, filled: !this.#unfilled.has(account) }));
    if (lsn === this.#rememberedLsn && isDeepStrictEqual(accounts, this.#rememberedApart)) return;
    this.#memory.applied(lsn, accounts);
    this.#rememberedLsn = lsn;
    this.#rememberedApart = accounts;
  }

  #appliedLsn(): Lsn {
    if (this.#filling) return 0 as Lsn;
    const apart = this.#apart();
    const lsn = this.#lowest([...this.#behind, ...this.#working].filter(([name]) => !apart.has(name)));
    // Until it is known whether a burst is to be held, it is on its way.
    const undecided = [...this.#held.values()].filter(({ loss }) => loss === undefined).map(({ at }) => at);
    return Math.min(lsn, ...this.#released.values(), ...undecided) as Lsn;
  }

  /** Accounts for which nothing else waits: they failed, or wait for the journal. `problems` and `incomplete` of the status name them. */
  #apart(): ReadonlySet<string> {
    return new Set([...this.#incomplete, ...this.#problems.list().map(({ account }) => account)]);
  }

  #lowest(changes: readonly [string, AccountChanges][]): Lsn {
    return changes.reduce<number>((lowest, [, { from }]) => Math.min(lowest, from - 1), this.#readLsn) as Lsn;
  }

  #fill(filled: ReadonlySet<string>): void {
    const { reader, clock, log } = this.#deps;
    const marked = burstsByAccount(reader.catalog);
    const waiting = reader.catalog.accountNames().filter((account) => !filled.has(account));
    for (const account of newestFirst(reader.catalog, waiting, this.#readLsn)) {
      this.#unfilled.add(account);
      this.#behind.set(account, comparisonFrom(1 as Lsn));
      this.#doubt(account, marked.get(account) ?? []);
    }
    this.#filling = true;
    this.#fillTotal = this.#unfilled.size;
    this.#fillBeganMs = clock.monotonicMs();
    log.info({ accounts: this.#unfilled.size }, 'the standby is compared as a whole');
    this.#fillEnded();
  }

  /** Which of these bursts the standby has had is not known. */
  #doubt(account: string, marked: readonly CheckpointRow[]): void {
    const bursts = marked.filter(({ lsn }) => lsn <= this.#readLsn && !this.#isPassed(account, lsn));
    if (bursts.length > 0 && !this.#released.has(account)) this.#doubted.set(account, bursts);
  }

  /** Accounts that were not as of `lsn` when that was remembered. */
  #compareApart(apart: readonly AccountApart[], lsn: Lsn): void {
    this.#rememberedApart = apart;
    const unfilled = apart.filter(({ filled }) => !filled).map(({ account }) => account);
    const marked = unfilled.length > 0 ? burstsByAccount(this.#deps.reader.catalog) : undefined;
    for (const account of unfilled) {
      this.#unfilled.add(account);
      this.#doubt(account, marked?.get(account) ?? []);
    }
    // Not after it: they are remembered as apart until they have arrived.
    for (const { account } of apart) this.#behind.set(account, comparisonFrom(lsn));
  }

  #fillEnded(): void {
    if (!this.#filling) return;
    const apart = this.#apart();
    if ([...this.#unfilled].some((account) => !apart.has(account))) return;
    this.#filling = false;
    this.#deps.log.info(
      { lsn: this.#readLsn, but: [...this.#unfilled].slice(0, 100) },
      'the standby holds what the journal holds',
    );
    this.#remember();
  }

  /** Gives accounts to who is free. */
  #pump(): void {
    if (this.#stopping.signal.aborted) return;
    this.#settleWaiters();
    const { clock, config } = this.#deps;
    const now = clock.monotonicMs();
    let free = Math.min(config.shadow.connections, 8) - this.#tasks.size;
    if (this.#trouble) {
      if (now < this.#trouble.retryAtMs || this.#tasks.size > 0) return;
      free = 1;
    }
    // One stays for what is quick while the standby is filled.
    const comparisons = Math.max(1, free - 1);
    let comparing = [...this.#working.values()].filter(({ scope }) => scope !== 'messages').length;
    const ready: string[] = [];
    for (const [account, { scope }] of this.#behind) {
      if (free <= 0) break;
      if (this.#working.has(account) || (this.#notBefore.get(account) ?? 0) > now) continue;
      if (this.#problems.isSetAside(account)) continue;
      if (scope !== 'messages' || this.#doveadm === undefined) {
        if (comparing >= comparisons && this.#filling) continue;
        comparing += 1;
      }
      ready.push(account);
      free -= 1;
    }
    // One that was started may have taken others with it.
    for (const account of ready) if (this.#behind.has(account)) this.#start(account);
  }

  #start(account: string): void {
    const accounts = [account];
    const changes = this.#behind.get(account) as AccountChanges;
    if (
      this.#unfilled.has(account) &&
      changes.scope === 'whole' &&
      !this.#trouble &&
      !this.#isAlone(account)
    ) {
      for (const other of this.#unfilled) {
        if (accounts.length >= FILL_ACCOUNTS) break;
        const mayJoin =
          other !== account && !this.#working.has(other) && this.#behind.get(other)?.scope === 'whole';
        if (mayJoin && !this.#problems.isSetAside(other) && !this.#isAlone(other)) accounts.push(other);
      }
    }
    const jobs = new Map(accounts.map((name) => [name, this.#behind.get(name) as AccountChanges]));
    for (const [name, job] of jobs) {
      this.#behind.delete(name);
      this.#working.set(name, job);
      this.#watch.touched(name);
      this.#begunMeanwhile?.add(name);
    }
    const task = this.#work(jobs)
      .then(() => {
        this.#tasks.delete(task);
        this.#fillEnded();
        this.#pump();
      })
      .catch((error: unknown) => {
        // What is remembered cannot be written.
        this.#tasks.delete(task);
        this.#breakDown(asMailError(error));
      });
    this.#tasks.add(task);
  }

  /** Is not brought to the same LSN as others, or may not be. */
  #isAlone(account: string): boolean {
    return this.#held.has(account) || this.#doubted.has(account);
  }

  async #work(jobs: ReadonlyMap<string, AccountChanges>): Promise<void> {
    const { log } = this.#deps;
    const failures = new Map<string, unknown>();
    const early = new Set<string>();
    try {
      const ready = [...jobs].filter(([account]) => {
        if (this.#isComplete(account)) return true;
        this.#notBefore.set(account, this.#deps.clock.monotonicMs() + INCOMPLETE_PAUSE_MS);
        this.#incomplete.add(account);
        early.add(account);
        return false;
      });
      const [only] = ready;
      if (ready.length === 1 && only) await this.#bringOver(...only);
      else if (ready.length > 1)
        await this.#compare(
          ready.map(([account]) => account),
          {},
          failures,
        );
    } catch (error) {
      if (isReaderFailure(error)) this.#breakDown(error);
      for (const account of jobs.keys()) failures.set(account, error);
    }
    let ofTheServer: Problem | undefined;
    for (const [account, changes] of jobs) {
      this.#working.delete(account);
      const error = failures.get(account);
      if (error === undefined && !early.has(account)) {
        this.#arrived(account);
        if (changes.scope === 'whole') this.#watch.compared(account);
        continue;
      }
      this.#putBehind(account, changes);
      if (error === undefined || this.#stopping.signal.aborted) continue;
      const problem = this.#problems.failed(account, error);
      log.warn(
        { account, code: problem.code, err: error },
        'the account could not be brought to the standby; tried again',
      );
      this.#incomplete.delete(account);
      if (this.#isOfTheServer(account, problem)) ofTheServer ??= problem;
    }
    if (ofTheServer) this.#stall(ofTheServer);
  }

  #isOfTheServer(account: string, { code }: Problem): boolean {
    if (SERVER_FAILURES.has(code)) return true;
    if (!DOUBTFUL_FAILURES.has(code)) return false;
    this.#doubtfulInARow.add(account);
    // Nobody else may be about to ask it anything.
    this.#heardAtMs = Math.min(this.#heardAtMs, this.#deps.clock.monotonicMs() - HEARTBEAT_MS);
    const accounts = this.#deps.reader.catalog.accountNames().length;
    return this.#doubtfulInARow.size >= Math.min(DOUBTFUL_IN_A_ROW, accounts);
  }

  #arrived(account: string): void {
    this.#problems.recovered(account);
    this.#doubtfulInARow.clear();
    this.#incomplete.delete(account);
    this.#notBefore.delete(account);
    if (this.#unfilled.delete(account) && this.#filling) this.#memory.filled([account]);
    if (this.#arriving.has(account) && !this.#behind.has(account) && !this.#held.has(account)) {
      this.#arriving.delete(account);
      this.#memory.arrived(account);
    }
    if (this.#trouble) this.#deps.log.info({}, 'the standby serves again');
    this.#trouble = undefined;
    this.#heardAtMs = this.#deps.clock.monotonicMs();
  }

  #isComplete(account: string): boolean {
    return this.#deps.reader.catalog.mailboxes(account).every(({ complete }) => complete);
  }

  async #bringOver(account: string, changes: AccountChanges): Promise<void> {
    const { reader } = this.#deps;
    const doveadm = this.#doveadm;
    await this.#clearDoubt(account);
    const hold = this.#held.get(account);
    const at = hold?.at ?? this.#readLsn;
    if (changes.scope === 'messages' && doveadm !== undefined) {
      const done = await this.#twice(() =>
        this.#pool.use(account, async (connection) => {
          const rules = await this.#namesBy(connection);
          return applyDifference({ reader, connection, doveadm, rules }, { account, at, changes });
        }),
      );
      if (done) {
        this.#metrics.applied += 1;
        this.#metrics.messagesAdded += done.messagesAdded;
        this.#metrics.messagesRemoved += done.messagesRemoved;
        this.#metrics.flagsSet += done.flagsSet;
        return;
      }
    }
    const failures = new Map<string, unknown>();
    // What is not as it was left is looked for in all of the account.
    const isTold = changes.scope === 'since' || (changes.scope === 'messages' && doveadm === undefined);
    const since = isTold ? { since: (changes.from - 1) as Lsn } : {};
    // No further than was known when this began: a burst may have been read meanwhile.
    await this.#compare([account], { at, ...since }, failures);
    const failure = failures.get(account);
    if (failure !== undefined) throw failure;
  }

  /** Holds the account where the standby was before a burst. */
  async #clearDoubt(account: string): Promise<void> {
    const bursts = this.#doubted.get(account);
    if (bursts === undefined) return;
    const { reader, burst: rule } = this.#deps;
    const found = await this.#twice(() =>
      this.#pool.use(account, (connection) =>
        burstNotPassed({ catalog: reader.catalog, connection, rule }, account, bursts),
      ),
    );
    this.#doubted.delete(account);
    const held = this.#held.get(account);
    if (found === undefined || (held !== undefined && held.at <= found.lsn)) return;
    this.#held.delete(account);
    this.#holdAt(account, found.lsn);
  }

  /** A connection that was kept may have ended meanwhile. */
  async #twice<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!hasCode(error, 'MAIL_CONNECTION_LOST') || this.#stopping.signal.aborted) throw error;
      return work();
    }
  }

  async #compare(
    accounts: readonly string[],
    request: { readonly at?: Lsn; readonly since?: Lsn },
    failures: Map<string, unknown>,
  ): Promise<void> {
    const { bringUp } = this.#deps;
    const living = accounts.filter((account) => this.#deps.reader.catalog.account(account, request.at));
    if (living.length === 0) return;
    const report = await bringUp(
      { ...this.#deps, ...this.#bandwidth },
      // No further than was read: behind it may be a burst that nobody has seen yet.
      { at: this.#readLsn, ...request, accounts: living },
      { signal: this.#stopping.signal },
    );
    this.#metrics.compared += living.length;
    this.#metrics.messagesAdded += report.messagesRestored;
    this.#metrics.flagsSet += report.flagsSet;
    for (const problem of report.problems) {
      failures.set(problem.account, reviveError({ ...problem, kind: 'failed', retry: 'later', details: {} }));
    }
  }

  #stall(problem: Problem): void {
    const { clock, log } = this.#deps;
    if (!this.#trouble) log.error({ code: problem.code }, `the standby does not serve: ${problem.message}`);
    const pauseMs = Math.min((this.#trouble?.pauseMs ?? STALLED_FIRST_MS / 2) * 2, STALLED_MOST_MS);
    this.#trouble = { problem, pauseMs, retryAtMs: clock.monotonicMs() + pauseMs };
    this.#doubtfulInARow.clear();
    // Their pauses would be the server's.
    for (const account of this.#behind.keys()) this.#problems.recovered(account);
  }

  /** A standby that nothing changes on may be gone all the same. */
  #hear(now: number): void {
    const doveadm = this.#doveadm;
    const waits = this.#trouble && !this.#isAnyoneReady() ? this.#trouble.pauseMs : HEARTBEAT_MS;
    if (doveadm === undefined || this.#tasks.size > 0 || now - this.#heardAtMs < waits) return;
    this.#heardAtMs = now;
    const task = doveadm
      .check(this.#stopping.signal)
      .then(() => {
        if (!this.#isAnyoneReady()) this.#trouble = undefined;
      })
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted) this.#stall(problemOf('', error));
      })
      .finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  /** Somebody who will be tried by itself, and tell whether the standby serves. */
  #isAnyoneReady(): boolean {
    return [...this.#behind.keys()].some(
      (account) => !this.#problems.isSetAside(account) && !this.#incomplete.has(account),
    );
  }

  /**
   * STATUS of all mailboxes of the standby, now and then, for two reasons. Dovecot answers it at once where its list of mailboxes is in line with
   * them, and else opens each one that has changed: a takeover's certificate of 1,000 restored accounts takes 1 s after it, and 8 s without, while
   * people wait. And accounts that are not as they were left have been written to by somebody else: those are compared.
   */
  #watchStandby(now: number): void {
    const doveadm = this.#doveadm;
    if (doveadm === undefined || this.#filling || this.#trouble || this.#begunMeanwhile) return;
    const applied = this.#appliedLsn();
    const unchanged = applied === this.#statusLsn ? STATUS_UNCHANGED_EVERY_MS - STATUS_EVERY_MS : 0;
    if (now < this.#statusAtMs + unchanged) return;
    // For accounts under way already the standby may answer before they have arrived.
    this.#begunMeanwhile = new Set(this.#working.keys());
    doveadm
      .mailboxStatusOfAll(this.#stopping.signal)
      .then((rows) => {
        const tookMs = this.#deps.clock.monotonicMs() - now;
        this.#statusPauseMs = Math.max(STATUS_EVERY_MS, tookMs * STATUS_PAUSE_TIMES);
        this.#statusLsn = applied;
        return this.#judgeStandby(rows);
      })
      .catch((error: unknown) => {
        if (isReaderFailure(error)) this.#breakDown(error);
        // It makes a takeover faster, and what it would find a takeover finds too.
        else if (!this.#stopping.signal.aborted)
          this.#deps.log.debug({ err: error }, 'no STATUS of all mailboxes');
        this.#statusPauseMs = Math.min(
          Math.max(this.#statusPauseMs * 2, STATUS_FAILED_FIRST_MS),
          STATUS_FAILED_MOST_MS,
        );
      })
      .finally(() => {
        this.#begunMeanwhile = undefined;
        this.#statusAtMs = this.#deps.clock.monotonicMs() + this.#statusPauseMs;
      });
  }

  async #judgeStandby(rows: readonly DoveadmMailboxStatus[]): Promise<void> {
    const { clock, log } = this.#deps;
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    if (this.#rules === undefined) {
      const { catalog } = this.#deps.reader;
      // The standby may have users of its own, as whom nobody can log in here.
      const known = [...new Set(rows.map(({ user }) => user))].filter(
        (user) => this.#isQuiet(user) && catalog.account(user, this.#readLsn) !== undefined,
      );
      if (known.length === 0) return;
      await asSomeAccount(this.#pool, known, (connection) => this.#namesBy(connection), signal);
    }
    const changed: string[] = [];
    for (const [index, [account, served]] of [...this.#watch.servedBy(rows)].entries()) {
      if (index % JUDGED_AT_ONCE === 0) await clock.sleep(1, signal);
      if (this.#isQuiet(account) && this.#watch.isOther(account, served, this.#readLsn))
        changed.push(account);
    }
    const found = changed.filter((account) => this.#isQuiet(account));
    if (found.length === 0) return;
    log.warn(
      { accounts: found.length, first: found.slice(0, 10) },
      'accounts of the standby are not as they were left: they are compared',
    );
    this.look(found);
  }

  /** How the standby writes names; asked once. */
  async #namesBy(connection: ImapConnection): Promise<Rules> {
    if (this.#rules === undefined) {
      this.#rules = await namesFor(connection);
      this.#watch.learnNames(this.#rules);
    }
    return this.#rules;
  }

  /** Nothing of it is or was under way since the standby was asked: whatever differs there is no lag. */
  #isQuiet(account: string): boolean {
    return ![
      this.#begunMeanwhile,
      this.#behind,
      this.#working,
      this.#held,
      this.#released,
      this.#arriving,
      this.#doubted,
    ].some((accounts) => accounts?.has(account));
  }

  #settleWaiters(): void {
    if (this.#waiters.size === 0) return;
    const applied = this.#appliedLsn();
    for (const waiter of this.#waiters) if (waiter.lsn <= applied) waiter.resolve();
  }
}

function heldBurst(account: string, { at, since, loss }: Hold): HeldBurst {
  return { account, removed: loss?.removed ?? 0, of: loss?.of ?? 0, before: `lsn:${at}`, at, since };
}

function stopped(): UnderstudyError {
  return warmErrors.make('MAIL_WARM_STOPPED', 'the warm standby is not kept any more');
}

/** The vault itself cannot be read. */
function isReaderFailure(error: unknown): error is UnderstudyError {
  return error instanceof UnderstudyError && /^(CATALOG|JOURNAL)_/.test(error.code);
}

function asMailError(error: unknown): UnderstudyError {
  if (error instanceof UnderstudyError) return error;
  const stack = error instanceof Error ? error.stack : undefined;
  return mailErrors.make('MAIL_INTERNAL', stack ?? messageOf(error), { cause: error });
}

function ignored(): void {
  // The signal ends a sleep early; who slept looks at it.
}
