/** Goal: the past can be listed, searched and exported as it was. Method: a real vault, filled step by step. */
import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { rebuildCatalog, Vault, VaultReader, vaultFiles } from '../catalog/index.ts';
import type { Lsn, StepRecord } from '../journal/index.ts';
import { hasCode, silentLog, systemClock } from '../lib/index.ts';
import { exportAccount, history, SearchIndex } from './index.ts';

const clock = systemClock;

class Filler {
  readonly vault: Vault;
  constructor(vault: Vault) {
    this.vault = vault;
  }

  mailbox(account: string, name: string, delimiter = '/') {
    const id = this.vault.nextMailboxId();
    const record = {
      t: 'mailbox',
      id,
      account,
      name,
      delimiter,
      uidValidity: 77,
      specialUse: [],
      subscribed: true,
    } as const;
    return { id, record };
  }

  message(id: number, uid: number, data: string | Buffer, flags: string[] = []): StepRecord {
    const { hash, size } = this.vault.putBody(Buffer.from(data as string));
    const guid = `guid-${id}-${uid}`;
    return {
      t: 'message',
      id: id as never,
      uid,
      hash,
      size,
      flags,
      date: '17-Jul-2026 02:44:25 +0200',
      guid,
    };
  }
}

async function filled(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'understudy-history-'));
  const vault = await Vault.open({ dir, clock, log: silentLog });
  const fill = new Filler(vault);
  const inbox = fill.mailbox('alice', 'INBOX');
  const work = fill.mailbox('alice', 'Work/Ünï.x');
  const bobs = fill.mailbox('bob', 'INBOX');
  const hello =
    'From: =?utf-8?q?J=C3=BCrgen?= <j@x.org>\r\nTo: alice@lab\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?= aus Köln\r\n\r\nHallo Welt\r\nFrom here\r\n>From there\r\n';
  const invoice =
    'From: shop@example.org\r\nSubject: Invoice 42\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Please <b>pay</b> the <i>zebra</i> fee</p>\r\n';
  await vault.commit([
    { t: 'account', account: 'alice' },
    inbox.record,
    work.record,
    { t: 'subscriptions', account: 'alice', names: ['INBOX', 'Work/Ünï.x'] },
    fill.message(inbox.id, 1, hello, ['\\Flagged', '\\Seen', 'urgent']),
    fill.message(inbox.id, 3, invoice),
    fill.message(work.id, 2, hello, ['\\Deleted', '\\Draft']),
    { t: 'position', id: inbox.id, uidNext: 4 },
    { t: 'set-aside', id: inbox.id, uid: 2, code: 'MAIL_X', detail: 'cut' },
  ]);
  const { lsn: full } = await vault.commit([
    { t: 'account', account: 'bob' },
    bobs.record,
    fill.message(bobs.id, 1, invoice),
    { t: 'checkpoint', cause: 'pass' },
  ]);
  await vault.commit([{ t: 'vanished', id: inbox.id, uids: '1' }]);
  await vault.commit([{ t: 'account-gone', account: 'bob' }]);
  const reader = await VaultReader.open({ dir, clock });
  t.after(async () => {
    await reader.close();
    await vault.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return { dir, vault, reader, full, hello, invoice };
}

test('the three levels, now and then', async (t) => {
  const { reader, full } = await filled(t);
  const at = `lsn:${full}`;
  const accounts = history(reader, {}, { clock });
  assert.ok(accounts.kind === 'accounts');
  assert.deepEqual(
    accounts.accounts.map(({ account, goneLsn }) => [account, goneLsn !== undefined]),
    [
      ['alice', false],
      ['bob', true],
    ],
  );
  const mailboxes = history(reader, { account: 'alice' }, { clock });
  assert.ok(mailboxes.kind === 'mailboxes');
  assert.deepEqual(
    mailboxes.mailboxes.map(({ name, messages }) => [name, messages]),
    [
      ['INBOX', 1],
      ['Work/Ünï.x', 1],
    ],
  );
  assert.deepEqual(
    mailboxes.removals.map(({ mailbox, count }) => [mailbox, count]),
    [['INBOX', 1]],
  );
  assert.equal(mailboxes.setAside.length, 1);
  const then = history(reader, { account: 'alice', mailbox: 'inbox', at, limit: 1 }, { clock });
  assert.ok(then.kind === 'messages');
  assert.deepEqual(
    then.messages.map(({ subject, from }) => [subject, from]),
    [['Grüße aus Köln', 'Jürgen <j@x.org>']],
  );
  assert.equal(then.at?.lsn, full);
  const next = history(
    reader,
    { account: 'alice', mailbox: 'inbox', at, limit: 1, after: then.next as string },
    { clock },
  );
  assert.ok(next.kind === 'messages');
  assert.deepEqual([next.messages[0]?.uid, next.next], [3, undefined]);
  assert.throws(
    () => history(reader, { account: 'bob' }, { clock }),
    (error) => hasCode(error, 'CATALOG_ACCOUNT_UNKNOWN'),
  );
  assert.throws(
    () => history(reader, { account: 'alice', mailbox: 'INBOX', after: 'x' }, { clock }),
    (error) => hasCode(error, 'HISTORY_PAGE_INVALID'),
  );
});

test('a mailbox of the past shows the UIDNEXT of then', async (t) => {
  const { vault, reader, full } = await filled(t);
  const [inbox] = vault.catalog.mailboxes('alice');
  const [kept] = inbox ? vault.catalog.messages(inbox.id) : [];
  assert.ok(inbox && kept);
  const { hash, size, flags, date } = kept;
  await vault.commit([
    { t: 'message', id: inbox.id, uid: 4, hash, size, flags, date },
    { t: 'position', id: inbox.id, uidNext: 5 },
  ]);
  const uidNext = (at?: string) => {
    const found = history(reader, { account: 'alice', ...(at === undefined ? {} : { at }) }, { clock });
    return found.kind === 'mailboxes'
      ? found.mailboxes.find(({ id }) => id === inbox.id)?.uidNext
      : undefined;
  };
  assert.equal(uidNext(), 5);
  assert.equal(uidNext(`lsn:${full}`), 4);
});

test('a search finds decoded words in their fields, where the message is at that time', async (t) => {
  const { dir, vault, reader, full } = await filled(t);
  const find = (search: string, more: { account?: string; mailbox?: string; at?: string } = {}) => {
    const found = history(reader, { search, ...more }, { clock });
    assert.ok(found.kind === 'hits');
    return found.hits.map(({ account, mailbox, uid }) => `${account} ${mailbox} ${uid}`);
  };
  assert.throws(
    () => find('grüße'),
    (error) => hasCode(error, 'HISTORY_SEARCH_NOT_READY'),
  );
  const index = SearchIndex.open(dir, reader.catalog);
  t.after(() => index.close());
  assert.deepEqual(await index.catchUp(reader, { clock }), { indexed: 2 });
  assert.deepEqual(await index.catchUp(reader, { clock }), { indexed: 0 });
  const at = `lsn:${full}`;
  assert.deepEqual(find('grusse', { at }), []);
  assert.deepEqual(find('grüße', { at }), ['alice INBOX 1', 'alice Work/Ünï.x 2']);
  assert.deepEqual(find('gruße koln'), ['alice Work/Ünï.x 2']);
  assert.deepEqual(find('from:jurgen subject:köln "hallo welt"'), ['alice Work/Ünï.x 2']);
  assert.deepEqual(find('subject:hallo'), []);
  assert.deepEqual(find('zebra'), ['alice INBOX 3']);
  assert.deepEqual(find('zebra', { at }), ['alice INBOX 3', 'bob INBOX 1']);
  assert.deepEqual(find('zeb*', { at, account: 'bob', mailbox: 'inbox' }), ['bob INBOX 1']);
  assert.throws(
    () => find(' "" *'),
    (error) => hasCode(error, 'HISTORY_SEARCH_EMPTY'),
  );
  for (const odd of [
    'a AND',
    'NEAR(',
    '"open',
    '^x',
    'sub:ject',
    '-zebra OR',
    '{a b}: c',
    "'; DROP",
    'x\0y',
    '日本',
  ])
    find(odd);

  const fill = new Filler(vault);
  const box = fill.mailbox('alice', 'Later');
  await vault.commit([box.record, fill.message(box.id, 1, 'Subject: 日本語のテスト\r\n\r\nx')]);
  await index.catchUp(reader, { clock });
  assert.deepEqual(find('本語'), ['alice Later 1']);
  assert.deepEqual(find('語本'), []);
});

test('a search index does not outlive the end of its journal', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'understudy-history-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const { journal } = vaultFiles(dir);
  const add = async (uid: number, word: string) => {
    const vault = await Vault.open({ dir, clock, log: silentLog });
    const fill = new Filler(vault);
    const box =
      vault.catalog.mailboxById(1 as never) === undefined ? [fill.mailbox('alice', 'INBOX').record] : [];
    await vault.commit([...box, fill.message(1, uid, `Subject: ${word}\r\n\r\n${word}`)]);
    await vault.close();
  };
  const find = async (search: string) => {
    const reader = await VaultReader.open({ dir, clock });
    const index = SearchIndex.open(dir, reader.catalog);
    const { indexed } = await index.catchUp(reader, { clock });
    index.close();
    const found = history(reader, { search }, { clock });
    assert.ok(found.kind === 'hits');
    await reader.close();
    return { indexed, hits: found.hits.map(({ uid, subject }) => `${uid} ${subject}`) };
  };
  await add(1, 'kept');
  assert.deepEqual(await find('kept'), { indexed: 1, hits: ['1 kept'] });
  cpSync(journal, `${dir}/older`, { recursive: true, preserveTimestamps: true });
  await add(2, 'lost');
  assert.deepEqual(await find('lost'), { indexed: 1, hits: ['2 lost'] });
  rmSync(journal, { recursive: true });
  cpSync(`${dir}/older`, journal, { recursive: true, preserveTimestamps: true });
  await rebuildCatalog({ dir, clock });
  await add(2, 'other');
  const stale = await VaultReader.open({ dir, clock });
  assert.throws(
    () => history(stale, { search: 'lost' }, { clock }),
    (error) => hasCode(error, 'HISTORY_SEARCH_NOT_READY'),
  );
  await stale.close();
  assert.deepEqual(await find('lost'), { indexed: 2, hits: [] });
  assert.deepEqual(await find('other'), { indexed: 0, hits: ['2 other'] });
});

test('eml: nested folders, bytes as served; run again it skips, and it never overwrites', async (t) => {
  const { dir, reader, full, hello, invoice } = await filled(t);
  const to = join(dir, 'out');
  const request = { account: 'alice', at: `lsn:${full}`, to, format: 'eml' } as const;
  const result = await exportAccount(reader, request, { clock });
  assert.deepEqual([result.mailboxes, result.messages, result.skipped, result.setAside.length], [2, 3, 0, 1]);
  assert.equal(readFileSync(join(to, 'INBOX', '1.eml'), 'utf8'), hello);
  assert.equal(readFileSync(join(to, 'INBOX', '3.eml'), 'utf8'), invoice);
  assert.equal(readFileSync(join(to, 'Work', 'Ünï.x', '2.eml'), 'utf8'), hello);
  assert.equal(statSync(join(to, 'INBOX', '1.eml')).mtimeMs, Date.parse('2026-07-17T00:44:25Z'));
  rmSync(join(to, 'INBOX', '3.eml'));
  const again = await exportAccount(reader, request, { clock });
  assert.deepEqual([again.messages, again.skipped], [3, 2]);
  writeFileSync(join(to, 'INBOX', '3.eml'), 'mine');
  await assert.rejects(exportAccount(reader, request, { clock }), (error) =>
    hasCode(error, 'HISTORY_EXPORT_TARGET_EXISTS'),
  );
  assert.equal(readFileSync(join(to, 'INBOX', '3.eml'), 'utf8'), 'mine');
  assert.ok(!readdirSync(join(to, 'INBOX')).some((name) => name.includes('partial')));
});

test('maildir: flags, keywords, UIDs and GUIDs as Dovecot keeps them', async (t) => {
  const { dir, reader, full } = await filled(t);
  const to = join(dir, 'out');
  const request = { account: 'alice', at: `lsn:${full}`, to, format: 'maildir' } as const;
  await exportAccount(reader, request, { clock });
  const [first] = readdirSync(join(to, 'cur')).sort((a, b) =>
    a.includes('U1V') ? -1 : b.includes('U1V') ? 1 : 0,
  );
  assert.match(first ?? '', /^\d+\.U1V77\.understudy,S=(\d+),W=\1:2,FSa$/);
  const list = readFileSync(join(to, 'dovecot-uidlist'), 'utf8').split('\n');
  assert.match(list[0] ?? '', /^3 V77 N4$/);
  assert.match(list[1] ?? '', /^1 Gguid-\d+-1 :\d+\.U1V77/);
  assert.equal(readFileSync(join(to, 'dovecot-keywords'), 'utf8'), '0 urgent\n');
  assert.equal(readFileSync(join(to, 'subscriptions'), 'utf8'), 'V\t2\n\nINBOX\nWork\t&ANw-n&AO8-.x\n');
  assert.ok(existsSync(join(to, '.Work.&ANw-n&AO8-%2ex', 'maildirfolder')));
  const again = await exportAccount(reader, request, { clock });
  assert.deepEqual([again.messages, again.skipped], [3, 3]);
});

test('mbox: quoted so that it can be undone', async (t) => {
  const { dir, reader, full } = await filled(t);
  const to = join(dir, 'out');
  const request = { account: 'alice', at: `lsn:${full}`, to, format: 'mbox' } as const;
  await exportAccount(reader, request, { clock });
  const text = readFileSync(join(to, 'INBOX.mbox'), 'utf8');
  assert.match(
    text,
    /^From j@x\.org Fri Jul 17 00:44:25 2026\nX-IMAPbase: 77 0000000003\nX-UID: 1\nStatus: RO\nX-Status: F\nX-Keywords: urgent\nFrom: /,
  );
  assert.match(text, /\nHallo Welt\n>From here\n>>From there\n\nFrom shop@example\.org /);
  assert.ok(!text.includes('\r'));
  const again = await exportAccount(reader, request, { clock });
  assert.deepEqual([again.messages, again.skipped], [3, 3]);
});

test('an export that is aborted ends with the reason and goes on when run again', async (t) => {
  const { dir, reader, full } = await filled(t);
  const request = { account: 'alice', at: `lsn:${full}`, to: join(dir, 'out'), format: 'maildir' } as const;
  const abort = new AbortController();
  const running = exportAccount(reader, request, {
    clock,
    signal: abort.signal,
    onProgress: () => abort.abort(new Error('enough')),
  });
  await assert.rejects(running, /enough/);
  const result = await exportAccount(reader, request, { clock });
  assert.ok(result.skipped > 0 && result.messages === 3);
});

test('an account or mailbox that is not there makes no folder', async (t) => {
  const { dir, reader } = await filled(t);
  const to = join(dir, 'out');
  await assert.rejects(exportAccount(reader, { account: 'alcie', to, format: 'eml' }, { clock }), (error) =>
    hasCode(error, 'CATALOG_ACCOUNT_UNKNOWN'),
  );
  await assert.rejects(
    exportAccount(reader, { account: 'alice', mailbox: 'Wrk', to, format: 'eml' }, { clock }),
    (error) => hasCode(error, 'CATALOG_MAILBOX_UNKNOWN'),
  );
  assert.ok(!existsSync(to));
  assert.ok((reader.catalog.appliedLsn as Lsn) > 0);
});
