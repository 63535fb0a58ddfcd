/**
 * Compares a live server with the replica, and says precisely where they differ: the mailbox set, UIDVALIDITY,
 * UIDNEXT, UIDs, flags, INTERNALDATE, sizes, and SHA-256 of bodies. Reads both sides only; the journal is not
 * brought up to date, so what changed on the server since is a difference too.
 */
import { createHash, hash as digest, type Hash } from 'node:crypto';
import {
  internalDateMs,
  iso,
  type MailboxRow,
  type MessageRow,
  requireAccount,
  type Vault,
} from '../../../catalog/index.ts';
import type { Lsn } from '../../../journal/index.ts';
import { hasCode, UnderstudyError } from '../../../lib/index.ts';
import { type ImapConnection, type MailboxListing, normalizeFlags, rangesOfUids } from '../imap/index.ts';
import { requireShadowed } from '../restore/index.ts';
import { ConnectionPool, isOwnMailbox, problemOf, ServerFailures } from '../shadow/index.ts';
import type {
  ActionOptions,
  Certificate,
  Difference,
  MailDeps,
  Problem,
  VerifyReport,
  VerifyRequest,
} from '../types.ts';
import { AccountReading } from './reading.ts';

/** A replica next to a server that serves it, or is to. */
export interface VerifyDeps extends Omit<MailDeps, 'vault'> {
  readonly vault: Pick<Vault, 'catalog' | 'dir' | 'committedLsn' | 'journalId' | 'failure'>;
  /** The server's name of a mailbox; absent = that of the replica. */
  nameOf?(row: Pick<MailboxRow, 'name' | 'delimiter'>): string;
  /** Mailboxes and subscriptions that the server may have and the replica has not. */
  ignores?(mailbox: string): boolean;
}

const DIFFERENCES_LISTED = 1_000;
const COMPARED_AT_ONCE = 1_000;
const SET_ASIDE = 'set aside: the server could not serve it';

/**
 * May be repeated at any time. Errors: CATALOG_ACCOUNT_UNKNOWN, CATALOG_AT_…; that of the server when no account could be
 * compared; what concerns one account or mailbox is a problem of the report, which is then not `equal`. When the server fails as a
 * whole the comparison stops, and every account that was not compared until then is such a problem. A message that the server does
 * not serve is a difference.
 */
export async function verifyMail(
  deps: VerifyDeps,
  request: VerifyRequest,
  options: ActionOptions = {},
): Promise<VerifyReport> {
  const { vault, config } = deps;
  requireShadowed(vault);
  const at = request.at ?? vault.committedLsn;
  const accounts = request.account
    ? [requireAccount(vault.catalog, request.account, at).account]
    : vault.catalog
        .accounts(at)
        .filter((row) => row.goneLsn === undefined || row.goneLsn > at)
        .map((row) => row.account);
  const comparison = new Comparison(deps, at, request.bodies, accounts, options);
  const pool = new ConnectionPool(deps as MailDeps, { keepWarm: 0 });
  const waiting = [...accounts];
  const work = async () => {
    for (let account = waiting.shift(); account !== undefined; account = waiting.shift()) {
      await comparison.account(account, pool);
      if (!comparison.serverFails) continue;
      // Each further account would only take as long to fail as a connection does. Those that were let in are read on.
      waiting.length = 0;
      if (!comparison.isReading) pool.close();
    }
  };
  // An answer may be long in coming: whoever gives up does not wait for it.
  const close = () => pool.close();
  options.signal?.addEventListener('abort', close);
  try {
    await Promise.all(Array.from({ length: Math.min(config.shadow.connections, accounts.length) }, work));
  } finally {
    options.signal?.removeEventListener('abort', close);
    pool.close();
  }
  return comparison.report();
}

class Comparison {
  readonly #deps: VerifyDeps;
  readonly #at: Lsn;
  readonly #accounts: readonly string[];
  readonly #options: ActionOptions;
  readonly #began: number;
  /** Every so many messages one body is compared; 1 = all. */
  readonly #bodyEvery: number;
  readonly #differences: Difference[] = [];
  /** Of single mailboxes. */
  readonly #problems: Problem[] = [];
  /** Accounts that could not be compared to the end, in the order in which they failed. */
  readonly #failed = new Map<string, unknown>();
  readonly #failures = new ServerFailures();
  /** What every account that is not compared yet would meet. */
  #serverFailure: { readonly error: unknown } | undefined;
  /** One per account that was compared to the end, so that the digest does not depend on the order in which they were done. */
  readonly #digests = new Map<string, string>();
  #reading = 0;
  #differenceCount = 0;
  #mailboxes = 0;
  #messages = 0;
  #bodies = 0;
  readonly #messagesTotal: number;

  constructor(
    deps: VerifyDeps,
    at: Lsn,
    bodies: VerifyRequest['bodies'],
    accounts: readonly string[],
    options: ActionOptions,
  ) {
    this.#deps = deps;
    this.#at = at;
    this.#accounts = accounts;
    this.#options = options;
    this.#began = deps.clock.monotonicMs();
    this.#messagesTotal = accounts.reduce(
      (sum, account) => sum + (deps.vault.catalog.account(account, at)?.messageCount ?? 0),
      0,
    );
    this.#bodyEvery =
      bodies === 'all' ? 1 : Math.max(1, Math.ceil(this.#messagesTotal / Math.max(1, bodies.sample)));
  }

  async account(account: string, pool: ConnectionPool): Promise<void> {
    this.#options.signal?.throwIfAborted();
    let reading: AccountReading | undefined;
    try {
      reading = await AccountReading.open(pool, account, this.#options.signal);
      this.#reading += 1;
      await this.#compareAccount(account, reading);
      this.#failures.well();
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (this.#deps.vault.failure !== undefined) throw error;
      // Not let in, or given up, while the server fails all: there is nothing else to say of it.
      if (this.#serverFailure !== undefined && reading === undefined) return;
      this.#failed.set(account, error);
      if (this.#failures.failed(account, error, this.#accounts.length)) this.#serverFailure ??= { error };
    } finally {
      reading?.close();
      if (reading !== undefined) this.#reading -= 1;
    }
    this.#tell(account);
  }

  get serverFails(): boolean {
    return this.#serverFailure !== undefined;
  }

  /** Whether an account is being read now. */
  get isReading(): boolean {
    return this.#reading > 0;
  }

  /** @throws what the server fails with, or the first account, when nothing could be compared */
  report(): VerifyReport {
    const { vault, clock, server } = this.#deps;
    const notCompared = this.#accounts.filter((account) => !this.#digests.has(account));
    const errorOf = (account: string) => this.#failed.get(account) ?? this.#serverFailure?.error;
    if (notCompared.length > 0 && this.#digests.size === 0 && this.#differenceCount === 0) {
      const [first] = this.#failed.values();
      throw this.#serverFailure?.error ?? first;
    }
    const problems = [
      ...notCompared.map((account) => problemOf(account, errorOf(account))),
      ...this.#problems,
    ];
    const inPart = new Set(this.#problems.map(({ account }) => account));
    const overall = createHash('sha256');
    for (const account of this.#accounts) overall.update(`${account}\0${this.#digests.get(account) ?? ''}\n`);
    const certificate: Certificate = {
      server,
      journalId: vault.journalId,
      lsn: this.#at,
      asOf: iso(vault.catalog.timeOf(this.#at) ?? 0),
      comparedAt: iso(clock.wallMs()),
      accounts: [...this.#digests.keys()].filter((account) => !inPart.has(account)).length,
      mailboxes: this.#mailboxes,
      messages: this.#messages,
      bodiesCompared: this.#bodies,
      bodies: this.#bodyEvery === 1 ? 'all' : 'sample',
      digest: overall.digest('hex'),
    };
    return {
      equal: this.#differenceCount === 0 && problems.length === 0,
      certificate,
      differences: this.#differences,
      differenceCount: this.#differenceCount,
      problems,
    };
  }

  async #compareAccount(account: string, reading: AccountReading): Promise<void> {
    const { catalog } = this.#deps.vault;
    const { connection } = reading;
    const [listings, subscribed, namespaces] = await Promise.all([
      connection.listMailboxes(),
      connection.listSubscriptions(),
      connection.namespaces(),
    ]);
    const served = new Map<string, MailboxListing>();
    for (const listing of listings) {
      if (!listing.selectable || !isOwnMailbox(listing.name, namespaces)) continue;
      served.set(listing.name.toUpperCase() === 'INBOX' ? 'INBOX' : listing.name, listing);
    }
    const listing = createHash('sha256');
    for (const row of catalog.mailboxes(account, this.#at)) {
      const name = this.#nameOf(row);
      const found = served.get(name);
      served.delete(name);
      if (!found) this.#differ({ account, mailbox: row.name, what: 'mailbox-missing' });
      else await this.#tryMailbox(reading, row, listing);
      this.#tell(account, row.name);
    }
    for (const [name, { status }] of served) {
      if (this.#deps.ignores?.(name)) continue;
      if (status !== undefined || !(await isAbsent(reading.connection, name)))
        this.#differ({ account, mailbox: name, what: 'mailbox-extra' });
    }
    const delimiter = catalog.mailboxes(account, this.#at)[0]?.delimiter ?? null;
    const expected = catalog
      .subscriptions(account, this.#at)
      .map((name) => this.#nameOf({ name, delimiter }));
    const own = subscribed.filter(
      (name) => isOwnMailbox(name, namespaces) && (expected.includes(name) || !this.#deps.ignores?.(name)),
    );
    for (const mailbox of expected) {
      if (!own.includes(mailbox)) {
        this.#differ({
          account,
          mailbox,
          what: 'subscription',
          expected: 'subscribed',
          found: 'not subscribed',
        });
      }
    }
    for (const mailbox of own) {
      if (!expected.includes(mailbox)) {
        this.#differ({
          account,
          mailbox,
          what: 'subscription',
          expected: 'not subscribed',
          found: 'subscribed',
        });
      }
    }
    this.#digests.set(account, listing.digest('hex'));
  }

  /** A mailbox that cannot be read is a problem of its own, while the server lets us in and reads others. */
  async #tryMailbox(reading: AccountReading, row: MailboxRow, listing: Hash): Promise<void> {
    try {
      await this.#compareMailbox(reading, row, listing);
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      const isOfServer = error instanceof UnderstudyError && error.code.startsWith('MAIL_');
      if (!isOfServer || this.#deps.vault.failure !== undefined) throw error;
      await reading.renew();
      this.#problems.push({ ...problemOf(row.account, error), mailbox: row.name });
    }
  }

  async #compareMailbox(reading: AccountReading, row: MailboxRow, listing: Hash): Promise<void> {
    const { account, name: mailbox } = row;
    const { catalog } = this.#deps.vault;
    const open = await reading.connection.examine(this.#nameOf(row));
    this.#mailboxes += 1;
    listing.update(`${mailbox}\0${row.uidValidity}\n`);
    if (open.uidValidity !== row.uidValidity) {
      this.#differ({
        account,
        mailbox,
        what: 'uidvalidity',
        expected: String(row.uidValidity),
        found: String(open.uidValidity),
      });
      return;
    }
    // Of a past moment a UIDNEXT up to that of now is right: those UIDs were still to come.
    const uidNext = catalog.uidNextAt(row.id, this.#at);
    const has = open.uidNext;
    if (has !== undefined && (has < uidNext || has > Math.max(uidNext, row.uidNext))) {
      this.#differ({ account, mailbox, what: 'uidnext', expected: String(uidNext), found: String(has) });
    }
    const setAside = new Set(
      catalog
        .setAside(account, this.#at)
        .filter((aside) => aside.mailboxId === row.id)
        .map((aside) => aside.uid),
    );
    let from = 1;
    for (;;) {
      this.#options.signal?.throwIfAborted();
      const messages = catalog.messages(row.id, {
        at: this.#at,
        afterUid: from - 1,
        limit: COMPARED_AT_ONCE,
      });
      const last = messages.length < COMPARED_AT_ONCE;
      const to = last
        ? Math.max(row.uidNext, open.uidNext ?? 0, from + 1) - 1
        : (messages.at(-1)?.uid as number);
      if (to >= from) await this.#compareMessages(reading, row, { from, to }, messages, setAside, listing);
      if (last) return;
      from = to + 1;
    }
  }

  async #compareMessages(
    reading: AccountReading,
    { account, name: mailbox }: MailboxRow,
    range: { from: number; to: number },
    messages: readonly MessageRow[],
    setAside: ReadonlySet<number>,
    listing: Hash,
  ): Promise<void> {
    const expected = new Map(messages.map((message) => [message.uid, message]));
    const found = new Set<number>();
    const known = [
      ...expected.keys(),
      ...[...setAside].filter((uid) => uid >= range.from && uid <= range.to),
    ];
    const request = {
      ranges: [range],
      known: known.sort((a, b) => a - b),
      items: { flags: true, internalDate: true, size: true },
    };
    const unreadable = await reading.fetch(request, (message) => {
      if (found.has(message.uid)) return;
      found.add(message.uid);
      const held = expected.get(message.uid);
      if (!held) {
        const why = setAside.has(message.uid) ? { expected: SET_ASIDE } : {};
        this.#differ({ account, mailbox, uid: message.uid, what: 'message-extra', ...why });
        return;
      }
      const differ = (what: Difference['what'], want: string, have: string) => {
        if (want !== have)
          this.#differ({ account, mailbox, uid: message.uid, what, expected: want, found: have });
      };
      differ('flags', held.flags.join(' '), normalizeFlags(message.flags ?? []).join(' '));
      if (!isSameMoment(held.date, message.internalDate ?? '')) {
        differ('date', held.date, message.internalDate ?? '');
      }
      differ('size', String(held.size), String(message.size));
    });
    const differsInBody = (message: MessageRow, served: string) =>
      this.#differ({
        account,
        mailbox,
        uid: message.uid,
        what: 'body',
        expected: Buffer.from(message.hash).toString('hex'),
        found: served,
      });
    for (const message of messages) {
      const failure = unreadable.get(message.uid);
      if (failure) differsInBody(message, reasonOf(failure));
      else if (!found.has(message.uid))
        this.#differ({ account, mailbox, uid: message.uid, what: 'message-missing' });
      listing.update(`${message.uid} ${message.size} ${message.flags.join(' ')}\0`);
      listing.update(message.hash);
    }
    for (const [uid, failure] of unreadable) {
      if (expected.has(uid) || found.has(uid)) continue;
      // The server has it still: one that is gone is left out of an answer, and breaks none.
      const sides = { expected: SET_ASIDE, found: reasonOf(failure) };
      this.#differ({ account, mailbox, uid, what: 'message-extra', ...sides });
    }
    const compared = messages.filter(
      (message, index) => (this.#messages + index) % this.#bodyEvery === 0 && found.has(message.uid),
    );
    this.#messages += messages.length;
    if (compared.length === 0) return;
    const uids = compared.map(({ uid }) => uid);
    const served = new Map<number, string>();
    const bodies = { ranges: rangesOfUids(uids), known: uids, items: { body: true } };
    const faulty = await reading.fetch(bodies, (message) => {
      if (message.body) served.set(message.uid, digest('sha256', message.body, 'hex'));
    });
    // By what was asked for and not by what came: a server may give NIL for a message whose file is gone, or skip it.
    for (const message of compared) {
      const found = served.get(message.uid);
      const failure = faulty.get(message.uid);
      if (found === undefined) {
        differsInBody(message, failure ? reasonOf(failure) : 'the server gives no body');
        continue;
      }
      this.#bodies += 1;
      if (found !== Buffer.from(message.hash).toString('hex')) differsInBody(message, found);
    }
    this.#tell(account, mailbox);
  }

  #nameOf(row: Pick<MailboxRow, 'name' | 'delimiter'>): string {
    return this.#deps.nameOf?.(row) ?? row.name;
  }

  #differ(difference: Difference): void {
    this.#differenceCount += 1;
    if (this.#differences.length < DIFFERENCES_LISTED) this.#differences.push(difference);
  }

  #tell(account: string, mailbox?: string): void {
    const elapsedMs = this.#deps.clock.monotonicMs() - this.#began;
    const left = this.#messagesTotal - this.#messages;
    this.#options.progress?.({
      phase: 'verify',
      server: this.#deps.server,
      account,
      ...(mailbox === undefined ? {} : { mailbox }),
      accountsDone: this.#digests.size + this.#failed.size,
      accountsTotal: this.#accounts.length,
      messagesDone: this.#messages,
      messagesTotal: this.#messagesTotal,
      elapsedMs,
      ...(this.#messages > 0 ? { etaMs: (elapsedMs / this.#messages) * Math.max(0, left) } : {}),
    });
  }
}

/**
 * Whether there is no mailbox of this name, though it was listed: Dovecot's index of mailboxes may name the parent of one as if it were one itself,
 * and gives it no status. Errors: `MAIL_…` of a connection that ended.
 */
export async function isAbsent(connection: ImapConnection, name: string): Promise<boolean> {
  try {
    await connection.status(name);
    return false;
  } catch (error) {
    if (connection.failure) throw error;
    return hasCode(error, 'MAIL_MAILBOX_ABSENT');
  }
}

function reasonOf({ code, message }: UnderstudyError): string {
  return `${code}: ${message}`;
}

/** A server writes dates in a time zone of its own. */
function isSameMoment(a: string, b: string): boolean {
  const ms = internalDateMs(a);
  return ms === undefined ? a === b : ms === internalDateMs(b);
}
