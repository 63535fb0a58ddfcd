/**
 * Two mailbox trees in (what the replica knows, what the server lists), changes out. Pure, so that every case
 * is a test; the shell around it reads the trees and commits the records.
 *
 * A mailbox is the same one when its own id (X-GUID, MAILBOXID) and its UIDVALIDITY are the same; where the
 * server has no such id, when its name and UIDVALIDITY are. Anything else with a known name is another
 * incarnation: clients would drop their cache, so the replica must keep both apart.
 */
import type { MailboxRow } from '../../../catalog/index.ts';
import type { MailboxChangeRecord, MailboxId, StepRecord } from '../../../journal/index.ts';

/** One selectable mailbox as the server lists it. */
export interface ListedMailbox {
  readonly name: string;
  readonly delimiter: string | null;
  readonly uidValidity: number;
  readonly uidNext: number;
  /** Decimal, absent without CONDSTORE. */
  readonly highestModSeq?: string;
  readonly messages: number;
  readonly guid?: string;
  readonly specialUse: readonly string[];
  readonly subscribed: boolean;
}

export interface FollowedMailbox {
  readonly id: MailboxId;
  readonly listed: ListedMailbox;
  /** What the replica held of it before this pass; absent for a new incarnation. */
  readonly known?: MailboxRow;
}

export interface TreeChanges {
  /** One step: removals that free a name, renames and attribute changes, new mailboxes; in that order. */
  readonly structure: readonly StepRecord[];
  /** Every mailbox that the server has now. */
  readonly followed: readonly FollowedMailbox[];
  /** Removals to journal after all additions, so that a message moved out of them is never absent. */
  readonly gone: readonly MailboxRow[];
}

/** `setBack`: mailboxes that are not what we know by the same ids (a server that went back in time). */
export function compareTrees(
  account: string,
  known: readonly MailboxRow[],
  listed: readonly ListedMailbox[],
  nextId: () => MailboxId,
  setBack: ReadonlySet<MailboxId> = new Set(),
): TreeChanges {
  const unmatched = new Map<string, MailboxRow>();
  for (const row of known) if (!setBack.has(row.id)) unmatched.set(identity(row), row);

  const followed: FollowedMailbox[] = [];
  const changes: StepRecord[] = [];
  const created: StepRecord[] = [];
  const namesTaken = new Set<string>();
  for (const mailbox of listed) {
    const key = identity(mailbox);
    const row = unmatched.get(key) ?? withoutGuid(unmatched, mailbox);
    if (row) {
      unmatched.delete(identity(row));
      const change = attributeChange(row, mailbox);
      if (change) changes.push(change);
      if (row.name !== mailbox.name) namesTaken.add(mailbox.name);
      followed.push({ id: row.id, listed: mailbox, known: row });
      continue;
    }
    const id = nextId();
    created.push({
      t: 'mailbox',
      id,
      account,
      name: mailbox.name,
      delimiter: mailbox.delimiter,
      uidValidity: mailbox.uidValidity,
      ...(mailbox.guid === undefined ? {} : { guid: mailbox.guid }),
      specialUse: mailbox.specialUse,
      subscribed: mailbox.subscribed,
    });
    namesTaken.add(mailbox.name);
    followed.push({ id, listed: mailbox });
  }

  const replaced: StepRecord[] = [];
  const gone: MailboxRow[] = [];
  for (const row of [...unmatched.values(), ...known.filter(({ id }) => setBack.has(id))]) {
    if (namesTaken.has(row.name)) replaced.push({ t: 'mailbox-gone', id: row.id });
    else gone.push(row);
  }
  return { structure: [...replaced, ...changes, ...created], followed, gone };
}

function identity(mailbox: { guid?: string; name: string; uidValidity: number }): string {
  return mailbox.guid === undefined
    ? `name ${mailbox.uidValidity} ${mailbox.name}`
    : `guid ${mailbox.uidValidity} ${mailbox.guid}`;
}

/** A mailbox known without the server's id (an older server, a capability switched on since) is found by name. */
function withoutGuid(known: Map<string, MailboxRow>, mailbox: ListedMailbox): MailboxRow | undefined {
  const byName = known.get(identity({ name: mailbox.name, uidValidity: mailbox.uidValidity }));
  if (byName || mailbox.guid !== undefined) return byName;
  for (const row of known.values()) {
    if (row.name === mailbox.name && row.uidValidity === mailbox.uidValidity) return row;
  }
  return undefined;
}

function attributeChange(row: MailboxRow, mailbox: ListedMailbox): MailboxChangeRecord | undefined {
  const change = {
    ...(row.name === mailbox.name ? {} : { name: mailbox.name }),
    ...(row.delimiter === mailbox.delimiter ? {} : { delimiter: mailbox.delimiter }),
    ...(mailbox.guid === undefined || row.guid === mailbox.guid ? {} : { guid: mailbox.guid }),
    ...(sameSet(row.specialUse, mailbox.specialUse) ? {} : { specialUse: mailbox.specialUse }),
    ...(row.subscribed === mailbox.subscribed ? {} : { subscribed: mailbox.subscribed }),
  };
  return Object.keys(change).length === 0 ? undefined : { t: 'mailbox-change', id: row.id, ...change };
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item) => b.includes(item));
}
