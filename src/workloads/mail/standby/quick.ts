/**
 * A standby next to the replica by what STATUS tells: UIDVALIDITY, UIDNEXT, the number of messages, and HIGHESTMODSEQ, which may not be
 * below. One request for all where there is a doveadm API, so that it fits into a takeover. Of a server that gives UIDs of its own only the
 * number of messages can be compared.
 */
import type { Catalog } from '../../../catalog/index.ts';
import type { Lsn } from '../../../journal/index.ts';
import type { ImapConnection, MailboxListing } from '../imap/index.ts';
import { isOwnMailbox } from '../shadow/index.ts';
import type { ActionOptions, Difference } from '../types.ts';
import { isAbsent } from '../verify/index.ts';
import { asSomeAccount, featuresOf, isOfTheAccount } from './features.ts';
import { isKept, type NameRules, nameOnTarget } from './names.ts';
import { openTarget, type TargetServer } from './target.ts';
import type { StandbyDeps } from './types.ts';
import { livingAccounts } from './wanted.ts';

export interface QuickRequest {
  /** The replica as of this LSN; absent = its last commit. */
  readonly at?: Lsn;
  /** Absent = every account of the replica that was not gone. */
  readonly accounts?: readonly string[];
  /** The server is the replica's own: HIGHESTMODSEQ must be the same, so that changed flags show too. */
  readonly itself?: boolean;
}

export interface QuickReport {
  readonly equal: boolean;
  /** How many were compared. */
  readonly accounts: number;
  /** Of message numbers, `expected` and `found` are counts. */
  readonly differences: readonly Difference[];
}

export interface Status {
  readonly uidValidity?: number | undefined;
  readonly uidNext?: number | undefined;
  readonly messages?: number | undefined;
  readonly highestModSeq?: string | undefined;
}

/** From so many of the accounts on, one request for all users is cheaper than one for each. */
const ALL_FROM_SHARE = 0.5;

/**
 * Reads only; may be repeated. An account that the server does not let in differs. Errors: CATALOG_ACCOUNT_UNKNOWN; `MAIL_…` of the
 * connection and the doveadm API.
 */
export async function quickCompare(
  deps: StandbyDeps,
  request: QuickRequest = {},
  options: ActionOptions = {},
): Promise<QuickReport> {
  const { catalog } = deps.reader;
  const at = request.at ?? catalog.appliedLsn;
  const accounts = livingAccounts(catalog, request.accounts, at);
  if (accounts.length === 0) return { equal: true, accounts: 0, differences: [] };
  const { signal } = options;
  const server = openTarget(deps, signal);
  try {
    const rules = await rulesOf(server, accounts, signal);
    const found = await statuses(deps, server, accounts, rules, signal);
    const differencesWith = (keepsUids: boolean) => {
      const differences: Difference[] = [];
      for (const account of accounts) {
        const served = found.get(account);
        const place = { catalog, at, rules, keepsUids, itself: request.itself ?? false };
        if (served) differences.push(...differencesByStatus(place, account, served));
        else differences.push({ account, what: 'account-missing' });
      }
      return differences;
    };
    let differences = differencesWith(server.doveadm !== undefined);
    const isOther = differences.some(({ what }) => what === 'uidvalidity');
    if (isOther && !(await keepsUids(server, accounts, signal))) differences = differencesWith(false);
    return { equal: differences.length === 0, accounts: accounts.length, differences };
  } finally {
    server.close();
  }
}

/** An API that answers need not be one that can set UIDs. */
async function keepsUids(
  server: TargetServer,
  accounts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { pinUids } = await asSomeAccount(
    server.pool,
    accounts,
    (connection, account) => featuresOf(connection, server.doveadm, account),
    signal,
  );
  return pinUids;
}

/** How the target writes names, as one of these accounts sees it. */
export async function namesOf(
  deps: StandbyDeps,
  accounts: readonly string[],
  signal?: AbortSignal,
): Promise<NameRules> {
  const server = openTarget(deps, signal);
  try {
    return await rulesOf(server, accounts, signal);
  } finally {
    server.close();
  }
}

function rulesOf(
  { pool }: TargetServer,
  accounts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Rules> {
  return asSomeAccount(pool, accounts, namesFor, signal);
}

/** How the target writes names, as who is logged in sees it. */
export async function namesFor(connection: ImapConnection): Promise<Rules> {
  const namespaces = await connection.namespaces();
  const personal = namespaces?.personal[0];
  const separator =
    personal === undefined
      ? (await connection.listMailboxes({ status: false }))[0]?.delimiter
      : personal.delimiter;
  return {
    separator: separator ?? null,
    prefix: personal?.prefix ?? '',
    isOwn: (name) => isOwnMailbox(name, namespaces),
  };
}

export interface Rules extends NameRules {
  isOwn(name: string): boolean;
}

async function statuses(
  { reader, config }: StandbyDeps,
  { pool, doveadm }: TargetServer,
  accounts: readonly string[],
  rules: Rules,
  signal: AbortSignal | undefined,
): Promise<Map<string, Map<string, Status>>> {
  const found = new Map<string, Map<string, Status>>();
  const add = (account: string, name: string, status: Status) => {
    if (!rules.isOwn(name)) return;
    const of = found.get(account) ?? new Map<string, Status>();
    of.set(name.toUpperCase() === 'INBOX' ? 'INBOX' : name, status);
    found.set(account, of);
  };
  if (doveadm) {
    const most = accounts.length >= reader.catalog.totals().accounts * ALL_FROM_SHARE && accounts.length > 1;
    const rows = most
      ? await doveadm.mailboxStatusOfAll(signal).catch(() => doveadm.mailboxStatusOfEach(accounts, signal))
      : await doveadm.mailboxStatusOfEach(accounts, signal);
    for (const row of rows) add(row.user, row.mailbox, row);
    return found;
  }
  const waiting = [...accounts];
  const work = async () => {
    for (let account = waiting.shift(); account !== undefined; account = waiting.shift()) {
      const name = account;
      try {
        const listings = await pool.use(name, async (connection) => {
          const there: MailboxListing[] = [];
          for (const listing of await connection.listMailboxes()) {
            if (!listing.selectable) continue;
            if (listing.status === undefined && (await isAbsent(connection, listing.name))) continue;
            there.push(listing);
          }
          return there;
        });
        for (const listing of listings) add(name, listing.name, listing.status ?? {});
      } catch (error) {
        signal?.throwIfAborted();
        if (!isOfTheAccount(error)) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(config.shadow.connections, accounts.length) }, work));
  return found;
}

export interface StatusPlace {
  readonly catalog: Catalog;
  readonly at: Lsn;
  readonly rules: NameRules;
  readonly keepsUids: boolean;
  readonly itself: boolean;
}

/** What STATUS of an account's own mailboxes, by their names on the target, tells otherwise than the replica. */
export function differencesByStatus(
  place: StatusPlace,
  account: string,
  all: ReadonlyMap<string, Status>,
): Difference[] {
  const { catalog, at, rules } = place;
  const differences: Difference[] = [];
  const served = new Map(all);
  for (const state of catalog.mailboxStates(account, at)) {
    const name = nameOnTarget(state.row, rules);
    const status = served.get(name);
    served.delete(name);
    if (status) differences.push(...differencesOf(place, state, status));
    else differences.push({ account, mailbox: state.row.name, what: 'mailbox-missing' });
  }
  for (const mailbox of served.keys()) {
    // One that the replica has, since it was taken back once, is a mailbox like any other.
    if (!isKept(mailbox)) differences.push({ account, mailbox, what: 'mailbox-extra' });
  }
  return differences;
}

function differencesOf(
  { keepsUids, itself }: StatusPlace,
  { row, messages: wanted, uidNext }: ReturnType<Catalog['mailboxStates']>[number],
  status: Status,
): Difference[] {
  const found: Difference[] = [];
  const differ = (what: Difference['what'], expected: unknown, have: unknown) =>
    found.push({
      account: row.account,
      mailbox: row.name,
      what,
      expected: String(expected),
      found: String(have),
    });
  if (keepsUids && status.uidValidity !== row.uidValidity) {
    differ('uidvalidity', row.uidValidity, status.uidValidity);
    return found;
  }
  // Of a past moment a UIDNEXT up to that of now is right: those UIDs are still to come.
  const { uidNext: has = 0, messages = 0 } = status;
  if (keepsUids && (has < uidNext || has > Math.max(uidNext, row.uidNext))) differ('uidnext', uidNext, has);
  if (messages !== wanted) differ(messages < wanted ? 'message-missing' : 'message-extra', wanted, messages);
  if (!keepsUids) return found;
  const { highestModSeq = '0' } = row;
  if (status.highestModSeq === undefined) return found;
  const has64 = BigInt(status.highestModSeq);
  const wanted64 = BigInt(highestModSeq);
  if (has64 < wanted64 || (itself && has64 !== wanted64)) {
    differ('modseq', itself ? highestModSeq : `at least ${highestModSeq}`, status.highestModSeq);
  }
  return found;
}
