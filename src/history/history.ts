/** Looking at the past: the accounts of a server, the mailboxes of an account, the messages of a mailbox, and what a search finds. */

import {
  type AccountRow,
  type Catalog,
  type MailboxRow,
  type MessageSummary,
  type Removal,
  requireAccount,
  requireMailbox,
  type SetAsideRow,
  type VaultReader,
} from '../catalog/index.ts';
import type { Lsn, MailboxId } from '../journal/index.ts';
import type { Clock } from '../lib/index.ts';
import { decodeSummary } from './decode.ts';
import { historyErrors } from './errors.ts';
import { SearchIndex } from './search-index.ts';
import { searchQuery } from './search-query.ts';

export interface HistoryQuery {
  readonly account?: string;
  /** Needs `account`. */
  readonly mailbox?: string;
  /** As operators write it (see `Catalog.resolveAt`); default: now. */
  readonly at?: string;
  /** Words to search for; account and mailbox then narrow the search. */
  readonly search?: string;
  /** Messages or hits in one answer; default 50. */
  readonly limit?: number;
  /** `next` of the page before. */
  readonly after?: string;
}

/** The point in time that an answer is of; absent in an empty journal. */
export interface HistoryPoint {
  readonly lsn: Lsn;
  /** Wall time of that commit, ms. */
  readonly time: number;
}

export interface MailboxSummary extends MailboxRow {
  readonly messages: number;
  readonly bytes: number;
}

export interface SearchHit extends MessageSummary {
  readonly account: string;
  /** Name at that time. */
  readonly mailbox: string;
}

export type HistoryResult = { readonly at?: HistoryPoint } & (
  | {
      readonly kind: 'accounts';
      /** Without `at` those gone too, with `goneLsn`. */
      readonly accounts: readonly AccountRow[];
    }
  | {
      readonly kind: 'mailboxes';
      readonly account: AccountRow;
      readonly mailboxes: readonly MailboxSummary[];
      /** The newest removals in the account up to that time: where to look for what is missed. */
      readonly removals: readonly Removal[];
      readonly setAside: readonly SetAsideRow[];
    }
  | {
      readonly kind: 'messages';
      readonly mailbox: MailboxSummary;
      readonly messages: readonly MessageSummary[];
      readonly removals: readonly Removal[];
      readonly next?: string;
    }
  | {
      readonly kind: 'hits';
      readonly hits: readonly SearchHit[];
      /** Mail that came after this LSN is not in the index yet; compare with `at.lsn`. */
      readonly indexedLsn: Lsn;
      readonly next?: string;
    }
);

/**
 * @throws CATALOG_AT_*, CATALOG_LABEL_UNKNOWN, CATALOG_ACCOUNT_UNKNOWN, CATALOG_MAILBOX_UNKNOWN, HISTORY_SEARCH_EMPTY,
 * HISTORY_SEARCH_NOT_READY, HISTORY_PAGE_INVALID
 */
export function history(
  reader: VaultReader,
  query: HistoryQuery,
  options: { readonly clock: Clock },
): HistoryResult {
  const { catalog } = reader;
  const at =
    query.at === undefined ? undefined : catalog.resolveAt(query.at, options.clock.wallMs(), query.account);
  const commit = at === undefined ? catalog.lastCommit() : catalog.commitAtOrBefore(at);
  const point = commit ? { at: commit } : {};
  if (query.search !== undefined) return { ...point, ...search(reader, query, query.search, at) };
  if (query.account === undefined) {
    const accounts = at === undefined ? catalog.accountsEver() : catalog.accounts(at);
    return { ...point, kind: 'accounts', accounts };
  }
  if (query.mailbox === undefined) {
    const account = requireAccount(catalog, query.account, at);
    const mailboxes = catalog.mailboxes(account.account, at).map((row) => withCounts(catalog, row, at));
    const removals = recentRemovals(catalog, account.account, undefined, at);
    const setAside = catalog.setAside(account.account, at);
    return { ...point, kind: 'mailboxes', account, mailboxes, removals, setAside };
  }
  const mailbox = requireMailbox(catalog, query.account, query.mailbox, at);
  const limit = query.limit ?? 50;
  const rows = catalog.summaries(mailbox.id, {
    ...(at === undefined ? {} : { at }),
    afterUid: query.after === undefined ? 0 : pageNumber(query.after),
    limit: limit + 1,
  });
  const messages = rows.slice(0, limit).map(decodeSummary);
  const next = rows.length > limit ? { next: String(messages.at(-1)?.uid) } : {};
  const removals = recentRemovals(catalog, mailbox.account, mailbox.name, at);
  return {
    ...point,
    kind: 'messages',
    mailbox: withCounts(catalog, mailbox, at),
    messages,
    removals,
    ...next,
  };
}

/** Rows have the UIDNEXT of now. */
function withCounts(catalog: Catalog, row: MailboxRow, at: Lsn | undefined): MailboxSummary {
  const uidNext = at === undefined ? row.uidNext : catalog.uidNextAt(row.id, at);
  return { ...row, uidNext, ...catalog.countMessages(row.id, at) };
}

function recentRemovals(catalog: Catalog, account: string, mailbox: string | undefined, at: Lsn | undefined) {
  const until = at === undefined ? {} : { until: at };
  return catalog.removals({ account, ...(mailbox === undefined ? {} : { mailbox }), ...until, limit: 10 });
}

function pageNumber(after: string): number {
  if (!/^\d{1,15}$/.test(after)) {
    throw historyErrors.make('HISTORY_PAGE_INVALID', `not a place to go on from: ${JSON.stringify(after)}`);
  }
  return Number(after);
}

/** Newest bodies first. A page ends between bodies, so `next` is a body's LSN; one body's places are never parted. */
function search(reader: VaultReader, query: HistoryQuery, typed: string, at: Lsn | undefined) {
  const { catalog } = reader;
  const match = searchQuery(typed);
  if (query.mailbox !== undefined) requireMailbox(catalog, query.account ?? '', query.mailbox, at);
  else if (query.account !== undefined) requireAccount(catalog, query.account, at);
  const limit = query.limit ?? 50;
  const before = query.after === undefined ? Number.MAX_SAFE_INTEGER : pageNumber(query.after);
  const mailboxes = new Map<MailboxId, MailboxRow | undefined>();
  const wanted =
    query.mailbox === undefined ? undefined : catalog.mailboxByName(query.account ?? '', query.mailbox, at);
  const index = SearchIndex.openReadOnly(reader.dir, catalog);
  try {
    const hits: SearchHit[] = [];
    for (const bodyLsn of index.matches(match, before as Lsn)) {
      for (const { mailboxId, uid } of catalog.placesOfBody(bodyLsn, at)) {
        if (!mailboxes.has(mailboxId)) mailboxes.set(mailboxId, catalog.mailboxById(mailboxId, at));
        const mailbox = mailboxes.get(mailboxId);
        if (!mailbox || (wanted && wanted.id !== mailboxId)) continue;
        if (query.account !== undefined && mailbox.account !== query.account) continue;
        const summary = catalog.summary(mailboxId, uid, at);
        if (summary)
          hits.push({ ...decodeSummary(summary), account: mailbox.account, mailbox: mailbox.name });
      }
      if (hits.length >= limit)
        return { kind: 'hits', hits, indexedLsn: index.indexedLsn, next: String(bodyLsn) } as const;
    }
    return { kind: 'hits', hits, indexedLsn: index.indexedLsn } as const;
  } finally {
    index.close();
  }
}
