/**
 * One mailbox of a target whose UIDs cannot be set: messages are told apart by size and date (and where that is asked for by their bytes), each
 * standing for one of the replica, so that two equal mails stay two. Clients read the mailbox again; what is in it is right.
 */
import { hash as digest } from 'node:crypto';
import { internalDateMs, type MailboxRow, type MessageRow } from '../../../catalog/index.ts';
import { mailErrors } from '../errors.ts';
import {
  type AppendMessage,
  normalizeFlags,
  rangesOfUids,
  type SelectedMailbox,
  splitRanges,
} from '../imap/index.ts';
import { ensureMailbox } from '../restore/index.ts';
import { keepAside, removeMessages, strangersAmong } from './aside.ts';
import type { AccountTools, MailboxJob } from './tools.ts';

const ROWS_AT_ONCE = 500;
const BATCH_BYTES = 4 * 1024 * 1024;
const UIDS_PER_STORE = 5_000;

interface Found {
  readonly uid: number;
  readonly size: number;
  readonly flags: readonly string[];
  /** Of INTERNALDATE; absent where that is none. */
  readonly dateMs?: number;
}

/** Errors: `MAIL_…` of the connection. */
export async function bringMailboxPlainly(
  tools: AccountTools,
  { row, name, status }: MailboxJob,
): Promise<void> {
  const { reader, connection, at, dryRun, tally } = tools;
  const isThere = status !== undefined;
  if (!isThere && !dryRun) await ensureMailbox(connection, name, row.specialUse);
  const open = isThere || !dryRun ? await connection.select(name) : undefined;
  const found = open && open.exists > 0 ? await foundIn(tools) : new Map<string, Found[]>();
  const mayAppend =
    dryRun || !tools.doveadm || !(await hasIdentity(tools, row, open, [...found.values()].flat()));
  const flagChanges = new Map<string, { flags: readonly string[]; uids: number[] }>();
  for (let afterUid = 0; ; ) {
    const rows = reader.catalog.messages(row.id, { at, afterUid, limit: ROWS_AT_ONCE });
    const missing: MessageRow[] = [];
    for (const wanted of rows) {
      const has = found
        .get(keyOf(wanted.size, wanted.date, tools.checkBodies ? wanted.hash : undefined))
        ?.shift();
      tally.wanted += 1;
      if (!has) {
        missing.push(wanted);
        continue;
      }
      tally.present += 1;
      const flags = flagsKept(open, wanted.flags);
      if (flags.join(' ') === has.flags.join(' ')) continue;
      const change = flagChanges.get(flags.join(' ')) ?? { flags, uids: [] };
      change.uids.push(has.uid);
      flagChanges.set(flags.join(' '), change);
    }
    if (dryRun) {
      tally.restored += missing.length;
      for (const { size } of missing) tally.bytes += size;
    } else if (missing.length > 0) {
      if (!mayAppend) refuse(tools, name);
      await append(tools, name, open, missing);
    }
    tally.tell(row.account, row.name);
    if (rows.length < ROWS_AT_ONCE) break;
    afterUid = rows.at(-1)?.uid as number;
  }
  if (dryRun) return;
  for (const { flags, uids } of flagChanges.values()) {
    for (const part of splitRanges(rangesOfUids(uids.sort((a, b) => a - b)), UIDS_PER_STORE)) {
      await connection.store(part, 'set', flags);
    }
    tally.flagsSet += uids.length;
  }
  const extra = [...found.values()].flat();
  if (extra.length > 0) {
    const strangers = new Set(await strangersAmong(tools, extra, undefined));
    await keepAside(tools, row.account, name, [...strangers]);
    await removeMessages(
      connection,
      extra.map(({ uid }) => uid).filter((uid) => !strangers.has(uid)),
    );
    tally.repaired.push({
      what: 'extra-message',
      account: row.account,
      mailbox: row.name,
      count: extra.length,
    });
  }
  await connection.unselect();
}

/**
 * It was brought up with its UIDs once, and they are what clients know, whatever became of those messages on the live server since. The same UIDVALIDITY
 * alone may be chance, as it is a second: then what the journal holds is in it under other UIDs.
 */
async function hasIdentity(
  tools: AccountTools,
  { id, uidValidity }: MailboxRow,
  open: SelectedMailbox | undefined,
  found: readonly Found[],
): Promise<boolean> {
  if (open === undefined || open.uidValidity !== uidValidity) return false;
  if (found.length === 0) return (open.uidNext ?? 1) > 1;
  const { catalog } = tools.reader;
  if (found.some(({ uid, size, dateMs }) => catalog.everHeld(id, uid, size, dateMs))) return true;
  return (await strangersAmong(tools, found, undefined)).length === found.length;
}

/** Clients would find messages under UIDs that are to be others'. */
function refuse({ features }: AccountTools, name: string): never {
  throw mailErrors.make(
    'MAIL_FEATURE_MISSING',
    `${name} has the UIDs of the replica already, and no message can be given its own there now: ${features.pinProblem}`,
    {
      remedy: 'Let the doveadm API of the target set UIDs (mailbox update), then run the same command again.',
    },
  );
}

async function foundIn({ connection, checkBodies }: AccountTools): Promise<Map<string, Found[]>> {
  const found = new Map<string, Found[]>();
  const items = { flags: true, internalDate: true, size: true, ...(checkBodies ? { body: true } : {}) };
  await connection.fetch('1:*', items, (message) => {
    const { uid, size = 0, flags = [], internalDate = '', body } = message;
    const hash = checkBodies ? digest('sha256', body ?? '', 'buffer') : undefined;
    const key = keyOf(size, internalDate, hash);
    const same = found.get(key);
    const dateMs = internalDateMs(internalDate);
    const one = { uid, size, flags: normalizeFlags(flags), ...(dateMs === undefined ? {} : { dateMs }) };
    if (same) same.push(one);
    else found.set(key, [one]);
  });
  return found;
}

function keyOf(size: number, date: string, hash: Uint8Array | undefined): string {
  const bytes = hash === undefined ? '' : ` ${Buffer.from(hash).toString('hex')}`;
  return `${size} ${internalDateMs(date) ?? date}${bytes}`;
}

function flagsKept(open: SelectedMailbox | undefined, flags: readonly string[]): readonly string[] {
  if (!open || open.takesNewKeywords || open.permanentFlags.length === 0) return flags;
  return flags.filter((flag) => open.permanentFlags.includes(flag));
}

async function append(
  { reader, connection, tally }: AccountTools,
  name: string,
  open: SelectedMailbox | undefined,
  rows: readonly MessageRow[],
): Promise<void> {
  let batch: AppendMessage[] = [];
  let bytes = 0;
  const flush = async () => {
    await connection.append(name, batch);
    tally.restored += batch.length;
    tally.bytes += bytes;
    batch = [];
    bytes = 0;
  };
  for (const { bodyLsn, flags, date, size } of rows) {
    batch.push({ body: await reader.body(bodyLsn), flags: flagsKept(open, flags), internalDate: date });
    bytes += size;
    if (bytes >= BATCH_BYTES) await flush();
  }
  if (batch.length > 0) await flush();
}
