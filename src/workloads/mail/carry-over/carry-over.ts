/**
 * Messages that reached a server after its accounts had moved are appended on the server that has them now, with flags and date, as
 * new messages: the UIDs that they had may be other people's there by now. A message of the same bytes that came there since is the same
 * one, so a call may be repeated after whatever interruption, and doubles nothing.
 */
import { createHash } from 'node:crypto';
import type { Lsn, MailboxId } from '../../../journal/index.ts';
import { hasCode, messageOf, UnderstudyError } from '../../../lib/index.ts';
import type { ImapConnection } from '../imap/index.ts';
import { ConnectionPool } from '../shadow/index.ts';
import { type NameRules, nameOnTarget, namesFor, type StandbyDeps } from '../standby/index.ts';
import type { ActionOptions, MailDeps, Problem } from '../types.ts';
import type { CarriedMessage, CarryOverReport, Later, LaterFlags, LaterMessage } from './types.ts';

/** `later` as `laterThan(reader, since)` told it. Problems are per account; the others go on. */
export async function carryOver(
  deps: StandbyDeps,
  later: Later,
  since: Lsn,
  options: ActionOptions = {},
): Promise<CarryOverReport> {
  const messages: CarriedMessage[] = [];
  const problems: Problem[] = [];
  let flagsSet = 0;
  const { target, config, clock, log } = deps;
  const pool = new ConnectionPool({ server: target, config, clock, log } as MailDeps, { keepWarm: 0 });
  try {
    for (const account of accountsIn(later)) {
      options.signal?.throwIfAborted();
      try {
        await pool.use(account, async (connection) => {
          const nameOf = namesIn(deps, account, await namesFor(connection));
          const mine = later.messages.filter((message) => message.account === account);
          for (const [mailbox, list] of Map.groupBy(mine, (message) => message.mailbox)) {
            const name = nameOf(mailbox);
            messages.push(...(await carryMailbox(deps, connection, since, { mailbox, name }, list)));
          }
          flagsSet += await setFlags(
            connection,
            later.flags.filter((change) => change.account === account),
            nameOf,
          );
        });
      } catch (error) {
        problems.push(problemOf(account, error));
      }
    }
  } finally {
    await pool.close();
  }
  return { messages, flagsSet, removed: later.removed, problems };
}

/** The target's name of a mailbox of the account. */
function namesIn({ reader }: StandbyDeps, account: string, rules: NameRules): (mailbox: string) => string {
  return (mailbox) => {
    const delimiter = reader.catalog.mailboxByName(account, mailbox)?.delimiter ?? null;
    return nameOnTarget({ name: mailbox, delimiter }, rules);
  };
}

/** `name`: that of `mailbox` on the target. */
async function carryMailbox(
  deps: StandbyDeps,
  connection: ImapConnection,
  since: Lsn,
  { mailbox, name }: { readonly mailbox: string; readonly name: string },
  messages: readonly LaterMessage[],
): Promise<CarriedMessage[]> {
  const selected = await selectOrCreate(connection, name);
  const known = deps.reader.catalog.mailboxByName(messages[0]?.account ?? '', mailbox, since);
  const there = await newBodies(
    connection,
    known?.uidValidity === selected.uidValidity ? uidNextAt(deps, known.id, since) : 1,
    new Set(messages.map(({ size }) => size)),
  );
  await connection.unselect();
  const carried: CarriedMessage[] = [];
  for (const message of messages) {
    const found = there.get(message.sha256) ?? 0;
    if (found > 0) there.set(message.sha256, found - 1);
    else {
      const body = await deps.reader.body(message.bodyLsn);
      await connection.append(name, [{ flags: message.flags, internalDate: message.date, body }]);
    }
    const { account, subject, messageId } = message;
    carried.push({ account, mailbox, subject, messageId, result: found > 0 ? 'there' : 'appended' });
  }
  return carried;
}

/** Most are there, above all INBOX; to create one that is there is an error, and which one servers tell differently. */
async function selectOrCreate(connection: ImapConnection, mailbox: string) {
  try {
    return await connection.select(mailbox);
  } catch (error) {
    if (!hasCode(error, 'MAIL_MAILBOX_ABSENT')) throw error;
    await connection.create(mailbox);
    return connection.select(mailbox);
  }
}

/** One above the highest UID that the replica had: what is there from it on came later. */
function uidNextAt({ reader }: StandbyDeps, id: MailboxId, since: Lsn): number {
  let highest = 0;
  for (const { uid } of reader.catalog.iterateMessages(id, since)) highest = Math.max(highest, uid);
  return highest + 1;
}

/** How many messages of each hash the target got from that UID on, of those whose size is one of `sizes`. */
async function newBodies(
  connection: ImapConnection,
  fromUid: number,
  sizes: ReadonlySet<number>,
): Promise<Map<string, number>> {
  const uids: number[] = [];
  await connection.fetch(`${fromUid}:*`, { size: true }, (message) => {
    // `n:*` always gives the last one, also when it is below n.
    if (message.uid >= fromUid && sizes.has(message.size ?? -1)) uids.push(message.uid);
  });
  const hashes = new Map<string, number>();
  if (uids.length === 0) return hashes;
  await connection.fetch(uids.join(','), { body: true }, ({ body }) => {
    const hex = createHash('sha256')
      .update(body ?? Buffer.alloc(0))
      .digest('hex');
    hashes.set(hex, (hashes.get(hex) ?? 0) + 1);
  });
  return hashes;
}

/** Only where the mailbox still is the one that was moved. */
async function setFlags(
  connection: ImapConnection,
  changes: readonly LaterFlags[],
  nameOf: (mailbox: string) => string,
): Promise<number> {
  let set = 0;
  for (const [mailbox, list] of Map.groupBy(changes, (change) => change.mailbox)) {
    const name = nameOf(mailbox);
    const status = await connection.status(name);
    if (status?.uidValidity !== list[0]?.uidValidity) continue;
    await connection.select(name);
    for (const { uid, flags } of list) {
      await connection.store(String(uid), 'set', flags);
      set += 1;
    }
    await connection.unselect();
  }
  return set;
}

function accountsIn({ messages, flags }: Later): readonly string[] {
  return [...new Set([...messages, ...flags].map(({ account }) => account))].sort();
}

function problemOf(account: string, error: unknown): Problem {
  if (error instanceof UnderstudyError) {
    const { code, message, remedy } = error;
    return { account, code, message, remedy };
  }
  return {
    account,
    code: 'API_DEFECT',
    message: messageOf(error),
    remedy: 'Report it with the log around it.',
  };
}
