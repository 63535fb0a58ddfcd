/** What the records of a journal ask of a standby, account by account. Pure: nothing here reads a journal or talks to a server. */
import type { JournalEntry, Lsn, MailboxId } from '../../../journal/index.ts';
import { parseSequenceSet, type UidRange } from '../imap/index.ts';

/** What happened in one mailbox; the state to reach is read from the catalog. */
export interface MailboxChanges {
  /** Messages that came or got other flags. */
  readonly uids: Set<number>;
  readonly vanished: UidRange[];
  /** UIDNEXT as of the last record. */
  uidNext?: number;
}

/** What happened in one account since it was last brought up. */
export interface AccountChanges {
  /** The first record. */
  readonly from: Lsn;
  readonly mailboxes: Map<MailboxId, MailboxChanges>;
  /**
   * messages: messages alone changed, as told. since: more than that changed, or too much; what changed since `from` is
   * compared. whole: everything is compared, whatever is known of it.
   */
  scope: 'messages' | 'since' | 'whole';
}

/** Up to so many messages of an account are brought over one by one; a comparison is quicker with more. */
const MESSAGES_MOST = 5_000;

/** Which account a mailbox is in; undefined when there is no such mailbox. */
export type AccountOf = (mailbox: MailboxId) => string | undefined;

/** A burst that begins with this record: the account may go to `at`, the commit before it, and no further. */
export interface BurstMark {
  readonly account: string;
  readonly at: Lsn;
}

/** The account that a record is about, undefined for records about none. */
export function accountOfRecord({ record }: JournalEntry, accountOf: AccountOf): string | undefined {
  switch (record.t) {
    case 'mailbox':
    case 'account':
    case 'subscriptions':
      return record.account;
    case 'mailbox-change':
    case 'mailbox-gone':
    case 'position':
    case 'message':
    case 'flags':
    case 'vanished':
      return accountOf(record.id);
    default:
      return undefined;
  }
}

/** The burst that a record marks. */
export function burstOf({ lsn, record }: JournalEntry): BurstMark | undefined {
  if (record.t !== 'checkpoint' || record.cause !== 'burst' || record.account === undefined) return undefined;
  return { account: record.account, at: (lsn - 1) as Lsn };
}

/** Adds a record of the account to what is known; gives the changes, new ones when there were none. */
export function addRecord(known: AccountChanges | undefined, { lsn, record }: JournalEntry): AccountChanges {
  const changes = known ?? { from: lsn, mailboxes: new Map(), scope: 'messages' };
  if (changes.scope !== 'messages') return changes;
  switch (record.t) {
    case 'message':
    case 'flags':
      mailboxIn(changes, record.id).uids.add(record.uid);
      break;
    case 'vanished':
      mailboxIn(changes, record.id).vanished.push(...(parseSequenceSet(record.uids) ?? []));
      break;
    case 'position':
      mailboxIn(changes, record.id).uidNext = record.uidNext;
      break;
    default:
      widen(changes, 'since');
  }
  if (isTooMuch(changes)) widen(changes, 'since');
  return changes;
}

function isTooMuch({ mailboxes }: AccountChanges): boolean {
  let count = 0;
  for (const { uids, vanished } of mailboxes.values()) count += uids.size + vanished.length;
  return count > MESSAGES_MOST;
}

/** What was not done comes before what happened since. */
export function mergeChanges(
  first: AccountChanges | undefined,
  then: AccountChanges | undefined,
): AccountChanges | undefined {
  if (!first || !then) return first ?? then;
  const merged: AccountChanges = {
    from: Math.min(first.from, then.from) as Lsn,
    mailboxes: first.mailboxes,
    scope: first.scope,
  };
  const widest = [first.scope, then.scope];
  if (widest.includes('whole')) widen(merged, 'whole');
  else if (widest.includes('since')) widen(merged, 'since');
  if (merged.scope !== 'messages') return merged;
  for (const [id, { uids, vanished, uidNext }] of then.mailboxes) {
    const mailbox = mailboxIn(merged, id);
    for (const uid of uids) mailbox.uids.add(uid);
    mailbox.vanished.push(...vanished);
    if (uidNext !== undefined) mailbox.uidNext = uidNext;
  }
  if (isTooMuch(merged)) widen(merged, 'since');
  return merged;
}

/** The account as a whole, whatever happened in it. */
export function comparisonFrom(from: Lsn): AccountChanges {
  return { from, mailboxes: new Map(), scope: 'whole' };
}

function widen(changes: AccountChanges, scope: 'since' | 'whole'): void {
  changes.scope = scope;
  changes.mailboxes.clear();
}

function mailboxIn({ mailboxes }: AccountChanges, id: MailboxId): MailboxChanges {
  let mailbox = mailboxes.get(id);
  if (!mailbox) {
    mailbox = { uids: new Set(), vanished: [] };
    mailboxes.set(id, mailbox);
  }
  return mailbox;
}
