/**
 * Goal: copies and moves cost no bytes, and a message that is moved is in the replica at every moment. Method: a large message
 * is copied and moved, and what passes the wire is counted; many messages are moved about while we look on, and the
 * state as of every commit is asked for all of them.
 */
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { vaultFiles } from '../../src/catalog/index.ts';
import { JournalReader } from '../../src/journal/index.ts';
import { Random } from '../../src/lib/index.ts';
import { shadowOnce, startShadow } from '../../src/workloads/mail/index.ts';
import { type Dovecot, startDovecot } from '../lab/dovecot.ts';
import { ImapClient } from './imap-client.ts';
import { mail } from './restore-world.ts';
import { MailLab, serversMissing, variants } from './support.ts';

const ACCOUNT = 'user0001';
const LARGE = 10 << 20;
/** `UNDERSTUDY_DAY_ROUNDS` makes it more, `UNDERSTUDY_SEED` repeats a run. */
const MOVES = 60 * Number(process.env['UNDERSTUDY_DAY_ROUNDS'] ?? 1);

/** Passes everything to the server, and counts what the server sends. */
async function countingProxy(t: TestContext, dovecot: Dovecot) {
  let received = 0;
  const proxy = createServer((client) => {
    const server = connect(dovecot.imapPort, dovecot.address);
    server.on('data', (chunk) => {
      received += chunk.length;
    });
    for (const socket of [client, server]) socket.on('error', () => {}); // the other end notices
    server.pipe(client).pipe(server);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => proxy.close());
  const { port } = proxy.address() as AddressInfo;
  return { host: '127.0.0.1', port, received: () => received };
}

describe('a large message', { skip: serversMissing }, () => {
  for (const { name, options } of variants) {
    it(`that is copied and moved is not fetched again: ${name}`, async (t) => {
      const dovecot = await startDovecot({ ...options, accounts: 1, fsync: 'never' });
      const through = await countingProxy(t, dovecot);
      const lab = new MailLab(t, dovecot, { through });
      t.after(() => dovecot.stop());
      const client = await ImapClient.open(dovecot, ACCOUNT);
      lab.after(() => client.close());
      for (const mailbox of ['Copied', 'Moved', 'Far/Away']) await client.create(mailbox);
      await client.append('INBOX', mail('large', LARGE));
      await lab.shadow();
      assert.ok(through.received() > LARGE);

      const before = through.received();
      await client.select('INBOX');
      await client.copy('1', 'Copied');
      await lab.shadow();
      await client.move('1', 'Moved');
      await lab.shadow();
      await client.rename('Moved', 'Far/Away/Renamed');
      await lab.shadow();
      const passed = through.received() - before;
      t.diagnostic(`${passed} bytes passed for a copy, a move and a rename of ${LARGE} bytes`);
      assert.ok(passed < 100_000, `${passed} bytes`);
      await lab.assertReplicaIsServer();
    });
  }
});

/** Fails for every commit as of which one of the messages is in no mailbox. */
async function assertNeverAbsent(lab: MailLab, hashes: ReadonlySet<string>): Promise<number> {
  const { catalog } = await lab.vault();
  const reader = await JournalReader.open({ storage: vaultFiles(lab.vaultDir).journal });
  let complete = false;
  let commits = 0;
  try {
    for await (const { lsn, record } of reader.entries(1 as typeof reader.committedLsn)) {
      if (record.t !== 'commit') continue;
      const there = new Set<string>();
      for (const mailbox of catalog.mailboxes(ACCOUNT, lsn)) {
        for (const { hash } of catalog.iterateMessages(mailbox.id, lsn))
          there.add(Buffer.from(hash).toString('hex'));
      }
      const absent = [...hashes].filter((hash) => !there.has(hash));
      // The first look brings them in one mailbox after the other.
      complete ||= absent.length === 0;
      if (!complete) continue;
      commits += 1;
      assert.deepEqual(absent, [], `absent as of lsn:${lsn}`);
    }
  } finally {
    await reader.close();
  }
  return commits;
}

describe('messages that are moved about', { skip: serversMissing }, () => {
  for (const { name, options } of variants) {
    it(`are never absent from the replica: ${name}`, async (t) => {
      const seed = process.env['UNDERSTUDY_SEED'] ?? String(Math.floor(Math.random() * 1e9));
      t.diagnostic(`UNDERSTUDY_SEED=${seed}`);
      const random = new Random(seed);
      const lab = await MailLab.start(t, {
        ...options,
        accounts: 1,
        serverLines: ['shadow: { sweep: 50ms, watch: 4 }'],
      });
      const client = await ImapClient.open(lab.dovecot, ACCOUNT);
      lab.after(() => client.close());
      const mailboxes = ['INBOX', 'A', 'B', 'C', 'D'];
      for (const mailbox of mailboxes.slice(1)) await client.create(mailbox);
      for (let number = 1; number <= 40; number += 1)
        await client.append(random.pick(mailboxes), mail(`moved-${number}`));
      await lab.shadow();
      const state = await lab.assertReplicaIsServer();
      const hashes = new Set(
        [...(state.get(ACCOUNT)?.values() ?? [])].flatMap(({ messages }) =>
          messages.map(({ sha256 }) => sha256 ?? ''),
        ),
      );
      assert.equal(hashes.size, 40);

      const storm = async (moves: number) => {
        for (let count = 0; count < moves; count += 1) {
          const [from, to] = random.shuffled(mailboxes) as [string, string];
          await client.select(from);
          const uids = (await client.uids()).filter(() => random.chance(0.4));
          if (uids.length > 0) await client.move(uids.join(','), to);
          if (random.chance(0.05) && from !== 'INBOX') await client.rename(from, `${from}x`);
          if (random.chance(0.05) && from !== 'INBOX') await client.rename(`${from}x`, from);
        }
      };
      let moving = true;
      const first = storm(MOVES).finally(() => {
        moving = false;
      });
      while (moving) await shadowOnce(await lab.deps());
      await first;
      const engine = startShadow(await lab.deps());
      await storm(MOVES);
      await engine.stop();
      await lab.shadow();
      await lab.assertReplicaIsServer();
      t.diagnostic(`${await assertNeverAbsent(lab, hashes)} commits looked at`);
    });
  }
});
