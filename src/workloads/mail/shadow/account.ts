/**
 * Brings one account of the replica up to date. The order of the journal is the point: new and renamed
 * mailboxes, then additions and flags everywhere, then removals; so that a message that was moved is in two
 * places for a moment and never in none.
 */
import type { MailboxRow, MessageRow } from '../../../catalog/index.ts';
import type { StepRecord } from '../../../journal/index.ts';
import { counted, hasCode, reviveError, UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import {
  countOfRanges,
  formatSequenceSet,
  type ImapConnection,
  type MailboxListing,
  rangesHold,
  uidsOfRanges,
} from '../imap/index.ts';
import { withAccountLock } from './account-lock.ts';
import type { Unfetchable } from './bodies.ts';
import { type AccountOutcome, type FollowContext, forgetMailbox } from './context.ts';
import { followMailbox, type MailboxOutcome, type Totals } from './mailbox.ts';
import { isOwnMailbox } from './own-mailbox.ts';
import type { LookScope } from './queue.ts';
import { compareTrees, type FollowedMailbox, type ListedMailbox, type TreeChanges } from './tree.ts';

/** A connection that broke is replaced so often without any message having come, before the account is set aside. */
const ATTEMPTS_WITHOUT_PROGRESS = 3;
/** So many messages that break the connection one after the other are no fault of the messages. */
const GIVEN_UP_IN_A_ROW = 10;
/** A mailbox listed as unchanged may have received what another lost: so often the tree is read again for it. */
const LOOKS_FOR_MOVED = 10;
/**
 * What was removed while a mailbox is refused may have been moved into it, and is shown as it was for so long: one that is locked or
 * repaired is open again by then, and of one that never is again somebody has heard.
 */
const REMOVALS_WAIT_MS = 24 * 60 * 60_000;
/** Of so many removed messages it is worth while to ask where else they are. */
const REMOVED_ASKED_FOR = 1_000;

/**
 * Looks at the account, or at the named mailboxes of it. Errors are those of the connection or of the journal;
 * what was committed before one stays. May be repeated at any time.
 */
export function followAccount(
  context: FollowContext,
  account: string,
  scope: LookScope,
): Promise<AccountOutcome> {
  return withAccountLock(context.deps.vault, account, async () => {
    const follow = new AccountFollow(context, account);
    let givenUpInARow = 0;
    for (let attempts = 1; ; attempts++) {
      const { added, givenUp, newlySetAside } = follow;
      let loggedIn = false;
      try {
        return await context.pool.use(account, (connection) => {
          loggedIn = true;
          return follow.run(connection, scope);
        });
      } catch (error) {
        // Refused at the log-in, it has too many connections: more of them at once would not help.
        if (!isPassing(error) || (!loggedIn && hasCode(error, 'MAIL_UNAVAILABLE'))) throw error;
        if (follow.added > added) givenUpInARow = 0;
        // Those that an earlier look has set aside are expected to break it again: they do not speak of the server.
        givenUpInARow += follow.newlySetAside - newlySetAside;
        if (follow.added > added || follow.givenUp > givenUp) attempts = 0;
        if (attempts >= ATTEMPTS_WITHOUT_PROGRESS || givenUpInARow >= GIVEN_UP_IN_A_ROW) throw error;
      }
    }
  });
}

/**
 * Failures that a fresh look over a fresh connection may not have. A mailbox that was deleted, renamed or made anew
 * under us shows as any of the last four: Dovecot answers NO, or says BYE in the middle of a FETCH.
 */
const PASSING = [
  'MAIL_CONNECTION_LOST',
  'MAIL_PROTOCOL_ERROR',
  'MAIL_LITERAL_TOO_LARGE',
  'MAIL_MAILBOX_MOVED',
  'MAIL_MAILBOX_ABSENT',
  'MAIL_COMMAND_REFUSED',
  'MAIL_UNAVAILABLE',
];

/** Refusals of one mailbox, on a connection that goes on: the others can be looked at. */
const OF_ONE_MAILBOX = [
  'MAIL_COMMAND_REFUSED',
  'MAIL_UNAVAILABLE',
  'MAIL_NO_PERMISSION',
  'MAIL_OVER_QUOTA',
  'MAIL_FEATURE_MISSING',
];

function isOfOneMailbox(error: unknown, connection: ImapConnection): boolean {
  return connection.failure === undefined && OF_ONE_MAILBOX.some((code) => hasCode(error, code));
}

function isPassing(error: unknown): boolean {
  return PASSING.some((code) => hasCode(error, code));
}

class AccountFollow {
  readonly #context: FollowContext;
  readonly #account: string;
  /** By mailbox id; `name` as it was last looked at. */
  readonly #unfetchable = new Map<number, Unfetchable & { name: string }>();
  readonly #outcomes = new Map<number, MailboxOutcome>();
  /** Mailboxes that could not be looked at, with the reason. */
  readonly #refused = new Map<number, unknown>();
  /** Mailboxes that are an older state of what we know, under the same ids. */
  readonly #setBack = new Set<MailboxRow['id']>();
  #mailboxes = 0;
  #removed = 0;
  #firstLook = false;
  #comparesCounts = false;
  /** One checkpoint per look is enough: the state before all that goes in it. */
  #burstMarked = false;
  readonly #totals: Totals = { added: 0, flagsChanged: 0, bytes: 0 };

  constructor(context: FollowContext, account: string) {
    this.#context = context;
    this.#account = account;
  }

  /** Messages journaled so far. */
  get added(): number {
    return this.#totals.added;
  }

  /** Messages not asked for again in this look. */
  get givenUp(): number {
    return this.#count(({ givenUp }) => givenUp.size);
  }

  /** Those of them that were not set aside before it. */
  get newlySetAside(): number {
    return this.#count(({ newly }) => newly.size);
  }

  #count(sizeOf: (unfetchable: Unfetchable) => number): number {
    return [...this.#unfetchable.values()].reduce((sum, unfetchable) => sum + sizeOf(unfetchable), 0);
  }

  async run(connection: ImapConnection, { whole, named }: LookScope): Promise<AccountOutcome> {
    this.#outcomes.clear();
    this.#refused.clear();
    this.#comparesCounts = !(await connection.enable('QRESYNC', 'CONDSTORE')).has('QRESYNC');
    const isWhole = whole || !(await this.#lookAtNamed(connection, named));
    if (isWhole) await this.#lookAtAll(connection, named);
    return {
      account: this.#account,
      isFirst: this.#firstLook,
      isWhole,
      mailboxes: this.#mailboxes,
      removed: this.#removed,
      ...this.#totals,
      setAside: this.#setAside(),
    };
  }

  /** The short way for a pushed event. False when it is not enough: an unknown mailbox, or removals (which come last). */
  async #lookAtNamed(connection: ImapConnection, names: ReadonlySet<string>): Promise<boolean> {
    const { catalog } = this.#context.deps.vault;
    const rows: MailboxRow[] = [];
    for (const name of names) {
      const row = catalog.mailboxByName(this.#account, name);
      if (!row?.complete) return false;
      rows.push(row);
    }
    for (const row of rows) {
      let outcome: MailboxOutcome;
      try {
        outcome = await this.#follow(connection, row.id, row.name, row.uidValidity, row);
      } catch (error) {
        if (hasCode(error, 'MAIL_MAILBOX_MOVED') || hasCode(error, 'MAIL_MAILBOX_ABSENT')) return false;
        if (isOfOneMailbox(error, connection)) return false;
        throw error;
      }
      if (outcome.vanished.length > 0) return false;
      await this.#finish(row.id, outcome);
    }
    this.#mailboxes = rows.length;
    return true;
  }

  /**
   * Mailboxes in `named` are opened whatever LIST tells of them: Dovecot tells of a removal while it still holds it
   * back, so that only who opens the mailbox sees it done.
   */
  async #lookAtAll(connection: ImapConnection, named: ReadonlySet<string>): Promise<void> {
    const { vault } = this.#context.deps;
    const account = vault.catalog.account(this.#account);
    this.#firstLook = !account;
    if (!account || account.goneLsn !== undefined) {
      await this.#commit([{ t: 'account', account: this.#account }]);
    }
    let gone: readonly MailboxRow[] = [];
    /** What the look before missed too: a LIST that meets a rename shows neither name. */
    let missedBefore: ReadonlySet<MailboxRow['id']> = new Set();
    let unreadable: ReadonlyMap<string, unknown> = new Map();
    for (let look = 1; look <= LOOKS_FOR_MOVED; look++) {
      const { listed, closed, subscriptions } = await this.#list(connection);
      unreadable = closed;
      const changes = compareTrees(
        this.#account,
        vault.catalog.mailboxes(this.#account),
        listed,
        () => vault.nextMailboxId(),
        this.#setBack,
      );
      gone = changes.gone.filter(({ name }) => !closed.has(name));
      this.#mailboxes = listed.length;
      const { early, late, earlyIds } = this.#inOrder(changes, vault.catalog.mailboxes(this.#account));
      late.push(...this.#subscriptionChange(subscriptions));
      if (early.length > 0) await this.#commit(early);
      const changed = changes.followed.filter(
        (followed) =>
          this.#mayHaveChanged(followed) ||
          (named.has(followed.listed.name) && !this.#outcomes.has(followed.id)),
      );
      const isEarly = ({ id, known }: FollowedMailbox) => known !== undefined || earlyIds.has(id);
      const seen = [await this.#followAll(connection, changed.filter(isEarly))];
      const replaced = late.flatMap((record) => (record.t === 'mailbox-gone' ? [record.id] : []));
      if (replaced.length > 0) {
        // Their messages go with this very step, so the checkpoint comes before it.
        await this.#markBurst([...replaced, ...gone.map(({ id }) => id)]);
        this.#countRemoved(this.#messagesOf(replaced));
      }
      if (late.length > 0) await this.#commit(late);
      seen.push(
        await this.#followAll(
          connection,
          changed.filter((followed) => !isEarly(followed)),
        ),
      );
      const removals =
        gone.length > 0 || [...this.#outcomes.values()].some(({ vanished }) => vanished.length > 0);
      if (!removals || this.#removalsWait(gone)) break;
      // A message that was removed may have been moved on before we saw it where it came, which leaves a gap there.
      const settled = seen.every(({ gaps, vanished }) => !gaps && !vanished);
      const confirmed = gone.every(({ id }) => missedBefore.has(id));
      if (look > 1 && confirmed && (settled || this.#areElsewhere(gone))) break;
      // Of one that comes and goes until the last look is nothing taken away before it is looked at again.
      if (look === LOOKS_FOR_MOVED) gone = gone.filter(({ id }) => missedBefore.has(id));
      missedBefore = new Set(gone.map(({ id }) => id));
    }
    const waits = this.#removalsWait(gone);
    if (waits) await this.#finishWithoutRemovals();
    else await this.#remove(gone);
    for (const error of this.#refused.values()) throw waits ? this.#withWaiting(error, gone) : error;
    // Reported once all the others are up to date.
    for (const error of unreadable.values()) throw error;
  }

  /**
   * Mailboxes that can be made before anything is taken away, and the other changes of the tree: a mailbox whose name
   * is in use takes its place.
   */
  #inOrder(
    { structure, followed }: TreeChanges,
    known: readonly MailboxRow[],
  ): { early: StepRecord[]; late: StepRecord[]; earlyIds: ReadonlySet<MailboxRow['id']> } {
    const names = new Set(known.map(({ name }) => name));
    const isEarly = (record: StepRecord) => record.t === 'mailbox' && !names.has(record.name);
    const early = structure.filter(isEarly);
    const late = structure.filter((record) => !isEarly(record));
    const earlyIds = new Set(early.flatMap((record) => (record.t === 'mailbox' ? [record.id] : [])));
    for (const { id, listed, known: row } of followed) {
      if (!row && listed.messages === 0) (earlyIds.has(id) ? early : late).push(positionOf(id, listed));
    }
    return { early, late, earlyIds };
  }

  /** `gaps`: a UID was given and is gone already. `vanished`: messages were removed since the last look. */
  async #followAll(
    connection: ImapConnection,
    mailboxes: readonly FollowedMailbox[],
  ): Promise<{ gaps: boolean; vanished: boolean }> {
    const seen = { gaps: false, vanished: false };
    for (const { id, listed, known } of mailboxes) {
      const before = countOfRanges(this.#outcomes.get(id)?.vanished ?? []);
      let outcome: MailboxOutcome;
      try {
        outcome = await this.#follow(connection, id, listed.name, listed.uidValidity, known, listed.uidNext);
      } catch (error) {
        if (!isOfOneMailbox(error, connection)) throw error;
        this.#refused.set(id, error);
        continue;
      }
      this.#refused.delete(id);
      seen.gaps ||= outcome.gaps;
      seen.vanished ||= countOfRanges(outcome.vanished) > before;
    }
    return seen;
  }

  /** What was removed may have been moved to where we could not look; not for ever, or what is deleted would never go. */
  #removalsWait(gone: readonly MailboxRow[]): boolean {
    const { deps, removalsHeldSinceMs } = this.#context;
    if (this.#refused.size === 0 || this.#areElsewhere(gone)) return false;
    const nowMs = deps.clock.monotonicMs();
    const sinceMs = removalsHeldSinceMs.get(this.#account) ?? nowMs;
    removalsHeldSinceMs.set(this.#account, sinceMs);
    return nowMs - sinceMs < REMOVALS_WAIT_MS;
  }

  #withWaiting(error: unknown, gone: readonly MailboxRow[]): unknown {
    if (!(error instanceof UnderstudyError)) return error;
    const { deps, removalsHeldSinceMs } = this.#context;
    const heldMs = deps.clock.monotonicMs() - (removalsHeldSinceMs.get(this.#account) ?? 0);
    const removed = this.#removedWith(gone.map(({ id }) => id));
    const until = new Date(deps.clock.wallMs() - heldMs + REMOVALS_WAIT_MS).toISOString().slice(0, 16);
    const waiting = `the replica keeps ${counted(removed, 'message')} that went from other mailboxes of the account until ${until}Z, for what went may have been moved there`;
    return reviveError({ ...error.toJSON(), message: `${error.message}; ${waiting}` });
  }

  /** Whether every message that is about to be removed is in another place too. */
  #areElsewhere(gone: readonly MailboxRow[]): boolean {
    const { catalog } = this.#context.deps.vault;
    if (this.#removedWith(gone.map(({ id }) => id)) > REMOVED_ASKED_FOR) return false;
    const goneIds = new Set(gone.map(({ id }) => id));
    const stays = ({ mailboxId, uid }: { mailboxId: MailboxRow['id']; uid: number }) =>
      !goneIds.has(mailboxId) && !rangesHold(this.#outcomes.get(mailboxId)?.vanished ?? [], uid);
    const isElsewhere = (message: MessageRow) => catalog.placesOfBody(message.bodyLsn).some(stays);
    for (const { id } of gone) {
      for (const message of catalog.iterateMessages(id)) if (!isElsewhere(message)) return false;
    }
    for (const [id, { vanished }] of this.#outcomes) {
      for (const uid of uidsOfRanges(vanished)) {
        const message = catalog.messages(id as MailboxRow['id'], { afterUid: uid - 1, limit: 1 })[0];
        if (message?.uid === uid && !isElsewhere(message)) return false;
      }
    }
    return true;
  }

  /** `closed`: mailboxes that are there and cannot be opened now, with the reason. */
  async #list(connection: ImapConnection): Promise<{
    listed: ListedMailbox[];
    closed: ReadonlyMap<string, unknown>;
    subscriptions: string[];
  }> {
    const { clock } = this.#context.deps;
    const began = clock.monotonicMs();
    const [, listings, subscriptions, namespaces] = await Promise.all([
      // Dovecot tells the status of the selected mailbox as of its selection, which may be long ago on a warm
      // connection (RFC 9051 section 6.3.11 warns of it).
      connection.unselect(),
      connection.listMailboxes({ ids: true }),
      connection.listSubscriptions(),
      connection.namespaces(),
    ]);
    this.#context.pace.answered(clock.monotonicMs() - began);
    // One source for both: Dovecot leaves \Subscribed out for an INBOX that this very LIST makes anew.
    const subscribed = new Set(subscriptions);
    const own = listings.filter(({ name, selectable }) => selectable && isOwnMailbox(name, namespaces));
    return {
      listed: own.flatMap((listing) => listedMailbox(listing, subscribed.has(listing.name))),
      closed: await this.#whyClosed(
        connection,
        own.filter(({ status }) => status === undefined),
      ),
      subscriptions: subscriptions.filter((name) => isOwnMailbox(name, namespaces)),
    };
  }

  /** What LIST named without a status: gone since, or not to be opened, which is no deletion. */
  async #whyClosed(
    connection: ImapConnection,
    listings: readonly MailboxListing[],
  ): Promise<ReadonlyMap<string, unknown>> {
    const reasons = new Map<string, unknown>();
    for (const { name } of listings) {
      try {
        await connection.status(name);
        // It can be opened again: another look takes it.
        reasons.set(
          name,
          mailErrors.make('MAIL_MAILBOX_MOVED', `${this.#account}/${name} was closed for a moment`),
        );
      } catch (error) {
        if (connection.failure) throw error;
        if (!hasCode(error, 'MAIL_MAILBOX_ABSENT')) reasons.set(name, error);
      }
    }
    return reasons;
  }

  /** Also the first time, when there are none: after all mail, it says that the account was looked at to its end. */
  #subscriptionChange(names: readonly string[]): StepRecord[] {
    const { catalog } = this.#context.deps.vault;
    const known = catalog.subscriptions(this.#account);
    const same = known.length === names.length && names.every((name, index) => name === known[index]);
    const isFirst = known.length === 0 && catalog.firstWholeLook(this.#account) === undefined;
    return same && !isFirst ? [] : [{ t: 'subscriptions', account: this.#account, names }];
  }

  #mayHaveChanged({ id, listed, known }: FollowedMailbox): boolean {
    const looked = this.#outcomes.get(id);
    const reached = looked?.position ?? known;
    if (!reached) return listed.messages > 0;
    if (!samePosition(reached, listed)) return true;
    // Looked at in this very run: only a moved position is news.
    if (looked) return false;
    if (!known?.complete || known.highestModSeq === undefined) return true;
    const { catalog } = this.#context.deps.vault;
    if (catalog.setAside(this.#account).some((row) => row.mailboxId === id)) return true;
    // Without QRESYNC a server need not raise HIGHESTMODSEQ when a message is removed.
    return this.#comparesCounts && catalog.countMessages(id).messages !== listed.messages;
  }

  async #follow(
    connection: ImapConnection,
    id: MailboxRow['id'],
    name: string,
    uidValidity: number,
    known: MailboxRow | undefined,
    uidNext?: number,
  ): Promise<MailboxOutcome> {
    const unfetchable = this.#unfetchable.get(id) ?? {
      suspects: this.#context.suspects.get(id) ?? new Set(),
      givenUp: new Map(),
      newly: new Set(),
      name,
    };
    unfetchable.name = name;
    this.#unfetchable.set(id, unfetchable);
    const following = followMailbox(this.#context, connection, {
      account: this.#account,
      id,
      name,
      uidValidity,
      firstLook: this.#firstLook,
      unfetchable,
      totals: this.#totals,
      ...(uidNext === undefined ? {} : { uidNext }),
      ...(known ? { known } : {}),
    });
    const outcome = await following.catch((error: unknown) => {
      if (hasCode(error, 'MAIL_MAILBOX_MOVED') && error.details['setBack'] === true) this.#setBack.add(id);
      // Of a server that falls silent at a message the next look must know at which one.
      if (unfetchable.suspects.size > 0) this.#context.suspects.set(id, unfetchable.suspects);
      throw error;
    });
    this.#context.suspects.delete(id);
    this.#outcomes.set(id, outcome);
    return outcome;
  }

  #setAside(): AccountOutcome['setAside'] {
    return [...this.#unfetchable.values()].flatMap(({ name, givenUp, newly }) =>
      [...givenUp].map(([uid, error]) => ({ mailbox: name, uid, error, isNew: newly.has(uid) })),
    );
  }

  /** Removals, after everything that was added anywhere; a burst of them gets a checkpoint just before. */
  async #remove(gone: readonly MailboxRow[]): Promise<void> {
    const ids = gone.map(({ id }) => id);
    const isDoubtful = this.#refused.size > 0 && !this.#areElsewhere(gone);
    const removed = await this.#markBurst(ids, isDoubtful);
    for (const [id, outcome] of this.#outcomes) await this.#finish(id as MailboxRow['id'], outcome);
    if (gone.length > 0) await this.#commit(gone.map((row) => ({ t: 'mailbox-gone', id: row.id }) as const));
    this.#countRemoved(removed);
    this.#context.removalsHeldSinceMs.delete(this.#account);
  }

  async #finishWithoutRemovals(): Promise<void> {
    for (const [id, outcome] of this.#outcomes) {
      if (outcome.vanished.length === 0) await this.#finish(id as MailboxRow['id'], outcome);
    }
  }

  async #finish(id: MailboxRow['id'], outcome: MailboxOutcome): Promise<void> {
    const records: StepRecord[] = [];
    if (outcome.vanished.length > 0)
      records.push({ t: 'vanished', id, uids: formatSequenceSet(outcome.vanished) });
    if (outcome.position) records.push(outcome.position);
    if (records.length > 0) await this.#commit(records);
    this.#context.movedOn.add(id);
  }

  /** How many messages go with these mailboxes and with what vanished; marks the state before when they are many, or may still be there. */
  async #markBurst(gone: readonly MailboxRow['id'][], isDoubtful = false): Promise<number> {
    const { vault, config } = this.#context.deps;
    const removed = this.#removedWith(gone);
    const { share, least } = config.shadow.burst;
    const of = vault.catalog.account(this.#account)?.messageCount ?? 0;
    const isBurst = removed >= least && removed >= share * of;
    if (this.#burstMarked || !(isBurst || isDoubtful)) return removed;
    this.#burstMarked = true;
    const before = vault.committedLsn;
    await this.#commit([{ t: 'checkpoint', cause: 'burst', account: this.#account }]);
    this.#context.onBurst({ account: this.#account, removed, of, before: `lsn:${before}` });
    return removed;
  }

  /** With these mailboxes and with what vanished. */
  #removedWith(gone: readonly MailboxRow['id'][]): number {
    let removed = this.#messagesOf(gone);
    for (const { vanished } of this.#outcomes.values()) removed += countOfRanges(vanished);
    return removed;
  }

  #messagesOf(mailboxes: readonly MailboxRow['id'][]): number {
    const { catalog } = this.#context.deps.vault;
    return mailboxes.reduce((sum, id) => sum + catalog.countMessages(id).messages, 0);
  }

  #countRemoved(messages: number): void {
    this.#removed += messages;
    this.#context.counters.messagesRemoved += messages;
  }

  #commit(records: readonly StepRecord[]) {
    for (const record of records) if (record.t === 'mailbox-gone') forgetMailbox(this.#context, record.id);
    this.#context.counters.recordsCommitted += records.length + 1;
    return this.#context.deps.vault.commit(records);
  }
}

function listedMailbox(listing: MailboxListing, subscribed: boolean): ListedMailbox[] {
  const { status } = listing;
  if (status?.uidValidity === undefined || status.uidNext === undefined) return [];
  return [
    {
      name: listing.name.toUpperCase() === 'INBOX' ? 'INBOX' : listing.name,
      delimiter: listing.delimiter,
      uidValidity: status.uidValidity,
      uidNext: status.uidNext,
      messages: status.messages ?? 0,
      specialUse: listing.specialUse,
      subscribed,
      ...(status.highestModSeq === undefined ? {} : { highestModSeq: status.highestModSeq }),
      ...(status.guid === undefined ? {} : { guid: status.guid }),
    },
  ];
}

function positionOf(id: MailboxRow['id'], { uidNext, highestModSeq }: ListedMailbox): StepRecord {
  return { t: 'position', id, uidNext, ...(highestModSeq === undefined ? {} : { highestModSeq }) };
}

function samePosition(
  a: { readonly uidNext: number; readonly highestModSeq?: string },
  b: { readonly uidNext: number; readonly highestModSeq?: string },
): boolean {
  return a.uidNext === b.uidNext && a.highestModSeq === b.highestModSeq;
}
