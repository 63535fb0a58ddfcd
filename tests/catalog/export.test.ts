/**
 * Goal: what the journal holds leaves it byte for byte, whatever it is, and a Maildir export is served by a real Dovecot with the
 * identity it had. Method: the corpus of broken mail through a vault; an independent IMAP client on the exported tree.
 */
import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Vault, VaultReader } from '../../src/catalog/index.ts';
import { exportAccount, history, SearchIndex } from '../../src/history/index.ts';
import type { StepRecord } from '../../src/journal/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';
import { corpusMissing, nastyMessages } from '../lab/corpus.ts';
import { MAIL_GID, MAIL_UID, startDovecot } from '../lab/dovecot.ts';
import { dumpAccount } from '../lab/imap-check.ts';
import { requirePackages } from '../lab/packages.ts';
import { temporaryDirectory } from '../lab/temp.ts';

const clock = systemClock;
const date = '17-Jul-2026 02:44:25 +0000';

test('every nasty message is exported as it was, and indexed for search', {
  skip: corpusMissing,
}, async (t) => {
  const dir = temporaryDirectory('export', t).path;
  const vault = await Vault.open({ dir, clock, log: silentLog });
  const id = vault.nextMailboxId();
  const base = {
    t: 'mailbox',
    id,
    account: 'alice',
    name: '../Nasty',
    delimiter: '/',
    uidValidity: 9,
  } as const;
  await vault.commit([
    { t: 'account', account: 'alice' },
    { ...base, specialUse: [], subscribed: true },
  ]);
  let uid = 0;
  for (const { raw } of nastyMessages()) {
    uid += 1;
    await vault.ready();
    const { hash, size } = vault.putBody(raw);
    await vault.commit([{ t: 'message', id, uid, hash, size, flags: [], date }]);
  }
  await vault.close();
  const reader = await VaultReader.open({ dir, clock });
  t.after(() => reader.close());
  const to = join(dir, 'out');
  const result = await exportAccount(reader, { account: 'alice', to, format: 'eml' }, { clock });
  assert.equal(result.messages, uid);
  const folder = join(to, '%2e%2e', 'Nasty');
  let checked = 0;
  for (const { raw, name } of nastyMessages()) {
    checked += 1;
    assert.ok(readFileSync(join(folder, `${checked}.eml`)).equals(raw), name);
  }
  assert.equal(readdirSync(folder).length, uid);

  const index = SearchIndex.open(dir, reader.catalog);
  const distinct = new Set(reader.catalog.messages(id, { limit: 10_000 }).map(({ bodyLsn }) => bodyLsn)).size;
  assert.equal((await index.catchUp(reader, { clock })).indexed, distinct);
  index.close();
  const listed = history(reader, { account: 'alice', mailbox: '../Nasty', limit: 10_000 }, { clock });
  assert.ok(listed.kind === 'messages' && listed.messages.length === uid);
  const found = history(reader, { search: 'the', limit: 10_000 }, { clock });
  assert.ok(found.kind === 'hits' && found.hits.length > 100);
});

const skip = requirePackages(['dovecot-imapd']) ?? false;

test('Dovecot serves a Maildir export with its UIDs, flags, keywords, dates, GUIDs and subscriptions', {
  skip,
}, async (t) => {
  const dir = temporaryDirectory('export', t).path;
  const vault = await Vault.open({ dir, clock, log: silentLog });
  const boxes = [
    { id: vault.nextMailboxId(), name: 'INBOX', uidValidity: 1_111_111 },
    { id: vault.nextMailboxId(), name: 'Entwürfe & mehr/2024', uidValidity: 2_222_222 },
  ];
  const step: StepRecord[] = [{ t: 'account', account: 'alice' }];
  for (const box of boxes) {
    step.push({ t: 'mailbox', ...box, account: 'alice', delimiter: '/', specialUse: [], subscribed: true });
    for (const uid of [1, 5, 17]) {
      const data = Buffer.from(
        `Subject: mail ${uid} in ${box.name}\r\n\r\nüml\xe4ut\r\n`,
        uid === 5 ? 'latin1' : 'utf8',
      );
      const { hash, size } = vault.putBody(data);
      const flags = uid === 17 ? ['$Key', '\\Answered', '\\Flagged', '\\Seen', 'work'] : [];
      const guid = `${'0'.repeat(30)}${box.id}${uid % 10}`;
      step.push({ t: 'message', id: box.id, uid, hash, size, flags, date, guid });
    }
    step.push({ t: 'position', id: box.id, uidNext: 40 });
  }
  step.push({ t: 'subscriptions', account: 'alice', names: boxes.map(({ name }) => name) });
  await vault.commit(step);
  await vault.close();
  const dovecot = await startDovecot({ format: 'maildir', accounts: ['alice'] });
  t.after(() => dovecot.stop());
  const store = dovecot.storePath('alice');
  rmSync(store, { recursive: true, force: true });
  mkdirSync(store, { recursive: true });
  const reader = await VaultReader.open({ dir, clock });
  await exportAccount(reader, { account: 'alice', to: store, format: 'maildir' }, { clock });
  for (const name of ['.', ...readdirSync(store, { recursive: true })]) {
    chownSync(join(store, String(name)), MAIL_UID, MAIL_GID);
  }
  const login = {
    host: dovecot.address,
    port: dovecot.imapPort,
    user: dovecot.masterLogin('alice'),
    pass: dovecot.masterSecret,
  };
  const dump = await dumpAccount(login);
  for (const box of boxes) {
    const served = dump.get(box.name);
    assert.ok(served, `${box.name} is served: ${[...dump.keys()]}`);
    assert.deepEqual([served.uidValidity, served.uidNext, served.subscribed], [box.uidValidity, 40, true]);
    const expected = reader.catalog.messages(box.id).map(({ uid, flags, size, hash }) => ({
      uid,
      flags: [...flags].sort(),
      internalDate: date,
      size,
      bytes: size,
      sha256: Buffer.from(hash).toString('hex'),
    }));
    assert.deepEqual(served.messages, expected);
  }
  await reader.close();
});
