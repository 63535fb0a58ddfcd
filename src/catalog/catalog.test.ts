/** Goal: the catalog answers for any LSN what was true then. Method: entries by hand, one idea per test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lsn, MailboxId } from '../journal/index.ts';
import { hasCode } from '../lib/index.ts';
import { requireAccount, requireMailbox } from './names.ts';
import { bodyOf, EntryList, mailboxRecord, messageRecord, temporaryCatalog } from './testing.ts';

const box = (id: number) => id as MailboxId;
const a = bodyOf('Subject: A\r\nFrom: x\r\n\r\n1');
const b = bodyOf('Subject: B\r\n\r\n22');

test('messages, flags and removals are as they were at every commit', (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  const first = list.step(
    { t: 'account', account: 'alice' },
    mailboxRecord(1, 'alice', 'INBOX'),
    a,
    b,
    messageRecord(1, 1, a, { flags: ['\\Seen'], guid: '0123456789abcdef0123456789abcdef' }),
    messageRecord(1, 7, b, { guid: '1700000000.M1P2.host' }),
    { t: 'position', id: box(1), uidNext: 8, highestModSeq: '5' },
  );
  const flagged = list.step({ t: 'flags', id: box(1), uid: 1, flags: ['\\Flagged', '\\Seen'] });
  const cleared = list.step({ t: 'flags', id: box(1), uid: 1, flags: [] });
  const removed = list.step({ t: 'vanished', id: box(1), uids: '1:3' });
  catalog.apply(list.take());
  const state = (at?: Lsn) =>
    catalog
      .messages(box(1), at === undefined ? {} : { at })
      .map((row) => [row.uid, row.flags.join(' '), row.guid]);
  const guidA = '0123456789abcdef0123456789abcdef';
  const rest = [7, '', '1700000000.M1P2.host'];
  assert.deepEqual(state(first), [[1, '\\Seen', guidA], rest]);
  assert.deepEqual(state(flagged), [[1, '\\Flagged \\Seen', guidA], rest]);
  assert.deepEqual(state((flagged + 1) as Lsn), state(flagged), 'half a step is never seen');
  assert.deepEqual(state(cleared), [[1, '', guidA], rest]);
  assert.deepEqual(state(removed), [rest]);
  assert.deepEqual(state(), [rest]);
  assert.deepEqual(catalog.messages(box(1), { at: 3 as Lsn }), [], 'nothing before the first commit');
  assert.equal(catalog.summaries(box(1), { at: first })[0]?.subject, 'A');
  assert.deepEqual(catalog.countMessages(box(1), first), { messages: 2, bytes: a.size + b.size });
  assert.deepEqual(catalog.countMessages(box(1)), { messages: 1, bytes: b.size });
  assert.deepEqual([...catalog.uidsWithFlags(box(1))], [{ uid: 7, flags: [] }]);
  assert.deepEqual(catalog.placesOfBody(catalog.bodyLsn(a.hash) as Lsn, first), [{ mailboxId: 1, uid: 1 }]);
  assert.deepEqual(catalog.placesOfBody(catalog.bodyLsn(a.hash) as Lsn), []);
  assert.deepEqual(
    catalog.removals().map(({ lsn, mailbox, count }) => [lsn, mailbox, count]),
    [[removed, 'INBOX', 1]],
  );
  assert.equal(catalog.bodyByGuid('alice', guidA, a.size)?.lsn, catalog.bodyLsn(a.hash));
  assert.equal(catalog.bodyByGuid('alice', guidA, a.size + 1), undefined);
  assert.equal(catalog.bodyByGuid('bob', guidA, a.size), undefined);
});

test('a UID that comes back, or comes again with another body, has both lives', (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  const one = list.step(mailboxRecord(1, 'alice', 'INBOX'), a, b, messageRecord(1, 5, a, { flags: ['x'] }));
  const two = list.step(messageRecord(1, 5, b));
  const gone = list.step({ t: 'vanished', id: box(1), uids: '5' });
  const back = list.step(messageRecord(1, 5, a));
  catalog.apply(list.take());
  const sizes = (at: Lsn) => catalog.messages(box(1), { at }).map((row) => [row.size, row.flags.length]);
  assert.deepEqual([one, two, gone, back].map(sizes), [[[a.size, 1]], [[b.size, 0]], [], [[a.size, 0]]]);
});

test('mailboxes and accounts come, change and go; what was in them goes with them', (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  const start = list.step(
    { t: 'account', account: 'alice' },
    mailboxRecord(1, 'alice', 'Inbox'),
    mailboxRecord(2, 'alice', 'Work', { guid: 'g', specialUse: ['\\Archive'] }),
    a,
    messageRecord(2, 1, a),
    { t: 'set-aside', id: box(2), uid: 9, code: 'MAIL_SIZE_DIFFERS', detail: 'x' },
    { t: 'subscriptions', account: 'alice', names: ['Inbox', 'Gone'] },
  );
  const renamed = list.step({ t: 'mailbox-change', id: box(2), name: 'Old/Work', subscribed: false });
  const deleted = list.step({ t: 'mailbox-gone', id: box(2) });
  const late = list.step({ t: 'flags', id: box(2), uid: 1, flags: ['late'] }, messageRecord(2, 3, a));
  const accountGone = list.step({ t: 'account-gone', account: 'alice' });
  const again = list.step({ t: 'account', account: 'alice' }, mailboxRecord(3, 'alice', 'INBOX'));
  catalog.apply(list.take());

  const names = (at: Lsn) => catalog.mailboxes('alice', at).map((row) => row.name);
  assert.deepEqual([start, renamed, deleted, late, accountGone, again].map(names), [
    ['Inbox', 'Work'],
    ['Inbox', 'Old/Work'],
    ['Inbox'],
    ['Inbox'],
    [],
    ['INBOX'],
  ]);
  const work = catalog.mailboxById(box(2), renamed);
  assert.deepEqual(
    [work?.guid, work?.specialUse, work?.subscribed, work?.uidValidity],
    ['g', ['\\Archive'], false, 1002],
  );
  assert.equal(catalog.mailboxByName('alice', 'inbox', start)?.id, 1);
  assert.equal(catalog.messages(box(2), { at: renamed }).length, 1);
  assert.equal(catalog.messages(box(2), { at: late }).length, 0);
  assert.equal(catalog.setAside('alice', renamed).length, 1);
  assert.equal(catalog.setAside('alice').length, 0);
  assert.deepEqual(catalog.subscriptions('alice', late), ['Inbox', 'Gone']);
  assert.deepEqual(catalog.subscriptions('alice'), []);
  assert.deepEqual(catalog.accounts(accountGone), []);
  assert.deepEqual(
    catalog
      .accounts(start)
      .map(({ account, mailboxCount, messageCount, bytes }) => [account, mailboxCount, messageCount, bytes]),
    [['alice', 2, 1, a.size]],
  );
  assert.equal(catalog.accounts()[0]?.goneLsn, undefined);
  assert.deepEqual(
    catalog
      .removals({ account: 'alice', mailbox: 'Old/Work' })
      .map(({ lsn, count, mailboxGone }) => [lsn, count, mailboxGone]),
    [[deleted, 1, true]],
  );
  assert.deepEqual(catalog.removals({ since: (deleted + 1) as Lsn }), []);
});

test('a message that was set aside ends that when it comes or vanishes', (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  const aside = (uid: number) => ({ t: 'set-aside', id: box(1), uid, code: 'C', detail: 'd' }) as const;
  list.step(mailboxRecord(1, 'alice', 'INBOX'), a, aside(1), aside(2), aside(3));
  const before = list.step(aside(3));
  list.step(messageRecord(1, 1, a), { t: 'vanished', id: box(1), uids: '2' });
  catalog.apply(list.take());
  assert.deepEqual(
    catalog.setAside().map(({ uid }) => uid),
    [3],
  );
  assert.deepEqual(
    catalog.setAside('alice', before).map(({ uid }) => uid),
    [1, 2, 3],
  );
});

test('pages follow each other over blocks of UIDs, now and in the past', (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  const uids = Array.from({ length: 3000 }, (_, i) => 1 + i * 3);
  const full = list.step(
    mailboxRecord(1, 'alice', 'INBOX'),
    a,
    ...uids.map((uid) => messageRecord(1, uid, a)),
  );
  list.step({ t: 'vanished', id: box(1), uids: '1:5000' });
  list.step(messageRecord(1, 4_294_967_295, a));
  catalog.apply(list.take());
  const read = (at?: Lsn) => {
    const found: number[] = [];
    for (;;) {
      const page = catalog.messages(box(1), {
        afterUid: found.at(-1) ?? 0,
        limit: 700,
        ...(at ? { at } : {}),
      });
      if (page.length === 0) return found;
      found.push(...page.map(({ uid }) => uid));
    }
  };
  assert.deepEqual(read(full), uids);
  assert.deepEqual(read(), [...uids.filter((uid) => uid > 5000), 4_294_967_295]);
  assert.deepEqual(
    [...catalog.iterateMessages(box(1), full)].map(({ uid }) => uid),
    uids,
  );
});

test('a walk through a mailbox is not disturbed by what is applied meanwhile', (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  const uids = Array.from({ length: 2500 }, (_, i) => i + 1);
  list.step(mailboxRecord(1, 'alice', 'INBOX'), a, ...uids.map((uid) => messageRecord(1, uid, a)));
  catalog.apply(list.take());
  const seen: number[] = [];
  for (const { uid } of catalog.iterateMessages(box(1))) {
    if (seen.push(uid) === 10) {
      list.step({ t: 'vanished', id: box(1), uids: '1:4294967295' }, messageRecord(1, 9000, a));
      catalog.apply(list.take());
    }
  }
  assert.deepEqual(seen, uids);
});

test('a record that cannot be is refused with its LSN, and its batch leaves nothing behind', (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  list.step(mailboxRecord(1, 'alice', 'INBOX'));
  list.step(messageRecord(1, 1, a));
  assert.throws(
    () => catalog.apply(list.entries),
    (error) => hasCode(error, 'CATALOG_RECORD_INVALID') && /lsn:3/.test(error.message),
  );
  assert.equal(catalog.appliedLsn, 0);
  assert.deepEqual(catalog.accountsEver(), []);
  const good = list.entries.filter(({ lsn }) => lsn < 3);
  catalog.apply(good);
  catalog.apply(good);
  assert.equal(catalog.appliedLsn, 2);
  assert.equal(catalog.mailboxes('alice').length, 1);
});

test('unknown names are answered with the nearest one, or with when they were there', (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  const start = list.step(
    { t: 'account', account: 'alice' },
    mailboxRecord(1, 'alice', 'INBOX'),
    mailboxRecord(2, 'alice', 'Projects'),
  );
  const gone = list.step({ t: 'mailbox-gone', id: box(2) });
  list.step({ t: 'account', account: 'bob' });
  catalog.apply(list.take());
  const remedyOf = (act: () => unknown) => {
    try {
      act();
    } catch (error) {
      return error as { code: string; remedy: string };
    }
    throw new Error('nothing thrown');
  };
  const account = remedyOf(() => requireAccount(catalog, 'alcie'));
  assert.deepEqual([account.code, account.remedy], ['CATALOG_ACCOUNT_UNKNOWN', 'Did you mean alice?']);
  const misspelt = remedyOf(() => requireMailbox(catalog, 'alice', 'INBX'));
  assert.deepEqual([misspelt.code, misspelt.remedy], ['CATALOG_MAILBOX_UNKNOWN', 'Did you mean INBOX?']);
  assert.match(
    remedyOf(() => requireMailbox(catalog, 'alice', 'Projects')).remedy,
    new RegExp(`use --at lsn:${start}$`),
  );
  assert.match(
    remedyOf(() => requireAccount(catalog, 'bob', gone)).remedy,
    /^It is there from 2026-01-01T00:00:03.000Z/,
  );
  assert.equal(requireMailbox(catalog, 'alice', 'inbox').id, 1);
});
