/** From the names that operators type to rows, with an error that helps when there is no such thing. */

import type { Lsn } from '../journal/index.ts';
import { nearest } from '../lib/index.ts';
import { type Catalog, isInbox } from './catalog.ts';
import { catalogErrors } from './errors.ts';
import { iso } from './resolve-at.ts';
import type { AccountRow, MailboxRow } from './types.ts';

/**
 * The account of this name that lives at `at` (default now). Error CATALOG_ACCOUNT_UNKNOWN: says when it was
 * there, or names the nearest one.
 */
export function requireAccount(catalog: Catalog, name: string, at?: Lsn): AccountRow {
  const found = catalog.account(name, at);
  if (found) return found;
  const ever = catalog.accountsEver();
  const other = ever.find((row) => row.account === name);
  const message = `no account ${JSON.stringify(name)} ${when(catalog, at)}`;
  const details = { account: name };
  if (other) {
    const remedy = thereAtAnotherTime(catalog, [other]);
    throw catalogErrors.make('CATALOG_ACCOUNT_UNKNOWN', message, { remedy, details });
  }
  const near = nearest(
    name,
    ever.map((row) => row.account),
  );
  const hint =
    near === undefined ? {} : { remedy: `Did you mean ${near}?`, details: { ...details, nearest: near } };
  throw catalogErrors.make('CATALOG_ACCOUNT_UNKNOWN', message, { details, ...hint });
}

/**
 * The mailbox of this name that lives at `at` (default now) in an account that does; INBOX in any letter case.
 * Errors: CATALOG_ACCOUNT_UNKNOWN, CATALOG_MAILBOX_UNKNOWN: says when it was there, or names the nearest one.
 */
export function requireMailbox(catalog: Catalog, account: string, name: string, at?: Lsn): MailboxRow {
  requireAccount(catalog, account, at);
  const found = catalog.mailboxByName(account, name, at);
  if (found) return found;
  const ever = catalog.mailboxHistory(account);
  const same = ever.filter((row) => row.name === name || (isInbox(name) && isInbox(row.name)));
  const message = `no mailbox ${JSON.stringify(name)} in account ${JSON.stringify(account)} ${when(catalog, at)}`;
  const details = { account, mailbox: name };
  if (same.length > 0) {
    const remedy = thereAtAnotherTime(catalog, same);
    throw catalogErrors.make('CATALOG_MAILBOX_UNKNOWN', message, { remedy, details });
  }
  const now = catalog.mailboxes(account, at).map((row) => row.name);
  const near = nearest(name, [...now, ...ever.map((row) => row.name)]);
  const hint =
    near === undefined
      ? { remedy: `List the mailboxes with: understudy history SERVER --account ${account}` }
      : { remedy: `Did you mean ${near}?`, details: { ...details, nearest: near } };
  throw catalogErrors.make('CATALOG_MAILBOX_UNKNOWN', message, { details, ...hint });
}

function when(catalog: Catalog, at: Lsn | undefined): string {
  const commit = at === undefined ? undefined : catalog.commitAtOrBefore(at);
  return commit ? `at ${iso(commit.time)} (lsn:${commit.lsn})` : 'now';
}

/** Where a thing that is not there now can be found in time: the newest of its lives. */
function thereAtAnotherTime(catalog: Catalog, lives: readonly { firstLsn: Lsn; goneLsn?: Lsn }[]): string {
  const life = lives.at(-1) as { firstLsn: Lsn; goneLsn?: Lsn };
  const first = catalog.commitAtOrAfter(life.firstLsn);
  const last = life.goneLsn === undefined ? undefined : catalog.commitAtOrBefore((life.goneLsn - 1) as Lsn);
  const from = first ? `from ${iso(first.time)} (lsn:${first.lsn})` : 'from the first commit';
  if (!last) return `It is there ${from} on: choose such a time with --at`;
  return `It was there ${from} to ${iso(last.time)}: use --at lsn:${last.lsn}`;
}
