import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Vault } from '../../../catalog/index.ts';
import {
  bodyOf,
  EntryList,
  mailboxRecord,
  messageRecord,
  temporaryCatalog,
} from '../../../catalog/testing.ts';
import type { Lsn, MailboxId } from '../../../journal/index.ts';
import { hasCode } from '../../../lib/index.ts';
import { wantedOf } from './wanted.ts';

const box = 1 as MailboxId;
const body = bodyOf('text');
const inbox = { account: 'alice', mailbox: 'INBOX', dryRun: false };

function vaultWith(catalog: ReturnType<typeof temporaryCatalog>): Vault {
  return { catalog, committedLsn: catalog.appliedLsn, dir: '' } as unknown as Vault;
}

test('a message is found as it was last, however much was removed after it', (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  list.step({ t: 'account', account: 'alice' }, mailboxRecord(1, 'alice', 'INBOX'), body);
  for (let uid = 1; uid <= 200; uid += 1) list.step(messageRecord(1, uid, body));
  const last = new Map<number, Lsn>();
  let at = catalog.appliedLsn;
  for (let uid = 3; uid <= 200; uid += 1) {
    if (uid > 3) last.set(uid, at);
    at = list.step({ t: 'vanished', id: box, uids: String(uid) });
  }
  catalog.apply(list.take());
  const vault = vaultWith(catalog);
  for (const uid of [4, 100, 200]) {
    assert.equal(wantedOf(vault, { ...inbox, uids: String(uid) }).at, last.get(uid), `UID ${uid}`);
  }
  assert.equal(
    wantedOf(vault, { ...inbox, uids: '1:2' }).at,
    vault.committedLsn,
    'what is there is wanted as it is',
  );
  // All of 1, 5 and 100:* were there before the first of them went.
  assert.equal(wantedOf(vault, { ...inbox, uids: '1,5,100:*' }).at, last.get(5));
  assert.throws(
    () => wantedOf(vault, { ...inbox, uids: '201' }),
    (error) => hasCode(error, 'MAIL_RESTORE_UID_ABSENT'),
  );
  assert.throws(
    () => wantedOf(vault, { ...inbox, uids: '4', at: vault.committedLsn }),
    (error) => hasCode(error, 'MAIL_RESTORE_UID_ABSENT') && error.remedy.includes(`--at lsn:${last.get(4)}`),
  );
});

test('of UIDs that were never there together most are taken, as late as can be', (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  list.step({ t: 'account', account: 'alice' }, mailboxRecord(1, 'alice', 'INBOX'), body);
  list.step(messageRecord(1, 1, body), messageRecord(1, 2, body));
  list.step({ t: 'vanished', id: box, uids: '1' });
  const two = list.step(messageRecord(1, 3, body));
  // Within one step nothing is in between.
  list.step({ t: 'vanished', id: box, uids: '2' }, messageRecord(1, 4, body), {
    t: 'vanished',
    id: box,
    uids: '3:4',
  });
  catalog.apply(list.take());
  assert.equal(wantedOf(vaultWith(catalog), { ...inbox, uids: '1:4' }).at, two);
});
