/**
 * A mailbox of the target next to what the replica wants, UID by UID. Reads only. A message counts as the wanted one when UID, size and
 * INTERNALDATE are the same, and where bodies are asked for their bytes; else those are proved by the certificate.
 */
import { hash as digest } from 'node:crypto';
import { type Catalog, internalDateMs, type MailboxRow, type MessageRow } from '../../../catalog/index.ts';
import type { Lsn } from '../../../journal/index.ts';
import { type ImapConnection, normalizeFlags, rangesOfUids, splitRanges } from '../imap/index.ts';
import { looksLikeFiller } from './filler.ts';

const ROWS_AT_ONCE = 2_000;
const BODIES_AT_ONCE = 500;

export interface FlagChange {
  readonly flags: readonly string[];
  readonly uids: number[];
}

export interface Findings {
  wanted: number;
  present: number;
  /** UIDs of the replica that the target does not hold; ascending. */
  readonly missing: number[];
  /** UIDs of the replica under which the target holds another message; ascending. */
  readonly wrong: number[];
  /** What the target holds under a UID that the replica does not have. */
  readonly extra: { readonly uid: number; readonly size: number; readonly dateMs?: number }[];
  /** Left by an interrupted run. */
  readonly fillers: number[];
  /** By the wanted flags. */
  readonly flags: Map<string, FlagChange>;
}

/** The mailbox is open on `connection`, and holds `exists` messages. `flagsKept`: those of `flags` that the target can store. */
export async function compareMailbox(
  catalog: Catalog,
  connection: ImapConnection,
  where: {
    readonly row: MailboxRow;
    readonly at: Lsn;
    readonly exists: number;
    readonly uidNext: number;
    readonly checkBodies: boolean;
  },
  flagsKept: (flags: readonly string[]) => readonly string[],
): Promise<Findings> {
  const findings: Findings = {
    wanted: 0,
    present: 0,
    missing: [],
    wrong: [],
    extra: [],
    fillers: [],
    flags: new Map(),
  };
  let afterUid = 0;
  for (;;) {
    const rows = catalog.messages(where.row.id, { at: where.at, afterUid, limit: ROWS_AT_ONCE });
    const isLast = rows.length < ROWS_AT_ONCE;
    const to = isLast ? Math.max(where.uidNext, where.row.uidNext) - 1 : (rows.at(-1)?.uid as number);
    const expected = new Map(rows.map((row) => [row.uid, row]));
    findings.wanted += rows.length;
    if (where.exists > 0 && to > afterUid) {
      const others = where.checkBodies ? await otherBodies(connection, rows) : NONE;
      const items = { flags: true, internalDate: true, size: true } as const;
      await connection.fetch([{ from: afterUid + 1, to }], items, (message) => {
        const flags = normalizeFlags(message.flags ?? []);
        const dateMs = internalDateMs(message.internalDate ?? '');
        const found = {
          uid: message.uid,
          size: message.size ?? 0,
          flags,
          ...(dateMs === undefined ? {} : { dateMs }),
        };
        judge(findings, expected, { ...found, isOther: others.has(message.uid) }, flagsKept);
      });
    }
    for (const uid of expected.keys()) findings.missing.push(uid);
    if (isLast) break;
    afterUid = to;
  }
  return findings;
}

const NONE: ReadonlySet<number> = new Set();

/** UIDs of messages whose bytes are not those of the replica, or that the server gives no bytes of. */
async function otherBodies(
  connection: ImapConnection,
  rows: readonly MessageRow[],
): Promise<ReadonlySet<number>> {
  const wanted = new Map(rows.map(({ uid, hash }) => [uid, Buffer.from(hash).toString('hex')]));
  const others = new Set(wanted.keys());
  for (const part of splitRanges(rangesOfUids([...wanted.keys()]), BODIES_AT_ONCE)) {
    await connection.fetch(part, { body: true }, ({ uid, body }) => {
      if (body && digest('sha256', body, 'hex') === wanted.get(uid)) others.delete(uid);
    });
  }
  return others;
}

function judge(
  findings: Findings,
  expected: Map<number, MessageRow>,
  found: { uid: number; size: number; dateMs?: number; flags: readonly string[]; isOther: boolean },
  flagsKept: (flags: readonly string[]) => readonly string[],
): void {
  const row = expected.get(found.uid);
  if (looksLikeFiller(found) && row?.size !== found.size) {
    // A filler on a wanted UID would be a wrong message like any other.
    if (row) findings.wrong.push(found.uid);
    else findings.fillers.push(found.uid);
    return;
  }
  if (!row) {
    const { uid, size, dateMs } = found;
    findings.extra.push({ uid, size, ...(dateMs === undefined ? {} : { dateMs }) });
    return;
  }
  expected.delete(found.uid);
  if (row.size !== found.size || internalDateMs(row.date) !== found.dateMs || found.isOther) {
    findings.wrong.push(found.uid);
    return;
  }
  findings.present += 1;
  const wanted = flagsKept(row.flags);
  const key = wanted.join(' ');
  if (key === found.flags.join(' ')) return;
  const change = findings.flags.get(key);
  if (change) change.uids.push(found.uid);
  else findings.flags.set(key, { flags: wanted, uids: [found.uid] });
}
