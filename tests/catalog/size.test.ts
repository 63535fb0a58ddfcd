/**
 * Goal: the catalog stays small, and a page of the past is as quick as one of now, however much came and went. Method: realistic
 * rows, three flag changes each, half of them removed; bytes per message and milliseconds per page are measured and held to bounds.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Catalog, type CatalogEntry } from '../../src/catalog/index.ts';
import { EntryList, mailboxRecord, messageRecord } from '../../src/catalog/testing.ts';
import type { Lsn, MailboxId } from '../../src/journal/index.ts';
import { systemClock } from '../../src/lib/index.ts';
import { temporaryDirectory } from '../lab/temp.ts';

const messages = 30_000;
const id = 1 as MailboxId;

test('at most 600 bytes a message, a page of 50 in at most 50 ms at any past moment', (t) => {
  const file = join(temporaryDirectory('size', t).path, 'catalog.sqlite');
  const catalog = Catalog.create(file, 'journal');
  t.after(() => catalog.close());
  const list = new EntryList();
  const apply = () => catalog.apply(list.take() as CatalogEntry[]);
  list.step({ t: 'account', account: 'alice' }, mailboxRecord(1, 'alice', 'INBOX'));
  const moments: [string, Lsn][] = [];
  for (let uid = 1; uid <= messages; uid += 1) {
    const body = {
      t: 'indexed-body',
      hash: randomBytes(32),
      size: 30_000 + uid,
      subject: `Re: figures of the quarter and other things ${randomBytes(10).toString('base64url')}`,
      from: `"Some Person" <person${uid}@dept.example.org>`,
      messageId: `<${randomBytes(12).toString('hex')}@mail.example.org>`,
    } as const;
    const guid =
      uid % 2 ? randomBytes(16).toString('hex') : `17${10_000_000 + uid}.M${uid}P${uid}.mailhost.example.org`;
    const lsn = list.step(body, messageRecord(1, uid, body, { guid, flags: uid % 3 ? ['\\Seen'] : [] }));
    if (uid === 100) moments.push(['early', lsn]);
    if (uid === messages) moments.push(['before all changes', lsn]);
    if (uid % 1000 === 0) apply();
  }
  catalog.checkpointFile();
  const fresh = statSync(file).size / messages;
  for (const keyword of ['a', 'b', 'c']) {
    for (let uid = 1; uid <= messages; uid += 1) {
      const lsn = list.step({ t: 'flags', id, uid, flags: ['\\Seen', keyword] });
      if (keyword === 'b' && uid === messages / 2) moments.push(['between changes', lsn]);
      if (uid % 1000 === 0) apply();
    }
  }
  for (let uid = 1; uid < messages / 2; uid += 10)
    list.step({ t: 'vanished', id, uids: `${uid}:${uid + 9}` });
  apply();
  catalog.checkpointFile();
  const worn = statSync(file).size / messages;
  moments.push(['now', catalog.appliedLsn]);
  t.diagnostic(
    `${fresh.toFixed(0)} bytes a message, ${worn.toFixed(0)} after the changes, each a commit of its own`,
  );
  assert.ok(fresh <= 600 && worn <= 700, `${fresh} and ${worn} bytes a message`);
  for (const [name, at] of moments) {
    const startMs = systemClock.monotonicMs();
    const page = catalog.summaries(id, { at, limit: 50 });
    const tookMs = systemClock.monotonicMs() - startMs;
    t.diagnostic(`${name}: ${tookMs.toFixed(1)} ms`);
    assert.equal(page.length, 50);
    assert.ok(tookMs <= 50, `${name}: ${tookMs} ms`);
  }
});
