import { hash } from 'node:crypto';
import type { Catalog, VaultReader } from '../../src/catalog/index.ts';
import type { Lsn, MailboxId } from '../../src/journal/index.ts';

/**
 * What a catalog answers of its whole history, and the bytes of every body, as JSON: byte strings as hexadecimal digits. Each field is named
 * here, so that answers may gain others.
 */
export async function summaryOf({
  catalog,
  journal,
  body,
}: Pick<VaultReader, 'catalog' | 'journal' | 'body'>) {
  const commits = commitsOf(catalog);
  const bodies = new Map<Lsn, { size: number; sha256: string }>();
  for (const { lsn } of commits) {
    for (const { account } of catalog.accounts(lsn)) {
      for (const { id } of catalog.mailboxes(account, lsn)) {
        for (const { bodyLsn } of catalog.iterateMessages(id, lsn)) {
          if (bodies.has(bodyLsn)) continue;
          const bytes = await body(bodyLsn);
          bodies.set(bodyLsn, { size: bytes.length, sha256: hash('sha256', bytes) });
        }
      }
    }
  }
  return {
    journalId: journal.journalId,
    committedLsn: journal.committedLsn,
    commits,
    totals: pick(catalog.totals(), ['accounts', 'messages']),
    accountsEver: catalog
      .accountsEver()
      .map((row) => pick(row, ['account', 'firstLsn', 'goneLsn', 'mailboxCount', 'messageCount', 'bytes'])),
    mailboxHistory: catalog
      .mailboxHistory()
      .map((row) => pick(row, ['id', 'account', 'name', 'uidValidity', 'firstLsn', 'goneLsn'])),
    checkpoints: catalog.checkpoints().map((row) => pick(row, ['lsn', 'time', 'label', 'cause', 'account'])),
    removals: catalog
      .removals()
      .map((row) => pick(row, ['lsn', 'time', 'account', 'mailbox', 'mailboxId', 'count', 'mailboxGone'])),
    states: statesOf(catalog, commits),
    bodies: [...bodies].map(([lsn, { size, sha256 }]) => ({ lsn, size, sha256 })),
  };
}

function commitsOf(catalog: Catalog) {
  const commits: { lsn: Lsn; time: number }[] = [];
  for (let next = catalog.firstCommit(); next !== undefined; ) {
    commits.push(pick(next, ['lsn', 'time']));
    next = catalog.commitAtOrAfter((next.lsn + 1) as Lsn);
  }
  return commits;
}

/** The accounts after each commit: their names, and those in full that are otherwise than after the commit before. */
function statesOf(catalog: Catalog, commits: readonly { readonly lsn: Lsn }[]) {
  let before = new Map<string, string>();
  return commits.map(({ lsn }) => {
    const accounts = accountsAt(catalog, lsn);
    const changed = accounts.filter((state) => JSON.stringify(state) !== before.get(state.account));
    before = new Map(accounts.map((state) => [state.account, JSON.stringify(state)]));
    return { at: lsn, accounts: accounts.map(({ account }) => account), changed };
  });
}

function accountsAt(catalog: Catalog, at: Lsn) {
  return catalog.accounts(at).map((row) => ({
    ...pick(row, ['account', 'mailboxCount', 'messageCount', 'bytes']),
    subscriptions: catalog.subscriptions(row.account, at),
    setAside: catalog
      .setAside(row.account, at)
      .map((aside) => pick(aside, ['mailboxId', 'uid', 'code', 'detail'])),
    mailboxes: catalog.mailboxes(row.account, at).map((mailbox) => ({
      ...pick(mailbox, ['id', 'name', 'delimiter', 'uidValidity', 'guid', 'specialUse', 'subscribed']),
      ...pick(mailbox, ['uidNext', 'highestModSeq', 'complete']),
      uidNextAt: catalog.uidNextAt(mailbox.id, at),
      messages: messagesAt(catalog, mailbox.id, at),
    })),
  }));
}

function messagesAt(catalog: Catalog, id: MailboxId, at: Lsn) {
  return catalog.summaries(id, { at }).map((row) => ({
    ...pick(row, ['uid', 'bodyLsn', 'size', 'flags', 'date', 'guid', 'subject', 'from', 'messageId']),
    hash: Buffer.from(row.hash).toString('hex'),
  }));
}

function pick<T extends object, K extends keyof T>(row: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.filter((key) => key in row).map((key) => [key, row[key]])) as Pick<T, K>;
}
