/**
 * Accounts that the replica had once and has no more, and whose mail the target still holds. Nobody asked for them to be deleted there: whoever
 * removed the account, or moved it elsewhere, says what is to become of the copy. So they stay, and are named.
 */
import type { Catalog } from '../../../catalog/index.ts';
import type { Lsn } from '../../../journal/index.ts';
import { isOfTheAccount } from './features.ts';
import type { TargetServer } from './target.ts';
import type { OnlyThere } from './types.ts';

const ACCOUNTS_AT_ONCE = 100;

/** By name. Reads only. Errors: `MAIL_…` of the server; an account that it does not let in is not there. */
export async function accountsOnlyThere(
  { pool, doveadm }: TargetServer,
  catalog: Catalog,
  at: Lsn,
  signal: AbortSignal | undefined,
): Promise<OnlyThere[]> {
  const living = new Set(catalog.accountNames(at));
  const gone = catalog
    .accountsEver()
    .filter(({ account, goneLsn }) => goneLsn !== undefined && goneLsn <= at && !living.has(account))
    .map(({ account }) => account)
    .sort();
  const messages = new Map<string, number>();
  const add = (account: string, count: number) => {
    if (count > 0) messages.set(account, (messages.get(account) ?? 0) + count);
  };
  for (let from = 0; from < gone.length; from += ACCOUNTS_AT_ONCE) {
    const some = gone.slice(from, from + ACCOUNTS_AT_ONCE);
    signal?.throwIfAborted();
    if (doveadm) {
      for (const row of await doveadm.mailboxStatusOfEach(some, signal)) add(row.user, row.messages ?? 0);
      continue;
    }
    for (const account of some) {
      try {
        const listings = await pool.use(account, (connection) => connection.listMailboxes());
        for (const { status } of listings) add(account, status?.messages ?? 0);
      } catch (error) {
        signal?.throwIfAborted();
        if (!isOfTheAccount(error)) throw error;
      }
    }
  }
  return [...messages].map(([account, count]) => ({ account, messages: count }));
}
