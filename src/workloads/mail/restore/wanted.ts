/** What a request means: which accounts, and which point of time. Checked before anything is done. */
import {
  iso,
  type MailboxRow,
  type MessageRow,
  requireAccount,
  requireMailbox,
  type Vault,
} from '../../../catalog/index.ts';
import type { Lsn } from '../../../journal/index.ts';
import { mailErrors } from '../errors.ts';
import { normalizeRanges, parseSequenceSet, rangesHold, type UidRange } from '../imap/index.ts';
import type { RestoreRequest } from '../types.ts';

/** Of a vault, or of one who reads it beside its writer. */
export type Replica = Pick<Vault, 'catalog' | 'committedLsn' | 'dir'>;

export interface Wanted {
  readonly at: Lsn;
  readonly accounts: readonly string[];
  /** Only these UIDs of the one mailbox; absent = all messages. */
  readonly ranges?: readonly UidRange[];
  /** No point of time was given: what is gone is wanted as it was before somebody began to delete it. */
  readonly undeleted: boolean;
}

/** A mailbox is emptied and gone within this time, when both are one deletion. */
const DELETION_MOST_MS = 30_000;

/** The last removals, looked at for what somebody may miss who names no message. */
const REMOVALS_MOST = 50;

/**
 * Without `at`, what is asked for by name is taken as it was last: a mailbox just before it was gone, messages just
 * before they were removed. Errors: CATALOG_ACCOUNT_UNKNOWN, CATALOG_MAILBOX_UNKNOWN, MAIL_RESTORE_UID_ABSENT.
 */
export function wantedOf(vault: Replica, request: RestoreRequest): Wanted {
  const { catalog } = vault;
  const now = vault.committedLsn;
  const { account, mailbox, uids } = request;
  requireShadowed(vault);
  if (account === undefined) {
    const at = request.at ?? now;
    const rows = catalog.accounts(at).filter((row) => row.goneLsn === undefined || row.goneLsn > at);
    return { at, accounts: rows.map((row) => row.account), undeleted: request.at === undefined };
  }
  const at = request.at ?? lastPointOf(vault, account, mailbox);
  requireAccount(catalog, account, at);
  const undeleted = request.at === undefined;
  if (mailbox === undefined) return { at, accounts: [account], undeleted };
  const row = requireMailbox(catalog, account, mailbox, at);
  if (uids === undefined) return { at, accounts: [account], undeleted };
  const ranges = normalizeRanges(parseSequenceSet(uids) ?? []);
  const point = request.at === undefined ? pointWithMost(vault, row, ranges, at) : at;
  if (countAt(vault, row, ranges, point) === 0) throw absent(vault, row, uids, ranges, point);
  return { at: point, accounts: [account], ranges, undeleted };
}

/** With \Deleted a message that is brought back would go again at the next expunge. */
export function* pick(messages: Iterable<MessageRow>, { ranges, undeleted }: Wanted): Generator<MessageRow> {
  for (const message of messages) {
    if (ranges && !rangesHold(ranges, message.uid)) continue;
    const { flags } = message;
    yield undeleted && flags.includes('\\Deleted')
      ? { ...message, flags: flags.filter((flag) => flag !== '\\Deleted') }
      : message;
  }
}

/** Now, or just before the mailbox of that name was gone. */
function lastPointOf(vault: Replica, account: string, mailbox: string | undefined): Lsn {
  const { catalog } = vault;
  const now = vault.committedLsn;
  if (mailbox === undefined || catalog.mailboxByName(account, mailbox)) return now;
  const last = catalog
    .mailboxHistory(account)
    .filter(({ name, goneLsn }) => name === mailbox && goneLsn !== undefined)
    .at(-1);
  if (last?.goneLsn === undefined) return now;
  const point = (last.goneLsn - 1) as Lsn;
  if (catalog.countMessages(last.id, point).messages > 0) return point;
  // Dovecot expunges the messages of a mailbox that it is about to delete, and where it tells us of each step we see
  // the mailbox empty for a moment. It was last what it was before that.
  const goneAt = catalog.commitAtOrAfter(last.goneLsn)?.time ?? 0;
  const [first] = catalog
    .removals({ account, mailbox, until: last.goneLsn, limit: REMOVALS_MOST })
    .filter(({ mailboxId, time }) => mailboxId === last.id && time >= goneAt - DELETION_MOST_MS)
    .toReversed();
  return first === undefined ? point : ((first.lsn - 1) as Lsn);
}

/** The latest point at which most of the UIDs were there: now, or just before a removal. */
function pointWithMost({ catalog }: Replica, { id }: MailboxRow, ranges: readonly UidRange[], now: Lsn): Lsn {
  return catalog.fullestPoint(id, ranges, now)?.lsn ?? now;
}

function countAt({ catalog }: Replica, mailbox: MailboxRow, ranges: readonly UidRange[], at: Lsn): number {
  let count = 0;
  for (const { from, to } of ranges) {
    for (let after = from - 1; after < to; ) {
      const rows = catalog.messages(mailbox.id, { at, afterUid: after, limit: 1_000 });
      count += rows.filter(({ uid }) => uid <= to).length;
      if (rows.length < 1_000) break;
      after = rows.at(-1)?.uid as number;
    }
  }
  return count;
}

/** A UID that is not there at that point is a mistake of time, and often we know the right one. */
function absent(vault: Replica, mailbox: MailboxRow, uids: string, ranges: readonly UidRange[], at: Lsn) {
  const { account, name } = mailbox;
  const point = pointWithMost(vault, mailbox, ranges, at);
  const found = countAt(vault, mailbox, ranges, point) > 0;
  return mailErrors.make(
    'MAIL_RESTORE_UID_ABSENT',
    `no message with UID ${uids} is in ${account}/${name} at lsn:${at}`,
    {
      remedy: found
        ? `It was there at an earlier time; ask with: --at lsn:${point}`
        : `See what is there with: understudy history SERVER --account ${account} --mailbox ${JSON.stringify(name)}`,
      details: { account, mailbox: name, uids, at },
    },
  );
}

/** A mailbox may have come back before: UIDs that were given under its UIDVALIDITY since are not given again. */
export function highestUidNext(
  catalog: Replica['catalog'],
  { account, uidValidity, uidNext }: MailboxRow,
): number {
  return catalog
    .mailboxHistory(account)
    .filter((life) => life.uidValidity === uidValidity)
    .map(({ id, goneLsn }) => catalog.mailboxById(id, goneLsn && ((goneLsn - 1) as Lsn))?.uidNext ?? 1)
    .reduce((highest, next) => Math.max(highest, next), uidNext);
}

/** Without a commit there is nothing to go by: neither a restore nor a certificate. Error: MAIL_NOTHING_SHADOWED. */
export function requireShadowed({ catalog, dir }: Pick<Replica, 'catalog' | 'dir'>): void {
  if (catalog.firstCommit()) return;
  throw mailErrors.make('MAIL_NOTHING_SHADOWED', `the vault ${dir} holds nothing yet`);
}

/** Where the largest of the last removals is to be found; undefined when nothing was ever removed. */
export function removalHint({ catalog }: Replica, account: string, mailbox?: string): string | undefined {
  const removals = catalog.removals({
    account,
    ...(mailbox === undefined ? {} : { mailbox }),
    limit: REMOVALS_MOST,
  });
  const [largest] = removals.toSorted((a, b) => b.count - a.count);
  if (!largest) return undefined;
  const point = catalog.commitAtOrBefore((largest.lsn - 1) as Lsn)?.lsn ?? largest.lsn;
  return `${largest.count} messages of ${account}/${largest.mailbox} were removed at ${iso(largest.time)}; they are there with --at lsn:${point}`;
}
