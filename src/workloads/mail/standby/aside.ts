/**
 * Gets out of the way what stands where the replica has something else. Whether a message may go is asked of the journal: one that it
 * holds can be read there at any time; any other is moved to a mailbox beside, and stays.
 */
import { hash as digest } from 'node:crypto';
import { internalDateMs } from '../../../catalog/index.ts';
import type { MailboxId } from '../../../journal/index.ts';
import { crashPoint, hasCode } from '../../../lib/index.ts';
import { formatSequenceSet, type ImapConnection, rangesOfUids, splitRanges } from '../imap/index.ts';
import { ensureMailbox } from '../restore/index.ts';
import { keptName } from './names.ts';
import type { AccountTools } from './tools.ts';

const UIDS_PER_COMMAND = 5_000;

/** The incarnation of the replica that has this identity, whatever its name; undefined where the journal never saw it. */
export function incarnationOf(
  { reader }: AccountTools,
  account: string,
  uidValidity: number | undefined,
): MailboxId | undefined {
  return reader.catalog.mailboxHistory(account).findLast((life) => life.uidValidity === uidValidity)?.id;
}

/** A message as it is told apart without its bytes. `dateMs`: of INTERNALDATE; absent where that is none. */
export interface Served {
  readonly uid: number;
  readonly size: number;
  readonly dateMs?: number;
}

/** Of messages in the open mailbox, those that the journal does not hold. `id`: the incarnation whose UIDs they have, if known. */
export async function strangersAmong(
  { reader, connection }: AccountTools,
  messages: readonly Served[],
  id: MailboxId | undefined,
): Promise<number[]> {
  const { catalog } = reader;
  const doubtful = messages
    .filter(({ uid, size, dateMs }) => id === undefined || !catalog.everHeld(id, uid, size, dateMs))
    .map(({ uid }) => uid)
    .sort((a, b) => a - b);
  const strangers = new Set(doubtful);
  for (const part of splitRanges(rangesOfUids(doubtful), UIDS_PER_COMMAND)) {
    await connection.fetch(part, { body: true }, (message) => {
      if (message.body && catalog.bodyLsn(Buffer.from(digest('sha256', message.body, 'hex'), 'hex'))) {
        strangers.delete(message.uid);
      }
    });
  }
  return [...strangers];
}

/** Moves messages of the selected mailbox `name` to the one that keeps what only the target has. */
export async function keepAside(
  tools: AccountTools,
  account: string,
  name: string,
  uids: readonly number[],
): Promise<void> {
  if (uids.length === 0) return;
  const { connection, features, tally } = tools;
  const into = keptName(name, features);
  await ensureMailbox(connection, into);
  crashPoint('standby.keep.before');
  await moveMessages(connection, uids, into);
  const ranges = rangesOfUids([...uids].sort((a, b) => a - b));
  tally.kept.push({
    account,
    mailbox: name,
    into,
    uids: formatSequenceSet(ranges),
    messages: uids.length,
  });
}

/** From the selected mailbox. */
export async function moveMessages(
  connection: ImapConnection,
  uids: readonly number[],
  into: string,
): Promise<void> {
  const canMove = connection.has('MOVE') || connection.has('IMAP4REV2');
  const ranges = rangesOfUids([...uids].sort((a, b) => a - b));
  for (const part of splitRanges(ranges, UIDS_PER_COMMAND)) {
    if (canMove) await connection.move(part, into);
    else {
      await connection.copy(part, into);
      await connection.store(part, 'add', ['\\Deleted']);
      await connection.expunge(part);
    }
  }
}

/** Removes messages of the selected mailbox for good: such as the journal holds, or we made ourselves. */
export async function removeMessages(connection: ImapConnection, uids: readonly number[]): Promise<void> {
  const ranges = rangesOfUids([...uids].sort((a, b) => a - b));
  for (const part of splitRanges(ranges, UIDS_PER_COMMAND)) {
    await connection.store(part, 'add', ['\\Deleted']);
    await connection.expunge(part);
  }
}

/** Everything in the open mailbox. */
export async function everything(connection: ImapConnection): Promise<Served[]> {
  const found: Served[] = [];
  await connection.fetch('1:*', { internalDate: true, size: true }, ({ uid, size, internalDate }) => {
    const dateMs = internalDateMs(internalDate ?? '');
    found.push({ uid, size: size ?? 0, ...(dateMs === undefined ? {} : { dateMs }) });
  });
  return found;
}

/**
 * Takes away a mailbox that the replica does not have: what the journal never held steps aside first. `home`: the name it had, after
 * which the mailbox beside is named.
 */
export async function takeAway(
  tools: AccountTools,
  account: string,
  name: string,
  home = name,
): Promise<number> {
  const { connection } = tools;
  let open: Awaited<ReturnType<ImapConnection['select']>>;
  try {
    open = await connection.select(name);
  } catch (error) {
    if (hasCode(error, 'MAIL_MAILBOX_ABSENT')) return 0;
    throw error;
  }
  const messages = open.exists === 0 ? [] : await everything(connection);
  const id = incarnationOf(tools, account, open.uidValidity);
  const strangers = await strangersAmong(tools, messages, id);
  await keepAside(tools, account, name === home ? name : home, strangers);
  const goes = new Set(messages.map(({ uid }) => uid));
  for (const uid of strangers) goes.delete(uid);
  await removeMessages(connection, [...goes]);
  const left = await connection.search('ALL');
  await connection.unselect();
  if (left.length > 0) return messages.length;
  crashPoint('standby.take-away.before');
  // Somebody may deliver just now: a mailbox with anything in it stays for the next look.
  const status = await connection.status(name);
  if ((status?.messages ?? 0) === 0) await connection.delete(name);
  return messages.length;
}

/** The rows of the replica whose place on the target is below this one come back where they were. */
export async function bringChildrenBack(
  connection: ImapConnection,
  from: string,
  to: string,
  separator: string | null,
): Promise<void> {
  if (separator === null) return;
  const prefix = from + separator;
  for (const { name, selectable } of await connection.listMailboxes({ status: false })) {
    if (!selectable || !name.startsWith(prefix)) continue;
    try {
      await connection.rename(name, to + separator + name.slice(prefix.length));
    } catch (error) {
      // Renamed with its parent just before, or its place is taken: then it is an extra one.
      if (!hasCode(error, 'MAIL_MAILBOX_ABSENT') && !hasCode(error, 'MAIL_COMMAND_REFUSED')) throw error;
    }
  }
}
