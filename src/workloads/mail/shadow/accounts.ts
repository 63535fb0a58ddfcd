/** Which accounts a server has, and which of them may have changed. */
import type { MailboxRow } from '../../../catalog/index.ts';
import { hasCode } from '../../../lib/index.ts';
import type { DoveadmClient, DoveadmMailboxStatus } from '../doveadm/index.ts';
import { mailErrors } from '../errors.ts';
import type { MailDeps, Problem } from '../types.ts';
import type { FollowContext } from './context.ts';
import { doveadmOf } from './doveadm.ts';
import { problemOf } from './problems.ts';

export interface AccountsToLookAt {
  readonly accounts: readonly string[];
  /** Those that may have changed: all, unless one request told which. */
  readonly changed: readonly string[];
  /** Messages to fetch in all, where one request told. */
  readonly messages?: number;
  /** Why that request could not be used; the accounts are then asked one by one. */
  readonly statusProblem?: Problem;
  /** Why the source of accounts could not be used; those that it named last, and those that the replica has, are taken for them. */
  readonly sourceProblem?: Problem;
}

const COMPARED_AT_ONCE = 50;

/**
 * Where the server has the doveadm API, two requests for the whole server tell which accounts changed. What they
 * do not tell (special use) is seen when `everyAccount` asks for all. Errors: those of the source that names the
 * accounts; MAIL_ACCOUNTS_EMPTY. With `fallBack` only while no account is known otherwise: a directory that is
 * down is no reason to follow nobody.
 */
export async function listAccounts(
  context: FollowContext,
  options: {
    readonly everyAccount: boolean;
    readonly fallBack: boolean;
    /** Those that the source named last. */
    readonly known?: Iterable<string>;
    /** Told as soon as they are named: to learn which of them changed takes longer, and pushed events come already. */
    readonly onNamed?: (accounts: readonly string[]) => void;
    readonly signal?: AbortSignal;
  },
): Promise<AccountsToLookAt> {
  const { deps } = context;
  let accounts: readonly string[];
  let source: { readonly sourceProblem?: Problem } = {};
  try {
    accounts = await namedAccounts(deps, options.signal);
  } catch (error) {
    options.signal?.throwIfAborted();
    accounts = [...new Set([...deps.vault.catalog.accountNames(), ...(options.known ?? [])])].sort();
    if (!options.fallBack || accounts.length === 0) throw error;
    deps.log.warn({ err: error }, 'the source of accounts cannot be used, those known are looked at');
    source = { sourceProblem: problemOf('*', error) };
  }
  options.onNamed?.(accounts);
  const doveadm = doveadmOf(deps);
  if (!doveadm || accounts.length === 0) return { accounts, changed: accounts, ...source };
  try {
    // The slower of the two first: what changes after the statuses were asked for seems changed once more.
    const subscriptions = await subscriptionsByUser(doveadm, accounts, options.signal);
    context.movedOn = new Set();
    const statuses = await statusesByUser(doveadm, accounts, options.signal);
    let messages = 0;
    const changed: string[] = [];
    for (const [index, account] of accounts.entries()) {
      const change = compare(context, account, statuses.get(account) ?? [], subscriptions.get(account));
      messages += change.messages;
      if (change.changed || options.everyAccount) changed.push(account);
      // Pushed events do not wait until thousands of accounts are compared.
      if (index % COMPARED_AT_ONCE === COMPARED_AT_ONCE - 1)
        await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return { accounts, changed, messages, ...source };
  } catch (error) {
    options.signal?.throwIfAborted();
    deps.log.warn({ err: error }, 'the doveadm API cannot be used, the accounts are asked one by one');
    return { accounts, changed: accounts, statusProblem: problemOf('*', error), ...source };
  }
}

async function namedAccounts(deps: MailDeps, signal: AbortSignal | undefined): Promise<string[]> {
  const source = deps.config.accounts;
  if (!source) return [];
  const excluded = new Set(source.exclude);
  const names = await {
    list: () => source.list.map(({ name }) => name),
    directory: () => deps.directory?.listAccounts(signal) ?? [],
    doveadm: () => doveadmOf(deps)?.listUsers(signal) ?? [],
  }[source.from]();
  const accounts = [...new Set(names)].filter((name) => !excluded.has(name)).sort();
  if (accounts.length === 0 && deps.vault.catalog.accountNames().length > 0) {
    throw mailErrors.make(
      'MAIL_ACCOUNTS_EMPTY',
      `the source of accounts of ${deps.server} names none, although the journal knows some`,
    );
  }
  return accounts;
}

/**
 * A user of whom it cannot be told has none, and is looked at: one mailbox that cannot be opened fails a request for
 * all (Dovecot's Maildir lists parents that are gone as mailboxes), so that each is asked for then.
 */
async function statusesByUser(
  doveadm: DoveadmClient,
  accounts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Map<string, DoveadmMailboxStatus[]>> {
  const byUser = new Map<string, DoveadmMailboxStatus[]>();
  const statuses = await doveadm.mailboxStatusOfAll(signal).catch((error: unknown) => {
    if (!hasCode(error, 'MAIL_DOVEADM_FAILED')) throw error;
    return doveadm.mailboxStatusOfEach(accounts, signal);
  });
  for (const status of statuses) {
    const statuses = byUser.get(status.user);
    if (statuses) statuses.push(status);
    else byUser.set(status.user, [status]);
  }
  return byUser;
}

/** An account that cannot be told is left out: its subscriptions are seen when it is next looked at. */
async function subscriptionsByUser(
  doveadm: DoveadmClient,
  accounts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Map<string, string[]>> {
  const results = await doveadm.run(
    accounts.map((user) => ({
      name: 'mailboxList',
      parameters: { user, subscriptions: true, mailboxMask: ['*'] },
    })),
    signal,
  );
  const byUser = new Map<string, string[]>();
  for (const [index, result] of results.entries()) {
    if (!result.ok || !Array.isArray(result.rows)) continue;
    const names = result.rows.map((row: { mailbox?: unknown }) => String(row.mailbox));
    byUser.set(accounts[index] as string, names.sort());
  }
  return byUser;
}

function compare(
  { deps, movedOn }: FollowContext,
  account: string,
  statuses: readonly DoveadmMailboxStatus[],
  subscriptions: readonly string[] | undefined,
): { changed: boolean; messages: number } {
  const { catalog } = deps.vault;
  const rows = catalog.mailboxes(account);
  const byName = new Map(rows.map((row) => [row.name, row]));
  let unchanged = 0;
  let messages = 0;
  for (const status of statuses) {
    const row = byName.get(status.mailbox.toUpperCase() === 'INBOX' ? 'INBOX' : status.mailbox);
    if (row && (isUnchanged(row, status) || (movedOn.has(row.id) && isAhead(row, status)))) unchanged += 1;
    else messages += Math.min(status.messages, status.uidNext - (row?.uidNext ?? 1));
  }
  const known = catalog.subscriptions(account);
  const sameSubscriptions =
    !subscriptions ||
    (subscriptions.length === known.length && subscriptions.every((name, index) => name === known[index]));
  const same =
    rows.length > 0 && unchanged === statuses.length && unchanged === rows.length && sameSubscriptions;
  return { changed: !same || catalog.setAside(account).length > 0, messages: Math.max(0, messages) };
}

function isUnchanged(row: MailboxRow, status: DoveadmMailboxStatus): boolean {
  return (
    row.complete &&
    row.guid === status.guid &&
    row.uidValidity === status.uidValidity &&
    row.uidNext === status.uidNext &&
    row.highestModSeq === status.highestModSeq
  );
}

/** A pushed event was followed after the server had told this status. */
function isAhead(row: MailboxRow, status: DoveadmMailboxStatus): boolean {
  return (
    row.complete &&
    row.guid === status.guid &&
    row.uidValidity === status.uidValidity &&
    row.uidNext >= status.uidNext &&
    row.highestModSeq !== undefined &&
    BigInt(row.highestModSeq) >= BigInt(status.highestModSeq)
  );
}
