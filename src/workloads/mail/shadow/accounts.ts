/** Which accounts a server has, and which of them may have changed. */

import { mailErrors } from '../errors.ts';
import type { Problem } from '../types.ts';
import type { FollowContext } from './context.ts';

export interface AccountsToLookAt {
  readonly accounts: readonly string[];
  /** Those that may have changed: all, unless one request told which. */
  readonly changed: readonly string[];
  /** Messages to fetch in all, where one request told. */
  readonly messages?: number;
  /** Why that request could not be used; the accounts are then asked one by one. */
  readonly statusProblem?: Problem;
}

/** Errors: those of the directory or the doveadm API that names the accounts; MAIL_ACCOUNTS_EMPTY. */
export async function listAccounts(context: FollowContext): Promise<AccountsToLookAt> {
  const { deps } = context;
  const accounts = await namedAccounts(context);
  if (accounts.length === 0 && deps.vault.catalog.accounts().some((row) => row.goneLsn === undefined)) {
    throw mailErrors.make(
      'MAIL_ACCOUNTS_EMPTY',
      `the source of accounts of ${deps.server} names none, although the journal knows some`,
    );
  }
  return { accounts, changed: accounts };
}

async function namedAccounts({ deps }: FollowContext): Promise<string[]> {
  const source = deps.config.accounts;
  if (!source) return [];
  const names =
    source.from === 'list'
      ? source.list.map(({ name }) => name)
      : ((await deps.directory?.listAccounts()) ?? []);
  const excluded = new Set(source.exclude);
  return [...new Set(names)].filter((name) => !excluded.has(name)).sort();
}
