/**
 * Which burst a standby has not had, told by what it serves: for when what was remembered of it is gone. The journal marks every burst; whether
 * one was held, or went on to the standby since, only the standby can tell then.
 */
import type { Catalog, CheckpointRow, MessageRow } from '../../../catalog/index.ts';
import type { Lsn } from '../../../journal/index.ts';
import type { ImapConnection } from '../imap/index.ts';
import { countServed, type MessagesOnce } from '../standby/index.ts';
import { type BurstRule, isBurst, lossSince } from './burst.ts';

/** The standby had not had a burst of which it serves this share still. */
const SERVED_SHARE = 0.5;

/** Bursts that the journal marks, by account, oldest first; `lsn` is the commit before. */
export function burstsByAccount(catalog: Catalog): Map<string, CheckpointRow[]> {
  const found = new Map<string, CheckpointRow[]>();
  for (const row of catalog.checkpoints()) {
    if (row.cause !== 'burst' || row.account === undefined) continue;
    const rows = found.get(row.account);
    if (rows) rows.push(row);
    else found.set(row.account, [row]);
  }
  return found;
}

/**
 * The oldest of `bursts` (of one account, oldest first) whose loss is one still, and of which the standby serves what went. Undefined when it has
 * had all of them, or never held that mail. Reads only. Errors: `MAIL_…` of the connection, which is logged in as the account.
 */
export async function burstNotPassed(
  { catalog, connection, rule }: { catalog: Catalog; connection: ImapConnection; rule: BurstRule },
  account: string,
  bursts: readonly CheckpointRow[],
): Promise<CheckpointRow | undefined> {
  for (const [index, burst] of bursts.entries()) {
    const { removed, of } = lossSince(catalog, account, burst.lsn);
    if (!isBurst({ removed, of }, rule)) continue;
    // What went later would be there also where this one has been.
    const gone = goneBetween(catalog, account, burst.lsn, bursts[index + 1]?.lsn);
    const count = gone.reduce((sum, { messages }) => sum + messages.length, 0);
    if (count > 0 && (await countServed(connection, gone)) >= count * SERVED_SHARE) return burst;
  }
  return undefined;
}

/** Messages that the account held at `from` and whose bytes it holds nowhere at `to` (absent = now). */
function goneBetween(catalog: Catalog, account: string, from: Lsn, to: Lsn | undefined): MessagesOnce[] {
  const left = new Set<Lsn>();
  for (const row of catalog.mailboxes(account, to)) {
    for (const { bodyLsn } of catalog.iterateMessages(row.id, to)) left.add(bodyLsn);
  }
  const gone: MessagesOnce[] = [];
  for (const row of catalog.mailboxes(account, from)) {
    const messages: MessageRow[] = [];
    for (const message of catalog.iterateMessages(row.id, from)) {
      if (!left.has(message.bodyLsn)) messages.push(message);
    }
    if (messages.length > 0) gone.push({ row, messages });
  }
  return gone;
}
