/** Which accounts and which state a plan is about. */
import { requireAccount } from '../../catalog/index.ts';
import type { Lsn } from '../../journal/index.ts';
import type { Moment, TakeOver } from './context.ts';
import { takeOverErrors } from './errors.ts';

/** Names of the accounts that are moved, of those that the replica has as of `at`. @throws CATALOG_ACCOUNT_UNKNOWN for one that never was */
export function accountsOf({ ports, parameters, move }: TakeOver, at: Lsn): Promise<readonly string[]> {
  return ports.withReader(move.from, async ({ catalog }) => {
    const { accounts } = parameters;
    if (accounts === undefined) {
      const except = new Set(parameters.except);
      return catalog.accountNames(at).filter((account) => !except.has(account));
    }
    for (const account of accounts) requireAccount(catalog, account);
    return accounts.filter((account) => catalog.account(account, at) !== undefined);
  });
}

/** For questions that take absence for all: what the plan is about, where that is not every account. */
export async function someAccountsOf(context: TakeOver, at: Lsn): Promise<readonly string[] | undefined> {
  const { accounts, except } = context.parameters;
  return except === undefined ? accounts : accountsOf(context, at);
}

/** Of accounts that something was found out about, those that the plan is about. */
export function concerned({ parameters }: TakeOver, found: readonly string[]): readonly string[] {
  const { accounts, except } = parameters;
  const only = accounts === undefined ? undefined : new Set(accounts);
  const but = new Set(except);
  return found.filter((account) => (only?.has(account) ?? true) && !but.has(account));
}

/** The state that the plan restores: the one asked for, else the last commit. @throws TAKEOVER_NOTHING_TO_RESTORE */
export function momentOf({ ports, parameters, move }: TakeOver): Promise<Moment> {
  return ports.withReader(move.from, async ({ catalog }) => {
    const commit =
      parameters.at === undefined ? catalog.lastCommit() : catalog.commitAtOrBefore(parameters.at as Lsn);
    if (commit !== undefined) return { lsn: commit.lsn, time: commit.time };
    throw takeOverErrors.make(
      'TAKEOVER_NOTHING_TO_RESTORE',
      `the journal of ${move.from} holds nothing as of then`,
    );
  });
}
