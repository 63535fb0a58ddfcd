/** One account of the target: its mailboxes by name, then what is in them, then what it has too many, then the subscriptions. */
import type { MailboxRow } from '../../../catalog/index.ts';
import type { MailboxId } from '../../../journal/index.ts';
import { hasCode } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import type { MailboxListing, SelectedMailbox } from '../imap/index.ts';
import { isOwnMailbox } from '../shadow/index.ts';
import { isAbsent } from '../verify/index.ts';
import { takeAway } from './aside.ts';
import { isMoved } from './feeder.ts';
import { bringMailbox } from './mailbox.ts';
import { homeOf, isKept, nameOnTarget, numbersName, replacedName } from './names.ts';
import { bringMailboxPlainly } from './plain.ts';
import { modSeqToSet, prepareMailboxes } from './prepare.ts';
import { takeBesideAway } from './renumber.ts';
import type { AccountTools, MailboxJob } from './tools.ts';
import type { Wanted } from './wanted.ts';

/** A mailbox into which somebody writes is looked at so often. */
const LOOKS_MOST = 4;

export class AccountBringUp {
  readonly #tools: AccountTools;
  readonly #account: string;
  /** Only these; undefined = all. */
  readonly #only: ReadonlySet<MailboxId> | undefined;
  readonly #isPart: boolean;
  /** Mailboxes to be looked at once more, over another connection. */
  #renumbered: MailboxJob[] = [];

  constructor(
    tools: AccountTools,
    account: string,
    { mailboxes, isPart }: Pick<Wanted, 'mailboxes' | 'isPart'>,
  ) {
    this.#tools = tools;
    this.#account = account;
    this.#only = mailboxes;
    this.#isPart = isPart;
  }

  async run(): Promise<void> {
    const { reader, at, dryRun, tally } = this.#tools;
    const all = reader.catalog.mailboxes(this.#account, at);
    let served = await this.#served();
    if (!dryRun && (await this.#rename(all, served))) served = await this.#served();
    // Parents come before what is below them.
    const rows = all
      .filter(({ id }) => !this.#only || this.#only.has(id))
      .sort((a, b) => Number(b.name === 'INBOX') - Number(a.name === 'INBOX') || (a.name < b.name ? -1 : 1));
    if (!dryRun) await this.#raiseModSeqs(rows, served);
    const jobs = rows.map((row) => {
      const name = this.#nameOf(row);
      return { row, name, status: served.get(name)?.status };
    });
    const prepared = await this.#prepared(jobs);
    for (const job of jobs) {
      this.#tools.signal?.throwIfAborted();
      const { row, name } = job;
      const open = prepared.get(row.id);
      const isThere = prepared.has(row.id) ? { again: true } : {};
      await this.#bring(this.#tools, { ...job, ...isThere, ...(open ? { open } : {}) });
      if (!dryRun) await this.#dropBeside(name, served);
      tally.mailboxes += 1;
      tally.tell(this.#account, row.name);
    }
    await this.#lookAgain();
    const { doveadm, pinsAtEnd } = this.#tools;
    if (pinsAtEnd.length > 0) await doveadm?.pinMailboxes(pinsAtEnd);
    if (!this.#isPart) await this.#removeExtra(all, served);
    await this.#subscribe(all);
  }

  /** Of every mailbox in one request: one for each costs the target a process each, and all need it when an account comes back. */
  async #raiseModSeqs(
    rows: readonly MailboxRow[],
    served: ReadonlyMap<string, MailboxListing>,
  ): Promise<void> {
    const { doveadm, features } = this.#tools;
    if (doveadm === undefined || !features.pinUids) return;
    const pins = rows.flatMap((row) => {
      const mailbox = this.#nameOf(row);
      const status = served.get(mailbox)?.status;
      // What is another mailbox, or empty and yet to be made this one, is seen to when its turn comes.
      if (status === undefined || status.uidValidity !== row.uidValidity) return [];
      const minHighestModSeq = modSeqToSet(row, status);
      return minHighestModSeq === undefined ? [] : [{ user: this.#account, mailbox, minHighestModSeq }];
    });
    if (pins.length > 1) await doveadm.pinMailboxes(pins);
  }

  async #prepared(jobs: readonly MailboxJob[]): Promise<ReadonlyMap<MailboxId, SelectedMailbox | undefined>> {
    const { dryRun, features } = this.#tools;
    return dryRun || !features.pinUids ? new Map() : prepareMailboxes(this.#tools, jobs);
  }

  async #bring(tools: AccountTools, job: MailboxJob): Promise<void> {
    if (!tools.features.pinUids) return bringMailboxPlainly(tools, job);
    const { open: _, ...known } = job;
    const again = { ...known, again: true };
    for (let look = 1; ; look += 1) {
      try {
        const outcome = await bringMailbox(tools, look > 1 ? again : job);
        if (outcome === 'renumbered') this.#renumbered.push({ ...again, counted: true });
        return;
      } catch (error) {
        if (!isMoved(error) || look === LOOKS_MOST) throw error;
      }
    }
  }

  /** A session that had a mailbox open while its UIDs were replaced goes on with those before. */
  async #lookAgain(): Promise<void> {
    for (let look = 1; this.#renumbered.length > 0; look += 1) {
      if (look === LOOKS_MOST) {
        throw mailErrors.make(
          'MAIL_MAILBOX_MOVED',
          `${this.#renumbered[0]?.name} is written into while it is brought up, again and again`,
        );
      }
      const jobs = this.#renumbered;
      this.#renumbered = [];
      await this.#tools.anew(async (connection) => {
        for (const job of jobs) await this.#bring({ ...this.#tools, connection }, job);
      });
    }
  }

  #nameOf(row: { name: string; delimiter: string | null }): string {
    return nameOnTarget(row, this.#tools.features);
  }

  /** What the target has and is the account's own, by name. */
  async #served(): Promise<Map<string, MailboxListing>> {
    const { connection } = this.#tools;
    const [listings, namespaces] = await Promise.all([connection.listMailboxes(), connection.namespaces()]);
    return new Map(
      listings
        .filter(({ name, selectable }) => selectable && isOwnMailbox(name, namespaces))
        .map((listing) => [listing.name.toUpperCase() === 'INBOX' ? 'INBOX' : listing.name, listing]),
    );
  }

  /** A mailbox that was renamed since keeps what is in it. */
  async #rename(rows: readonly MailboxRow[], served: Map<string, MailboxListing>): Promise<boolean> {
    const { connection, features } = this.#tools;
    // What another mailbox is now stays as it is where only one is wanted.
    if (!features.pinUids || this.#isPart) return false;
    const homes = new Set(rows.map((row) => this.#nameOf(row)));
    let renamed = false;
    for (const row of [...rows].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = this.#nameOf(row);
      if (served.has(name)) continue;
      const was = [...served.values()].find(
        (listing) =>
          listing.status?.uidValidity === row.uidValidity &&
          !homes.has(listing.name) &&
          listing.name.toUpperCase() !== 'INBOX' &&
          !isKept(listing.name) &&
          homeOf(listing.name, features) === undefined,
      );
      if (!was) continue;
      try {
        await connection.rename(was.name, name);
      } catch (error) {
        // Its parent has taken it along, or it cannot be: it is made anew then.
        if (!hasCode(error, 'MAIL_MAILBOX_ABSENT') && !hasCode(error, 'MAIL_COMMAND_REFUSED')) throw error;
      }
      renamed = true;
      served.clear();
      for (const [key, listing] of await this.#served()) served.set(key, listing);
    }
    return renamed;
  }

  /** An interrupted run left it. */
  async #dropBeside(name: string, served: ReadonlyMap<string, MailboxListing>): Promise<void> {
    const { features } = this.#tools;
    const replaced = replacedName(name, features);
    if (served.has(replaced)) await takeAway(this.#tools, this.#account, replaced, name);
    const numbers = numbersName(name, features);
    if (served.has(numbers)) await takeBesideAway(this.#tools, this.#account, numbers, name);
  }

  async #removeExtra(
    rows: readonly MailboxRow[],
    served: ReadonlyMap<string, MailboxListing>,
  ): Promise<void> {
    const { reader, connection, tally, dryRun, features } = this.#tools;
    const wanted = new Set(rows.map((row) => this.#nameOf(row)));
    const lives = reader.catalog.mailboxHistory(this.#account);
    for (const [name, listing] of [...served].sort(([a], [b]) => (a < b ? 1 : -1))) {
      if (wanted.has(name) || name === 'INBOX' || isKept(name)) continue;
      const home = homeOf(name, features);
      if (home !== undefined && wanted.has(home)) continue;
      if (this.#only) {
        const { status } = listing;
        const changed = lives.some(
          (life) =>
            this.#only?.has(life.id) &&
            (life.name === name || (features.pinUids && life.uidValidity === status?.uidValidity)),
        );
        if (!changed) continue;
      }
      if (listing.status === undefined && (await isAbsent(connection, name))) continue;
      if (!dryRun) await takeAway(this.#tools, this.#account, name, home);
      tally.repaired.push({
        what: 'extra-mailbox',
        account: this.#account,
        mailbox: name,
        count: Math.max(1, listing.status?.messages ?? 1),
      });
    }
  }

  async #subscribe(rows: readonly MailboxRow[]): Promise<void> {
    const { reader, connection, at, dryRun, tally } = this.#tools;
    const delimiter = rows[0]?.delimiter ?? null;
    const mine = new Set(rows.flatMap((row) => (this.#only?.has(row.id) ? [this.#nameOf(row)] : [])));
    const isOurs = (name: string) => !this.#isPart || mine.has(name);
    const wanted = new Set(
      reader.catalog
        .subscriptions(this.#account, at)
        .map((name) => this.#nameOf({ name, delimiter }))
        .filter(isOurs),
    );
    const [has, namespaces] = await Promise.all([connection.listSubscriptions(), connection.namespaces()]);
    for (const name of has) {
      if (wanted.delete(name) || !isOurs(name) || !isOwnMailbox(name, namespaces) || isKept(name)) continue;
      if (!dryRun) await connection.unsubscribe(name);
      tally.repaired.push({
        what: 'subscription',
        account: this.#account,
        mailbox: name,
        count: 1,
        found: 'subscribed',
        wanted: 'not subscribed',
      });
    }
    if (dryRun) return;
    const subscribe = async (name: string) => {
      try {
        await connection.subscribe(name);
      } catch (error) {
        // Some servers subscribe to what exists only; the live one may keep the names of mailboxes that are gone.
        if (!hasCode(error, 'MAIL_COMMAND_REFUSED') && !hasCode(error, 'MAIL_MAILBOX_ABSENT')) throw error;
        tally.repaired.push({
          what: 'subscription',
          account: this.#account,
          mailbox: name,
          count: 1,
          found: 'the target refuses it',
          wanted: 'subscribed',
        });
      }
    };
    // Commands are served in the order of the calls; nothing is gained by waiting for each.
    await Promise.all([...wanted].map(subscribe));
  }
}
