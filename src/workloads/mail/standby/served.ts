/** Whether the target still serves messages that the replica held once. */
import { internalDateMs, type MailboxRow, type MessageRow } from '../../../catalog/index.ts';
import { hasCode } from '../../../lib/index.ts';
import type { ImapConnection } from '../imap/index.ts';
import { nameOnTarget } from './names.ts';
import { namesFor } from './quick.ts';

/** Messages of one mailbox of the replica, as of some moment. */
export interface MessagesOnce {
  readonly row: MailboxRow;
  readonly messages: readonly MessageRow[];
}

/**
 * How many of them the target serves: by UID and size where the mailbox has its identity, else by size and INTERNALDATE. Reads only; its cost
 * is one FETCH for each mailbox. Errors: `MAIL_…` of the connection, which is logged in as their account.
 */
export async function countServed(
  connection: ImapConnection,
  wanted: readonly MessagesOnce[],
): Promise<number> {
  const rules = await namesFor(connection);
  let served = 0;
  for (const { row, messages } of wanted) {
    const open = await examine(connection, nameOnTarget(row, rules));
    if (open === undefined || open.exists === 0) continue;
    const byUid = open.uidValidity === row.uidValidity;
    const left = new Map<string, number>();
    for (const { uid, size, date } of messages) {
      const key = byUid ? `${uid} ${size}` : `${internalDateMs(date)} ${size}`;
      left.set(key, (left.get(key) ?? 0) + 1);
    }
    await connection.fetch('1:*', { size: true, internalDate: true }, ({ uid, size, internalDate }) => {
      const key = byUid ? `${uid} ${size}` : `${internalDateMs(internalDate ?? '')} ${size}`;
      const count = left.get(key) ?? 0;
      if (count === 0) return;
      left.set(key, count - 1);
      served += 1;
    });
  }
  return served;
}

async function examine(connection: ImapConnection, name: string) {
  try {
    return await connection.examine(name);
  } catch (error) {
    if (hasCode(error, 'MAIL_MAILBOX_ABSENT')) return undefined;
    throw error;
  }
}
