/** What a journal got after a moment, read from its records; the catalog says what of it is still there. */
import type { MailboxRow, VaultReader } from '../../../catalog/index.ts';
import { parseUidSet } from '../../../catalog/index.ts';
import type { JournalRecord, Lsn, MailboxId } from '../../../journal/index.ts';
import type { Later, LaterFlags, LaterMessage } from './types.ts';

/**
 * Of `accounts`, or of all; up to `until`, or to the end; at most so many messages, where that is said. Reads the journal's tail only.
 */
export async function laterThan(
  { journal, catalog }: Pick<VaultReader, 'journal' | 'catalog'>,
  since: Lsn,
  accounts?: readonly string[],
  {
    until,
    most = Number.POSITIVE_INFINITY,
  }: { readonly until?: Lsn | undefined; readonly most?: number } = {},
): Promise<Later> {
  const wanted = accounts === undefined ? undefined : new Set(accounts);
  const rows = new Map<MailboxId, MailboxRow | undefined>();
  const mailboxOf = (id: MailboxId): MailboxRow | undefined => {
    if (!rows.has(id)) {
      const row = catalog.mailboxById(id);
      rows.set(id, row !== undefined && (wanted?.has(row.account) ?? true) ? row : undefined);
    }
    return rows.get(id);
  };
  const messages = new Map<string, LaterMessage>();
  const flags = new Map<string, LaterFlags>();
  const touched = new Set<string>();
  let removed = 0;

  await journal.refresh();
  for await (const { record } of journal.entries((since + 1) as Lsn, until)) {
    const account = accountOf(record, mailboxOf);
    if (account !== undefined && (wanted?.has(account) ?? true)) touched.add(account);
    if (record.t === 'message' || record.t === 'flags') {
      const mailbox = mailboxOf(record.id);
      if (mailbox === undefined) continue;
      const now = catalog.summary(record.id, record.uid);
      if (now === undefined) continue;
      const key = `${record.id}:${record.uid}`;
      const { name, uidValidity } = mailbox;
      if (catalog.summary(record.id, record.uid, since) === undefined) {
        if (messages.size >= most && !messages.has(key)) continue;
        messages.set(key, {
          account: mailbox.account,
          mailbox: name,
          uid: now.uid,
          bodyLsn: now.bodyLsn,
          sha256: Buffer.from(now.hash).toString('hex'),
          size: now.size,
          flags: now.flags,
          date: now.date,
          subject: now.subject,
          sender: now.from,
          messageId: now.messageId,
        });
      } else
        flags.set(key, {
          account: mailbox.account,
          mailbox: name,
          uidValidity,
          uid: now.uid,
          flags: now.flags,
        });
    } else if (record.t === 'vanished' && mailboxOf(record.id) !== undefined) {
      for (const [first, last] of parseUidSet(record.uids) ?? []) {
        for (let uid = first; uid <= last; uid += 1) {
          if (catalog.summary(record.id, uid, since) !== undefined) removed += 1;
        }
      }
    }
  }
  return { messages: [...messages.values()], flags: [...flags.values()], removed, touched: [...touched] };
}

function accountOf(
  record: JournalRecord,
  mailboxOf: (id: MailboxId) => MailboxRow | undefined,
): string | undefined {
  if (record.t === 'position' || record.t === 'commit' || record.t === 'body') return undefined;
  if ('account' in record) return record.account;
  return 'id' in record && record.t !== 'control' ? mailboxOf(record.id)?.account : undefined;
}
