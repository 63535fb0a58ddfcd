/**
 * Whether the replica holds what a pushed event is about, after a look that began after it. A look that ended well is
 * not enough: the mailbox may not be one that is followed, the message may have been set aside, and LIST may not show
 * yet what became of a mailbox.
 */
import { type Catalog, isInbox, type MailboxRow } from '../../../catalog/index.ts';
import type { PushEvent, PushedChange } from '../types.ts';
import type { AccountOutcome } from './context.ts';

const ADDS_MESSAGES: ReadonlySet<string> = new Set(['MessageNew', 'MessageAppend']);

export interface Standing {
  /** Why a message or its flags are not in the replica; absent when they are. */
  readonly lacking?: string;
  /** False while the tree of mailboxes does not show the change. */
  readonly isListed: boolean;
}

export function standingOf(
  catalog: Catalog,
  { user, changes }: PushEvent,
  setAside: AccountOutcome['setAside'],
): Standing {
  const mailboxes = catalog.mailboxes(user);
  const named = (name: string | undefined) =>
    mailboxes.find((row) => row.name === name || (name !== undefined && isInbox(name) && isInbox(row.name)));
  const isSubscribed = (name: string | undefined) =>
    name !== undefined && catalog.subscriptions(user).includes(name);
  let isListed = true;
  for (const change of changes) {
    const { name, mailbox, mailboxOld } = change;
    if (mailbox === undefined) continue; // the whole account was looked at
    if (name === 'MailboxCreate') isListed &&= named(mailbox) !== undefined;
    else if (name === 'MailboxDelete') isListed &&= named(mailbox) === undefined;
    // What was in INBOX moves, and INBOX stays.
    else if (name === 'MailboxRename')
      isListed &&= named(mailbox) !== undefined && (isInbox(mailboxOld ?? '') || !named(mailboxOld));
    else if (name === 'MailboxSubscribe') isListed &&= isSubscribed(mailbox);
    else if (name === 'MailboxUnsubscribe') isListed &&= !isSubscribed(mailbox);
    else {
      const lacking = lackingOf(catalog, named(mailbox), change, setAside);
      if (lacking !== undefined) return { lacking: `${user}/${mailbox} ${lacking}`, isListed };
    }
  }
  return { isListed };
}

function lackingOf(
  catalog: Catalog,
  row: MailboxRow | undefined,
  { name, uid, uidValidity }: PushedChange,
  setAside: AccountOutcome['setAside'],
): string | undefined {
  if (!row) return 'is no mailbox that is followed';
  if (uidValidity !== undefined && uidValidity !== row.uidValidity) {
    return `has UIDVALIDITY ${row.uidValidity}, and the event is about ${uidValidity}`;
  }
  if (!ADDS_MESSAGES.has(name)) return undefined;
  if (uid !== undefined && row.uidNext <= uid) return `was looked at up to UID ${row.uidNext - 1} of ${uid}`;
  // An event tells the last of several UIDs only: any that this very look had to set aside may be one of them.
  const aside =
    setAside.find((message) => message.isNew && message.mailbox === row.name)?.uid ??
    catalog.setAside(row.account).find((other) => other.mailboxId === row.id && other.uid === uid)?.uid;
  return aside === undefined ? undefined : `serves UID ${aside} not as it should: it is set aside`;
}
