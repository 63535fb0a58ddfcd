/** Which accounts and mailboxes a bringing up is about, those that matter soonest first. */
import {
  type Catalog,
  internalDateMs,
  requireAccount,
  requireMailbox,
  type VaultReader,
} from '../../../catalog/index.ts';
import type { Lsn, MailboxId } from '../../../journal/index.ts';
import { wantedOf as restoreOf } from '../restore/index.ts';
import type { BringUpRequest } from './types.ts';

/** How far back from UIDNEXT the newest message of an INBOX is looked for. */
const NEWEST_WITHIN_UIDS = 200;

export interface Wanted {
  readonly at: Lsn;
  readonly accounts: readonly string[];
  /** Only these mailboxes; absent = all. */
  readonly mailboxes?: ReadonlySet<MailboxId>;
  /** Nothing of an account but `mailboxes` is wanted: its subscriptions to others stay as they are. */
  readonly isPart: boolean;
}

/** Errors: CATALOG_ACCOUNT_UNKNOWN, CATALOG_MAILBOX_UNKNOWN; JOURNAL_… when what changed since is read. */
export async function wantedOf(reader: VaultReader, request: BringUpRequest): Promise<Wanted> {
  const { catalog, dir } = reader;
  const [account] = request.accounts ?? [];
  if (request.mailbox !== undefined && account !== undefined) {
    const { mailbox } = request;
    const replica = { catalog, dir, committedLsn: catalog.appliedLsn };
    const asked = request.at === undefined ? {} : { at: request.at };
    const { at } = restoreOf(replica, { account, mailbox, dryRun: true, ...asked });
    const { id } = requireMailbox(catalog, account, mailbox, at);
    return { at, accounts: [account], mailboxes: new Set([id]), isPart: true };
  }
  const at = request.at ?? catalog.appliedLsn;
  const living = livingAccounts(catalog, request.accounts, at);
  const changed = request.since === undefined ? undefined : await changedSince(reader, request.since, at);
  const accounts = changed === undefined ? living : living.filter((account) => changed.accounts.has(account));
  return {
    at,
    accounts: newestFirst(catalog, accounts, at),
    ...(changed ? { mailboxes: changed.mailboxes } : {}),
    isPart: false,
  };
}

/** Of these accounts, default all, those that live at `at`, in no order that matters. Errors: CATALOG_ACCOUNT_UNKNOWN for one that does not. */
export function livingAccounts(
  catalog: Catalog,
  names: readonly string[] | undefined,
  at: Lsn,
): readonly string[] {
  const living = catalog.accountNames(at);
  if (names === undefined) return living;
  const wanted = new Set(names);
  const found = living.filter((account) => wanted.has(account));
  if (found.length < wanted.size) for (const name of wanted) requireAccount(catalog, name, at);
  return found;
}

/** Accounts whose INBOX got a message last come first: who writes and reads most waits least. */
export function newestFirst(catalog: Catalog, accounts: readonly string[], at: Lsn): string[] {
  const newest = new Map(accounts.map((account) => [account, newestMessageMs(catalog, account, at)]));
  return [...accounts].sort((a, b) => (newest.get(b) ?? 0) - (newest.get(a) ?? 0));
}

function newestMessageMs(catalog: Catalog, account: string, at: Lsn): number {
  const inbox = catalog.mailboxByName(account, 'INBOX', at);
  if (!inbox) return 0;
  const afterUid = Math.max(0, inbox.uidNext - NEWEST_WITHIN_UIDS);
  const last = catalog.messages(inbox.id, { at, afterUid, limit: NEWEST_WITHIN_UIDS }).at(-1);
  return (last && internalDateMs(last.date)) ?? 0;
}

async function changedSince(reader: VaultReader, since: Lsn, at: Lsn) {
  const { catalog } = reader;
  const accounts = new Set<string>();
  const mailboxes = new Set<MailboxId>();
  const touch = (id: MailboxId) => {
    if (mailboxes.has(id)) return;
    mailboxes.add(id);
    const account = catalog.accountOfMailbox(id);
    if (account !== undefined) accounts.add(account);
  };
  for await (const { record } of reader.entriesSince(since, at)) {
    switch (record.t) {
      case 'message':
      case 'flags':
      case 'vanished':
      case 'set-aside':
      case 'position':
      case 'mailbox':
      case 'mailbox-change':
      case 'mailbox-gone':
        touch(record.id);
        break;
      case 'subscriptions':
        accounts.add(record.account);
        break;
      default:
        break;
    }
  }
  return { accounts, mailboxes };
}
