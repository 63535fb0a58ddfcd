/** Goal: journal and catalog stay in step through commits, restarts and failures. Method: a real vault in a temporary folder. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import {
  FaultyStorage,
  type Lsn,
  localStorage,
  type MailboxId,
  type SegmentStorage,
} from '../journal/index.ts';
import { hasCode, silentLog, systemClock } from '../lib/index.ts';
import { Catalog } from './catalog.ts';
import { rebuildCatalog } from './catch-up.ts';
import { dumpTables, mailboxRecord, sha256, temporaryFolder } from './testing.ts';
import { Vault, type VaultOptions } from './vault.ts';
import { vaultFiles } from './vault-files.ts';
import { VaultLock } from './vault-lock.ts';
import { VaultReader } from './vault-reader.ts';
import { verifyVault } from './verify-vault.ts';

const clock = systemClock;
const box = (id: number) => id as MailboxId;

async function openVault(dir: string, more: Partial<VaultOptions> = {}) {
  return Vault.open({ dir, clock, log: silentLog, ...more });
}

function mail(n: number, bytes = 100): Buffer {
  return Buffer.from(`Subject: mail ${n}\r\nFrom: <a@b>\r\n\r\n${`${n} `.repeat(bytes).slice(0, bytes)}`);
}

/** Puts a mail and returns the message record for it. */
function put(vault: Vault, id: number, uid: number, data: Buffer) {
  const { hash, size } = vault.putBody(data);
  const date = '17-Jul-2026 02:44:25 +0200';
  return { t: 'message', id: box(id), uid, hash, size, flags: [], date, guid: `g${uid}` } as const;
}

test('a step is in the catalog when its commit resolves, and after a restart', async (t) => {
  const dir = temporaryFolder(t);
  const vault = await openVault(dir);
  const id = vault.nextMailboxId();
  const message = put(vault, id, 1, mail(1));
  assert.equal(vault.putBody(mail(1)).known, true);
  const committing = vault.commit([
    { t: 'account', account: 'alice' },
    mailboxRecord(id, 'alice', 'INBOX'),
    message,
  ]);
  assert.equal(vault.catalog.account('alice'), undefined);
  assert.deepEqual(vault.bodyByGuid('alice', 'g1', message.size)?.hash, message.hash, 'pending steps count');
  const { lsn } = await committing;
  assert.equal(vault.catalog.appliedLsn, lsn);
  assert.equal(vault.committedLsn, lsn);
  assert.equal(vault.catalog.messages(id).length, 1);
  assert.equal(vault.pendingEntries, 0);
  assert.equal(vault.putBody(mail(1)).known, true);
  assert.deepEqual(await vault.body(message.hash), mail(1));
  await vault.close();

  const again = await openVault(dir);
  assert.equal(again.catalog.messages(id)[0]?.guid, 'g1');
  assert.notEqual(again.nextMailboxId(), id);
  assert.deepEqual(await again.body(again.catalog.messages(id)[0]?.bodyLsn as never), mail(1));
  await again.close();
});

test('many commits at once resolve in order, together', async (t) => {
  const vault = await openVault(temporaryFolder(t));
  const id = vault.nextMailboxId();
  const order: number[] = [];
  const first = vault.commit([mailboxRecord(id, 'alice', 'INBOX')]);
  const all = Array.from({ length: 200 }, (_, i) =>
    vault.commit([put(vault, id, i + 1, mail(i))]).then(() => order.push(i)),
  );
  await first;
  await Promise.all(all);
  assert.deepEqual(
    order,
    Array.from({ length: 200 }, (_, i) => i),
  );
  assert.equal(vault.catalog.countMessages(id).messages, 200);
  await vault.close();
});

test('bodies of all sizes come back byte for byte, also to a reader beside the writer', async (t) => {
  const dir = temporaryFolder(t);
  const vault = await openVault(dir);
  const id = vault.nextMailboxId();
  await vault.commit([mailboxRecord(id, 'alice', 'INBOX')]);
  const mails = [Buffer.alloc(0), mail(1), mail(2, 1 << 20), mail(3, (3 << 20) + 17)];
  for (const [i, data] of mails.entries()) {
    await vault.ready();
    await vault.commit([put(vault, id, i + 1, data)]);
  }
  const reader = await VaultReader.open({ dir, clock });
  const rows = reader.catalog.messages(id);
  assert.equal(rows.length, mails.length);
  for (const [i, row] of rows.entries()) assert.deepEqual(await reader.body(row.bodyLsn), mails[i]);
  await vault.commit([put(vault, id, 9, mail(9))]);
  const row = reader.catalog.messages(id).at(-1);
  assert.equal(row?.uid, 9, 'a reader sees what is committed after it was opened');
  assert.deepEqual(await reader.body(row?.bodyLsn as never), mail(9));
  await reader.close();
  await vault.close();
});

test('a second writer is refused and told who holds the vault; after the first is gone it is let in', async (t) => {
  const dir = temporaryFolder(t);
  const vault = await openVault(dir);
  await assert.rejects(
    openVault(dir),
    (error) => hasCode(error, 'CATALOG_VAULT_LOCKED') && error.message.includes(`${process.pid}`),
  );
  await assert.rejects(rebuildCatalog({ dir, clock }), (error) => hasCode(error, 'CATALOG_VAULT_LOCKED'));
  await vault.close();
  await (await openVault(dir)).close();
});

test('a step that names an unknown body or mailbox is refused before it is journaled', async (t) => {
  const vault = await openVault(temporaryFolder(t));
  const unknownMailbox = vault.commit([{ t: 'vanished', id: box(5), uids: '1' }]);
  await assert.rejects(unknownMailbox, (error) => hasCode(error, 'CATALOG_STEP_INVALID'));
  const message = { ...put(vault, 1, 1, mail(1)), hash: new Uint8Array(32) };
  const unknownBody = vault.commit([mailboxRecord(1, 'alice', 'INBOX'), message]);
  await assert.rejects(unknownBody, (error) => hasCode(error, 'CATALOG_STEP_INVALID'));
  assert.equal(vault.committedLsn, 0);
  await vault.commit([{ t: 'account', account: 'alice' }]);
  await vault.close();
});

test('a vault whose first start was killed before it had a catalog reads as empty', async (t) => {
  const dir = temporaryFolder(t);
  await (await openVault(dir)).close();
  rmSync(vaultFiles(dir).catalog);
  const reader = await VaultReader.open({ dir, clock });
  assert.deepEqual([reader.catalog.appliedLsn, reader.catalog.accountNames()], [0, []]);
  await reader.close();
});

test('a catalog that is missing, damaged or behind is brought up; one that does not fit is refused', async (t) => {
  const dir = temporaryFolder(t);
  const files = vaultFiles(dir);
  const fill = async (from: number) => {
    const vault = await openVault(dir);
    if (from === 0) await vault.commit([mailboxRecord(vault.nextMailboxId(), 'alice', 'INBOX')]);
    for (let i = from; i < from + 20; i += 1) await vault.commit([put(vault, 1, i + 1, mail(i))]);
    await vault.close();
  };
  await fill(0);
  cpSync(files.catalog, `${files.catalog}.old`);
  await fill(20);
  const whole = dumpTables(files.catalog);

  await t.test('missing', async () => {
    rmSync(files.catalog);
    await assert.rejects(VaultReader.open({ dir, clock }), (error) => hasCode(error, 'CATALOG_MISSING'));
    await (await openVault(dir)).close();
    assert.deepEqual(dumpTables(files.catalog), whole);
  });
  await t.test('damaged', async () => {
    writeFileSync(files.catalog, 'this is no database, however long one looks at it'.repeat(100));
    await assert.rejects(VaultReader.open({ dir, clock }), (error) => hasCode(error, 'CATALOG_DAMAGED'));
    await (await openVault(dir)).close();
    assert.deepEqual(dumpTables(files.catalog), whole);
  });
  await t.test('behind: a reader without a writer brings it up', async () => {
    cpSync(`${files.catalog}.old`, files.catalog);
    const reader = await VaultReader.open({ dir, clock });
    assert.equal(reader.catalog.messages(box(1)).length, 40);
    await reader.close();
    assert.deepEqual(dumpTables(files.catalog), whole);
  });
  await t.test('behind, where nothing may be written: a reader brings up a copy', async () => {
    cpSync(`${files.catalog}.old`, files.catalog);
    for (const suffix of ['-wal', '-shm']) rmSync(files.catalog + suffix, { force: true });
    const blocked = `${dir}/lock.json`;
    mkdirSync(blocked);
    const reader = await VaultReader.open({ dir, clock });
    assert.equal(reader.catalog.messages(box(1)).length, 40);
    await reader.close();
    rmdirSync(blocked);
    const stale = Catalog.open(files.catalog, { readOnly: true });
    assert.equal(stale.messages(box(1)).length, 20, 'the vault itself is as it was');
    stale.close();
  });
  await t.test('rebuilt on demand', async () => {
    const { messages } = await rebuildCatalog({ dir, clock });
    assert.equal(messages, 40);
    assert.deepEqual(dumpTables(files.catalog), whole);
  });
  await t.test('journal gone', async () => {
    rmSync(files.journal, { recursive: true });
    await assert.rejects(openVault(dir), (error) => hasCode(error, 'CATALOG_AHEAD_OF_JOURNAL'));
  });
  await t.test('another journal', async () => {
    const other = temporaryFolder(t);
    const vault = await openVault(other);
    await vault.commit([{ t: 'account', account: 'bob' }]);
    await vault.close();
    cpSync(vaultFiles(other).journal, files.journal, { recursive: true });
    await assert.rejects(openVault(dir), (error) => hasCode(error, 'CATALOG_OTHER_JOURNAL'));
    await assert.rejects(VaultReader.open({ dir, clock }), (error) =>
      hasCode(error, 'CATALOG_OTHER_JOURNAL'),
    );
  });
});

test('a catalog ahead of its journal is refused: committed records were lost', async (t) => {
  const dir = temporaryFolder(t);
  const vault = await openVault(dir);
  await vault.commit([{ t: 'account', account: 'alice' }]);
  await vault.close();
  cpSync(vaultFiles(dir).journal, `${dir}/older`, { recursive: true });
  const again = await openVault(dir);
  await again.commit([{ t: 'account', account: 'bob' }]);
  await again.close();
  rmSync(vaultFiles(dir).journal, { recursive: true });
  cpSync(`${dir}/older`, vaultFiles(dir).journal, { recursive: true });
  await assert.rejects(openVault(dir), (error) => hasCode(error, 'CATALOG_AHEAD_OF_JOURNAL'));
  await assert.rejects(VaultReader.open({ dir, clock }), (error) =>
    hasCode(error, 'CATALOG_AHEAD_OF_JOURNAL'),
  );
  await rebuildCatalog({ dir, clock });
  const rebuilt = await openVault(dir);
  assert.deepEqual(
    rebuilt.catalog.accounts().map(({ account }) => account),
    ['alice'],
  );
  await rebuilt.close();
});

test('a full disk rejects the commit, keeps those before it, and `reopen` goes on when there is space', async (t) => {
  const dir = temporaryFolder(t);
  const disk = { full: false };
  const inner = localStorage(vaultFiles(dir).journal);
  const storage: SegmentStorage = new Proxy(inner, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (disk.full && (name === 'append' || name === 'create')) {
          return Promise.reject(
            Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }),
          );
        }
        return value.apply(target, args);
      };
    },
  });
  const vault = await openVault(dir, { storage });
  const id = vault.nextMailboxId();
  await vault.commit([mailboxRecord(id, 'alice', 'INBOX'), put(vault, id, 1, mail(1))]);
  disk.full = true;
  const lost = [vault.commit([put(vault, id, 2, mail(2))]), vault.commit([put(vault, id, 3, mail(3))])];
  for (const commit of lost) await assert.rejects(commit, (error) => hasCode(error, 'JOURNAL_STORAGE_FULL'));
  const full = (error: unknown) => hasCode(error, 'JOURNAL_STORAGE_FULL');
  await assert.rejects(vault.commit([{ t: 'account', account: 'bob' }]), full);
  await assert.rejects(vault.ready(), full);
  assert.throws(() => vault.putBody(mail(2)), full);
  assert.ok(full(vault.failure));
  assert.equal(vault.hasBody(sha256(mail(2))), false, 'what was not committed is forgotten');
  disk.full = false;
  await Promise.all([vault.reopen(), vault.reopen()]);
  assert.equal(vault.failure, undefined);
  assert.deepEqual(
    vault.catalog.messages(id).map(({ uid }) => uid),
    [1],
  );
  assert.equal(vault.putBody(mail(2)).known, false);
  await vault.commit([put(vault, id, 2, mail(2))]);
  assert.ok(vault.nextMailboxId() > id);
  await vault.close();
  const reader = await VaultReader.open({ dir, clock });
  assert.deepEqual(
    reader.catalog.messages(id).map(({ uid }) => uid),
    [1, 2],
  );
  await reader.close();
});

test('a folder that cannot be made is refused; a vault that never was is said to be missing', async (t) => {
  const dir = temporaryFolder(t);
  writeFileSync(`${dir}/file`, '');
  await assert.rejects(openVault(`${dir}/file/vault`), (error) => hasCode(error, 'CATALOG_VAULT_UNWRITABLE'));
  await assert.rejects(VaultReader.open({ dir, clock }), (error) => hasCode(error, 'CATALOG_VAULT_MISSING'));
  await assert.rejects(rebuildCatalog({ dir, clock }), (error) => hasCode(error, 'CATALOG_VAULT_MISSING'));
});

test('a catalog that cannot be written stops the vault; what was durable is there after `reopen`', async (t) => {
  const dir = temporaryFolder(t);
  const vault = await openVault(dir);
  const id = vault.nextMailboxId();
  await vault.commit([mailboxRecord(id, 'alice', 'INBOX')]);
  const blocker = new DatabaseSync(vaultFiles(dir).catalog);
  blocker.exec(`CREATE TRIGGER broken BEFORE INSERT ON message BEGIN SELECT raise(ABORT, 'no'); END`);
  await assert.rejects(vault.commit([put(vault, id, 1, mail(1))]));
  assert.throws(() => vault.putBody(mail(2)));
  blocker.exec('DROP TRIGGER broken');
  blocker.close();
  await vault.reopen();
  assert.deepEqual(
    vault.catalog.messages(id).map(({ uid }) => uid),
    [1],
    'it was in the journal',
  );
  await vault.close();
});

/** A mail of `bytes` bytes that compresses to about half. */
function largeMail(n: number, bytes: number): Buffer {
  return Buffer.from(`Subject: large ${n}\r\n\r\n${randomBytes(bytes / 2).toString('hex')}`, 'latin1');
}

test('a large body is appended little by little, and what is asked for meanwhile waits its turn', async (t) => {
  const dir = temporaryFolder(t);
  const vault = await openVault(dir);
  const id = vault.nextMailboxId();
  await vault.commit([mailboxRecord(id, 'alice', 'INBOX')]);
  const large = largeMail(1, 40 << 20);
  const date = '17-Jul-2026 02:44:25 +0200';
  const message = (uid: number, { hash, size }: { hash: Uint8Array; size: number }) =>
    ({ t: 'message', id, uid, hash, size, flags: [], date }) as const;
  const order: string[] = [];
  const taking = [large, mail(1), large, mail(2), largeMail(2, 9 << 20), mail(1)].map(async (data, index) => {
    const placed = await vault.takeBody(data);
    assert.deepEqual(placed.hash, sha256(data));
    order.push(`${index} ${placed.known}`);
    await vault.commit([message(index + 1, placed)]);
    return data;
  });
  const committing = vault.commit([{ t: 'account', account: 'bob' }]).then(() => order.push('bob'));
  assert.throws(() => vault.putBody(mail(3)), /beside it/);
  const taken = await Promise.all(taking);
  await committing;
  assert.deepEqual(
    order.filter((what) => what !== 'bob'),
    ['0 false', '1 false', '2 true', '3 false', '4 false', '5 true'],
  );
  assert.equal(vault.putBody(mail(3)).known, false);
  await vault.close();

  const again = await openVault(dir);
  const rows = again.catalog.messages(id);
  assert.equal(rows.length, taken.length);
  for (const [index, row] of rows.entries())
    assert.ok((await again.body(row.bodyLsn)).equals(taken[index] as Buffer));
  await again.close();
});

test('a disk that fails in the middle of a large body loses that body only, and it is taken again after it', async (t) => {
  const dir = temporaryFolder(t);
  const storage = new FaultyStorage(localStorage(vaultFiles(dir).journal));
  const vault = await openVault(dir, { storage });
  const id = vault.nextMailboxId();
  await vault.commit([mailboxRecord(id, 'alice', 'INBOX'), put(vault, id, 1, mail(1))]);
  const large = largeMail(1, 40 << 20);
  storage.planned.push({ operation: 'append', code: 'ENOSPC', after: 2, partialBytes: 1000 });
  const taking = vault.takeBody(large);
  const beside = vault.commit([{ t: 'account', account: 'bob' }]);
  await assert.rejects(Promise.resolve(taking), (error) => hasCode(error, 'JOURNAL_STORAGE_FULL'));
  await assert.rejects(beside, (error) => hasCode(error, 'JOURNAL_STORAGE_FULL'));
  await vault.reopen();
  assert.equal(vault.hasBody(sha256(large)), false);
  const placed = await vault.takeBody(large);
  assert.equal(placed.known, false);
  const date = '17-Jul-2026 02:44:25 +0200';
  await vault.commit([{ t: 'message', id, uid: 2, hash: placed.hash, size: placed.size, flags: [], date }]);
  assert.ok((await vault.body(placed.hash)).equals(large));
  assert.deepEqual(await vault.body(sha256(mail(1))), mail(1));
  await vault.close();
});

test('a vault that is closed in the middle of a large body keeps all that was committed', async (t) => {
  const dir = temporaryFolder(t);
  const vault = await openVault(dir);
  const id = vault.nextMailboxId();
  await vault.commit([mailboxRecord(id, 'alice', 'INBOX'), put(vault, id, 1, mail(1))]);
  const taking = vault.takeBody(largeMail(1, 40 << 20));
  const rejected = assert.rejects(Promise.resolve(taking));
  await vault.close();
  await rejected;
  const again = await openVault(dir);
  assert.deepEqual(await again.body(sha256(mail(1))), mail(1));
  assert.equal(again.catalog.countMessages(id).messages, 1);
  await again.close();
});

/** Every segment's bytes and mode. */
function segmentsOf(dir: string): Record<string, string> {
  const { journal } = vaultFiles(dir);
  return Object.fromEntries(
    readdirSync(journal).map((name) => {
      const file = `${journal}/${name}`;
      return [name, `${statSync(file).mode.toString(8)} ${readFileSync(file, 'hex')}`];
    }),
  );
}

/** A vault of some segments as `kill -9` leaves it: nothing says that its last frames were stored safely. */
async function killedVault(t: TestContext): Promise<string> {
  const dir = temporaryFolder(t);
  const killed = `${dir}-killed`;
  t.after(() => rmSync(killed, { recursive: true, force: true }));
  const vault = await openVault(dir, { frameBytes: 2000, segmentBytes: 20_000 });
  const id = vault.nextMailboxId();
  await vault.commit([mailboxRecord(id, 'alice', 'INBOX')]);
  for (let uid = 1; uid <= 30; uid += 1) {
    await vault.commit([put(vault, id, uid, randomBytes(1500))]);
    if (uid >= 25 && statSync(lastSegment(dir)).size > 6000) break;
  }
  cpSync(dir, killed, { recursive: true, preserveTimestamps: true });
  await vault.close();
  for (const name of ['lock.json', 'lock.sqlite']) rmSync(`${killed}/${name}`, { force: true });
  return killed;
}

function lastSegment(dir: string): string {
  const { journal } = vaultFiles(dir);
  return `${journal}/${readdirSync(journal).sort().at(-1)}`;
}

test('a journal that lost its end is refused as it was found: no byte is cut, none is added', async (t) => {
  const losses: Record<string, (dir: string) => void> = {
    'a bit flipped in the last frame': (dir) => {
      const bytes = readFileSync(lastSegment(dir));
      bytes[bytes.length - 100] = (bytes[bytes.length - 100] as number) ^ 1;
      writeFileSync(lastSegment(dir), bytes);
    },
    'the active segment cut': (dir) => truncateSync(lastSegment(dir), statSync(lastSegment(dir)).size - 2500),
    'the last segment removed': (dir) => rmSync(lastSegment(dir)),
    'every segment removed': (dir) => {
      rmSync(vaultFiles(dir).journal, { recursive: true });
      mkdirSync(vaultFiles(dir).journal);
    },
  };
  for (const [loss, lose] of Object.entries(losses)) {
    for (const version of ['this', 'another'] as const) {
      await t.test(`${loss}, with a catalog of ${version} version`, async (t) => {
        const dir = await killedVault(t);
        if (version === 'another') {
          const db = new DatabaseSync(vaultFiles(dir).catalog);
          db.exec('PRAGMA user_version = 99');
          db.close();
        }
        lose(dir);
        const before = segmentsOf(dir);
        for (let attempt = 0; attempt < 2; attempt += 1) {
          await assert.rejects(openVault(dir), (error) => hasCode(error, 'CATALOG_AHEAD_OF_JOURNAL'));
          assert.deepEqual(segmentsOf(dir), before);
        }
      });
    }
  }
});

test('the journal of another vault is refused as it was found', async (t) => {
  const [dir, other] = [await killedVault(t), await killedVault(t)];
  rmSync(vaultFiles(dir).journal, { recursive: true });
  cpSync(vaultFiles(other).journal, vaultFiles(dir).journal, { recursive: true, preserveTimestamps: true });
  truncateSync(lastSegment(dir), statSync(lastSegment(dir)).size - 10);
  const before = segmentsOf(dir);
  await assert.rejects(openVault(dir), (error) => hasCode(error, 'CATALOG_OTHER_JOURNAL'));
  assert.deepEqual(segmentsOf(dir), before);
});

test('a catalog that never knew a commit stands in no journal’s way', async (t) => {
  const dir = temporaryFolder(t);
  await (await openVault(dir)).close();
  rmSync(vaultFiles(dir).journal, { recursive: true });
  const vault = await openVault(dir);
  await vault.commit([{ t: 'account', account: 'alice' }]);
  assert.equal(vault.catalog.journalId, vault.journalId);
  await vault.close();
});

test('a catalog with a damaged page is named, stops the vault, and is built anew by the next opening', async (t) => {
  const dir = temporaryFolder(t);
  const files = vaultFiles(dir);
  const vault = await openVault(dir);
  const ids = [vault.nextMailboxId(), vault.nextMailboxId()] as const;
  await vault.commit(ids.map((id) => mailboxRecord(id, 'alice', `box ${id}`)));
  for (let uid = 1; uid <= 150; uid += 1) {
    await vault.commit(ids.map((id) => put(vault, id, uid, mail(uid * 2 + id))));
  }
  await vault.close();
  const whole = dumpTables(files.catalog);
  const sound = readFileSync(files.catalog);
  const pageBytes = 4096;
  const ends = { unharmed: 0, builtAtOnce: 0, builtAfterStop: 0 };
  for (let page = 1; page < sound.length / pageBytes; page += 1) {
    writeFileSync(files.catalog, Buffer.from(sound).fill(0xa5, page * pageBytes, (page + 1) * pageBytes));
    for (const suffix of ['-wal', '-shm']) rmSync(files.catalog + suffix, { force: true });
    const { ino } = statSync(files.catalog);
    let opened = await openVault(dir);
    const rebuilt = statSync(files.catalog).ino !== ino;
    try {
      for (const id of ids) opened.catalog.messages(id);
      opened.catalog.accounts();
      opened.catalog.removals();
      opened.hasBody(sha256(mail(7)));
      opened.bodyByGuid('alice', 'g7', mail(14 + ids[0]).length);
      opened.catalog.commitAtTime(clock.wallMs());
      opened.catalog.frameOf(100 as Lsn);
      ends[rebuilt ? 'builtAtOnce' : 'unharmed'] += 1;
      await opened.close();
      if (!rebuilt) continue;
    } catch (error) {
      assert.ok(hasCode(error, 'CATALOG_DAMAGED'), String(error));
      assert.ok(
        hasCode(opened.failure, 'CATALOG_DAMAGED'),
        'the vault stops, so that its host opens it again',
      );
      assert.equal(await opened.whenStopped, opened.failure);
      await opened.close();
      opened = await openVault(dir);
      await opened.close();
      ends.builtAfterStop += 1;
    }
    assert.deepEqual(dumpTables(files.catalog), whole);
  }
  assert.ok(ends.builtAtOnce > 0 && ends.builtAfterStop > 0, JSON.stringify(ends));
});

test('a half-built catalog that is damaged is begun again', async (t) => {
  const dir = temporaryFolder(t);
  const files = vaultFiles(dir);
  const vault = await openVault(dir);
  const id = vault.nextMailboxId();
  await vault.commit([mailboxRecord(id, 'alice', 'INBOX')]);
  for (let uid = 1; uid <= 20; uid += 1) await vault.commit([put(vault, id, uid, mail(uid))]);
  await vault.close();
  const half = readFileSync(files.catalog);
  const again = await openVault(dir);
  for (let uid = 21; uid <= 40; uid += 1) await again.commit([put(again, id, uid, mail(uid))]);
  await again.close();
  const whole = dumpTables(files.catalog);
  for (let page = 1; page < half.length / 4096; page += 1) {
    writeFileSync(files.rebuilding, Buffer.from(half).fill(0xa5, page * 4096, (page + 1) * 4096));
    rmSync(files.catalog);
    // Damage that the rest of the building does not come upon is found by whoever does.
    await (await openVault(dir)).close();
  }
  rmSync(files.catalog);
  await (await openVault(dir)).close();
  assert.deepEqual(dumpTables(files.catalog), whole);
});

test('a catalog that is removed under a vault stops it, and is there again, whole, when it works again', async (t) => {
  const dir = temporaryFolder(t);
  const vault = await openVault(dir);
  const id = vault.nextMailboxId();
  await vault.commit([mailboxRecord(id, 'alice', 'INBOX'), put(vault, id, 1, mail(1))]);
  rmSync(vaultFiles(dir).catalog);
  await vault.commit([put(vault, id, 2, mail(2))]);
  const failure = await vault.whenStopped;
  assert.ok(hasCode(failure, 'CATALOG_REPLACED'), String(failure));
  await assert.rejects(vault.commit([{ t: 'account', account: 'bob' }]), (error) =>
    hasCode(error, 'CATALOG_REPLACED'),
  );
  await vault.reopen();
  await vault.commit([put(vault, id, 3, mail(3))]);
  const reader = await VaultReader.open({ dir, clock });
  assert.deepEqual(
    reader.catalog.messages(id).map(({ uid }) => uid),
    [1, 2, 3],
  );
  await reader.close();
  await vault.close();
});

/** A vault of 40 messages whose catalog has 20 of them. */
async function vaultBehind(t: TestContext): Promise<string> {
  const dir = temporaryFolder(t);
  const { catalog } = vaultFiles(dir);
  for (const first of [1, 21]) {
    const vault = await openVault(dir);
    if (first === 1) await vault.commit([mailboxRecord(vault.nextMailboxId(), 'alice', 'INBOX')]);
    for (let uid = first; uid < first + 20; uid += 1) await vault.commit([put(vault, 1, uid, mail(uid))]);
    await vault.close();
    if (first === 1) cpSync(catalog, `${catalog}.old`);
  }
  cpSync(`${catalog}.old`, catalog);
  return dir;
}

test('readers that begin at once on a catalog that is behind all have every commit', async (t) => {
  const dir = await vaultBehind(t);
  const readers = await Promise.all(Array.from({ length: 4 }, () => VaultReader.open({ dir, clock })));
  for (const reader of readers) {
    assert.equal(reader.catalog.messages(box(1)).length, 40);
    await reader.close();
  }
});

test('a reader waits for a catalog that is missing or behind while somebody has the vault', async (t) => {
  for (const state of ['missing', 'behind'] as const) {
    await t.test(state, async (t) => {
      const dir = await vaultBehind(t);
      const { catalog } = vaultFiles(dir);
      if (state === 'missing') rmSync(catalog);
      const lock = VaultLock.take(dir, clock.wallMs());
      const opening = VaultReader.open({ dir, clock });
      await clock.sleep(50);
      lock.release();
      const vault = await openVault(dir);
      const reader = await opening;
      assert.equal(reader.catalog.messages(box(1)).length, 40);
      await reader.close();
      await vault.close();
    });
  }
});

test('a reader says so when whoever has the vault does not bring its catalog up', async (t) => {
  const dir = await vaultBehind(t);
  const lock = VaultLock.take(dir, clock.wallMs());
  let ms = 0;
  const quick = {
    ...clock,
    monotonicMs: () => ms,
    sleep: async (pauseMs: number) => {
      ms += pauseMs;
    },
  };
  await assert.rejects(VaultReader.open({ dir, clock: quick }), (error) =>
    hasCode(error, 'CATALOG_BEING_BUILT'),
  );
  assert.ok(ms > 9_000 && ms < 20_000, `it waited ${ms} ms`);
  lock.release();
});

test('verify names a committed end that is gone, which only the catalog remembers', async (t) => {
  const dir = await killedVault(t);
  const { journal } = vaultFiles(dir);
  const whole = await verifyVault({ journal });
  assert.deepEqual(whole.faults, []);
  truncateSync(lastSegment(dir), statSync(lastSegment(dir)).size - 2500);
  const before = segmentsOf(dir);
  const cut = await verifyVault({ journal });
  assert.deepEqual(
    [cut.ok, cut.faults.map(({ code, what }) => [code, what.includes(`lsn:${whole.committedLsn}`)])],
    [false, [['CATALOG_AHEAD_OF_JOURNAL', true]]],
  );
  assert.equal(cut.faults[0]?.lsn, cut.committedLsn);
  rmSync(lastSegment(dir));
  assert.deepEqual(
    (await verifyVault({ journal })).faults.map(({ code }) => code),
    ['CATALOG_AHEAD_OF_JOURNAL'],
  );
  assert.ok(Object.keys(segmentsOf(dir)).length < Object.keys(before).length, 'it made no segment anew');
  const other = await killedVault(t);
  rmSync(journal, { recursive: true });
  cpSync(vaultFiles(other).journal, journal, { recursive: true });
  assert.deepEqual(
    (await verifyVault({ journal })).faults.map(({ code }) => code),
    ['CATALOG_OTHER_JOURNAL'],
  );
  rmSync(vaultFiles(dir).catalog);
  assert.equal(
    (await verifyVault({ journal })).ok,
    true,
    'without a catalog nothing contradicts the journal',
  );
});

test('verify beside a writer takes what is added meanwhile for no fault', async (t) => {
  const dir = temporaryFolder(t);
  const vault = await openVault(dir);
  const id = vault.nextMailboxId();
  await vault.commit([mailboxRecord(id, 'alice', 'INBOX')]);
  let uid = 0;
  let writing = true;
  const writes = (async () => {
    while (writing) await vault.commit([put(vault, id, ++uid, mail(uid))]);
  })();
  for (let round = 0; round < 10; round += 1) {
    assert.deepEqual((await verifyVault({ journal: vaultFiles(dir).journal })).faults, []);
  }
  writing = false;
  await writes;
  await vault.close();
});

test('what nothing vouches for is written again and synced before a catalog is brought up to it', async (t) => {
  const dir = await vaultBehind(t);
  const segment = lastSegment(dir);
  // Without the mark of the closing, as after a kill.
  truncateSync(segment, statSync(segment).size - 136);
  const before = segmentsOf(dir);
  const ways = {
    reader: async () => (await VaultReader.open({ dir, clock })).close(),
    rebuild: () => rebuildCatalog({ dir, clock }),
  };
  for (const [way, bringUp] of Object.entries(ways)) {
    utimesSync(segment, 1, 1);
    await bringUp();
    assert.ok(statSync(segment).mtimeMs > 1000, `${way} writes it again`);
    assert.deepEqual(segmentsOf(dir), before);
  }
});
