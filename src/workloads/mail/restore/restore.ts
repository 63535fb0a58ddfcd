/**
 * Brings back to the live server what it lost: first the journal is brought up to date, so that what the server
 * holds now is known exactly and nothing of it can be lost; then what was there at the wanted point and is not now
 * is put back; then the server is read again, and only what it serves counts as restored.
 */
import { type MailboxRow, requireMailbox } from '../../../catalog/index.ts';
import { hasCode, type Progress } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import { doveadmOf, Follower, problemOf, ServerFailures, withRestoreLock } from '../shadow/index.ts';
import type {
  ActionOptions,
  MailDeps,
  Problem,
  RestoredMailbox,
  RestoreReport,
  RestoreRequest,
} from '../types.ts';
import { asideName } from './aside.ts';
import { type MailboxRestore, type Pins, restoreMailbox } from './mailbox.ts';
import { nameIn, plannedOutcome } from './outcome.ts';
import { pinsOf } from './pins.ts';
import { chooseTarget, planMessages } from './plan.ts';
import { highestUidNext, pick, removalHint, type Wanted, wantedOf } from './wanted.ts';

/**
 * Idempotent: interrupted or repeated it does what is left. Errors: CATALOG_ACCOUNT_UNKNOWN,
 * CATALOG_MAILBOX_UNKNOWN, MAIL_RESTORE_UID_ABSENT (nothing was changed); those of single accounts are problems of
 * the report.
 */
export async function restoreMail(
  deps: MailDeps,
  request: RestoreRequest,
  options: ActionOptions = {},
): Promise<RestoreReport> {
  const wanted = wantedOf(deps.vault, request);
  const follower = new Follower(deps);
  try {
    const restore = new AccountsRestore(deps, follower, request, wanted, options);
    // Each account has a connection of its own; several at once keep both sides busy.
    const waiting = [...wanted.accounts];
    const work = async () => {
      for (let account = waiting.shift(); account !== undefined; account = waiting.shift()) {
        await restore.account(account);
      }
    };
    await Promise.all(Array.from({ length: deps.config.shadow.connections }, work));
    return restore.report();
  } finally {
    await follower.stop();
  }
}

class AccountsRestore {
  readonly #deps: MailDeps;
  readonly #follower: Follower;
  readonly #request: RestoreRequest;
  readonly #options: ActionOptions;
  readonly #ownPins: Pins | undefined;
  /** As `ownPins`, once it is known that the server can do what else it takes. */
  #pins: Pins | undefined;
  /** Of the personal namespace, once that was asked. */
  #prefix: string | undefined;
  readonly #began: number;
  readonly #mailboxes: RestoredMailbox[] = [];
  readonly #problems: Problem[] = [];
  readonly #totals = { wanted: 0, present: 0, restored: 0, bytes: 0, planned: 0, plannedBytes: 0 };
  readonly #wanted: Wanted;
  readonly #failures = new ServerFailures();
  #accountsDone = 0;

  constructor(
    deps: MailDeps,
    follower: Follower,
    request: RestoreRequest,
    wanted: Wanted,
    options: ActionOptions,
  ) {
    this.#deps = deps;
    this.#follower = follower;
    this.#request = request;
    this.#wanted = wanted;
    this.#options = options;
    this.#ownPins = pinsOf(doveadmOf(deps));
    this.#began = deps.clock.monotonicMs();
  }

  async account(account: string): Promise<void> {
    this.#options.signal?.throwIfAborted();
    try {
      await this.#upToDate(account);
      await this.#learnWhatItCan(account);
      const jobs = this.#plan(account);
      const needed = jobs.some(isNeeded);
      if (needed && !this.#request.dryRun) {
        await this.#carryOut(account, jobs);
        await this.#upToDate(account);
        await this.#prove(account, jobs);
      } else {
        for (const job of jobs) this.#mailboxes.push(plannedOutcome(job, this.#pins !== undefined));
      }
      this.#failures.well();
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      const { length } = this.#wanted.accounts;
      // A failed journal or server is nobody's private problem; a single account asked for has no others to go on with.
      if (this.#follower.trouble || this.#failures.failed(account, error, length) || length === 1)
        throw error;
      this.#problems.push(problemOf(account, error));
    }
    this.#accountsDone += 1;
    this.#tell(account);
  }

  report(): RestoreReport {
    return {
      dryRun: this.#request.dryRun,
      at: this.#wanted.at,
      mailboxes: this.#mailboxes.filter(
        ({ messagesRestored, target }) => messagesRestored > 0 || target === 'created',
      ),
      messagesWanted: this.#totals.wanted,
      messagesPresent: this.#totals.present,
      messagesRestored: this.#request.dryRun ? this.#totals.planned : this.#totals.restored,
      bytesRestored: this.#request.dryRun ? this.#totals.plannedBytes : this.#totals.bytes,
      elapsedMs: this.#deps.clock.monotonicMs() - this.#began,
      ...this.#hint(),
      problems: this.#problems,
    };
  }

  /** Who gives no time and is told that nothing is missing may have lost it before the last look. */
  #hint(): { hint?: string } {
    const { account, mailbox, uids, at } = this.#request;
    const named = uids !== undefined || at !== undefined;
    if (named || account === undefined || this.#totals.planned > 0) return {};
    const hint = removalHint(this.#deps.vault, account, mailbox);
    return hint === undefined ? {} : { hint };
  }

  async #upToDate(account: string): Promise<void> {
    const result = await this.#follower.look(account, 'account', 'now');
    if (!result.ok) throw result.error;
  }

  /** UIDs are proved by APPENDUID (UIDPLUS), and mail that is in their way is moved (MOVE). */
  async #learnWhatItCan(account: string): Promise<void> {
    if (this.#prefix !== undefined && (!this.#ownPins || this.#pins)) return;
    await this.#follower.context.pool.use(account, async (connection) => {
      this.#prefix ??= (await connection.namespaces())?.personal[0]?.prefix ?? '';
      if (connection.has('UIDPLUS') && connection.has('MOVE')) this.#pins = this.#ownPins;
    });
  }

  #plan(account: string): MailboxRestore[] {
    const { catalog } = this.#deps.vault;
    const { at, ranges } = this.#wanted;
    const { mailbox, into } = this.#request;
    const rows =
      mailbox === undefined
        ? catalog.mailboxes(account, at)
        : [requireMailbox(catalog, account, mailbox, at)];
    const current = catalog.mailboxes(account);
    const prefix = this.#prefix ?? '';
    return rows.map((asOfThen) => {
      const row = { ...asOfThen, uidNext: highestUidNext(catalog, asOfThen) };
      const leftAside = current.some(({ name }) => name === asideName(row.name, row.delimiter, prefix));
      const target = chooseTarget(row, current, {
        canPin: this.#pins !== undefined,
        leftAside,
        // INBOX cannot be deleted by its owner: a new one means that the old one was lost.
        mayStepAside: ranges === undefined && (mailbox === undefined || row.name === 'INBOX'),
        ...(into === undefined ? {} : { into: into.toUpperCase() === 'INBOX' ? 'INBOX' : into }),
      });
      const wanted = pick(catalog.iterateMessages(row.id, at), this.#wanted);
      const now = target.kind === 'created' ? [] : catalog.iterateMessages(target.mailbox.id);
      const sameUids = target.kind === 'resumed' || (target.kind === 'existing' && target.sameIdentity);
      const plan = planMessages(wanted, now, sameUids);
      this.#totals.wanted += plan.wanted;
      this.#totals.present += plan.present;
      this.#totals.planned += plan.missing.length;
      for (const message of plan.missing) this.#totals.plannedBytes += message.size;
      return { account, wanted: row, target, plan, leftAside, prefix };
    });
  }

  #carryOut(account: string, jobs: readonly MailboxRestore[]): Promise<void> {
    const { vault } = this.#deps;
    return withRestoreLock(vault, account, () =>
      this.#follower.context.pool.use(account, async (connection) => {
        for (const job of jobs) {
          if (!isNeeded(job)) continue;
          this.#options.signal?.throwIfAborted();
          await restoreMailbox({ vault, connection, pins: this.#pins }, job, (messages, bytes) => {
            this.#totals.restored += messages;
            this.#totals.bytes += bytes;
            this.#tell(account, job.wanted.name);
            // Between two runs of messages: the next restore finds what is there and goes on.
            this.#options.signal?.throwIfAborted();
          });
        }
        if (this.#request.mailbox === undefined) await this.#subscribe(account, connection);
      }),
    );
  }

  /** Names that were subscribed at that point and are not now; nothing is unsubscribed. */
  async #subscribe(account: string, connection: { subscribe(name: string): Promise<void> }): Promise<void> {
    const { catalog } = this.#deps.vault;
    const now = new Set(catalog.subscriptions(account));
    for (const name of catalog.subscriptions(account, this.#wanted.at)) {
      if (now.has(name)) continue;
      try {
        await connection.subscribe(name);
      } catch (error) {
        // A server need not take a name that has no mailbox, as Dovecot does not; everything else is back.
        if (!hasCode(error, 'MAIL_COMMAND_REFUSED')) throw error;
        this.#problems.push({ ...problemOf(account, error), mailbox: name });
      }
    }
  }

  /** What the server serves now is compared with what was wanted: UID and bytes, mailbox by mailbox. */
  async #prove(account: string, jobs: readonly MailboxRestore[]): Promise<void> {
    const { catalog } = this.#deps.vault;
    const current = catalog.mailboxes(account);
    for (const job of jobs) {
      const name = nameIn(job);
      const mailbox = current.find((row) => row.name === name);
      const sameIdentity = mailbox?.uidValidity === job.wanted.uidValidity;
      const now = mailbox ? catalog.iterateMessages(mailbox.id) : [];
      const left = planMessages(job.plan.missing, now, sameIdentity).missing;
      for (const message of left) {
        this.#problems.push({
          ...problemOf(
            account,
            mailErrors.make(
              'MAIL_RESTORE_DIFFERS',
              `${account}/${name}: the server does not serve UID ${message.uid} as it did (${message.size} bytes)`,
            ),
          ),
          mailbox: name,
          uid: message.uid,
        });
      }
      const uidsKept = mailbox && sameIdentity ? this.#uidsKept(job, mailbox) : 0;
      this.#mailboxes.push({
        ...plannedOutcome(job, this.#pins !== undefined),
        uidValidity: mailbox?.uidValidity ?? 0,
        identityKept: sameIdentity && uidsKept === job.plan.missing.length,
        uidsKept,
      });
    }
  }

  #uidsKept(job: MailboxRestore, mailbox: MailboxRow): number {
    const { catalog } = this.#deps.vault;
    const bodies = new Map<number, number>();
    for (const { uid, bodyLsn } of catalog.iterateMessages(mailbox.id)) bodies.set(uid, bodyLsn);
    return job.plan.missing.filter(({ uid, bodyLsn }) => bodies.get(uid) === bodyLsn).length;
  }

  #tell(account: string, mailbox?: string): void {
    const { restored, bytes, planned, plannedBytes } = this.#totals;
    const elapsedMs = this.#deps.clock.monotonicMs() - this.#began;
    const progress: Progress = {
      phase: 'restore',
      server: this.#deps.server,
      account,
      ...(mailbox === undefined ? {} : { mailbox }),
      accountsDone: this.#accountsDone,
      accountsTotal: this.#wanted.accounts.length,
      messagesDone: restored,
      messagesTotal: planned,
      bytesDone: bytes,
      bytesTotal: plannedBytes,
      elapsedMs,
      ...(restored > 0 ? { etaMs: (elapsedMs / restored) * (planned - restored) } : {}),
    };
    this.#options.progress?.(progress);
  }
}

function isNeeded({ plan, target, leftAside }: MailboxRestore): boolean {
  return plan.missing.length > 0 || target.kind !== 'existing' || leftAside;
}
