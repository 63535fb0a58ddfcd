/**
 * Goal: bodies, flags and dates go in and come out exactly; QRESYNC and events tell what changed; memory is
 * bounded. Against Dovecot with Maildir and mdbox, with and without literal extensions.
 */
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { DoveadmClient } from '../../src/workloads/mail/doveadm/index.ts';
import {
  ByteBudget,
  countOfRanges,
  type FetchedMessage,
  formatSequenceSet,
  type ImapConnection,
  type ImapEvent,
  splitRanges,
} from '../../src/workloads/mail/imap/index.ts';
import { type Dovecot, type StoreFormat, startDovecot } from '../lab/dovecot.ts';
import { logIn } from './server.ts';

const servers = new Map<string, Dovecot>();
before(async () => {
  const kinds: [string, { format: StoreFormat; capability?: string }][] = [
    ['maildir', { format: 'maildir' }],
    ['mdbox', { format: 'mdbox' }],
    ['no literal extensions', { format: 'sdbox', capability: 'IMAP4rev1 IDLE UIDPLUS' }],
  ];
  await Promise.all(
    kinds.map(async ([name, options]) => {
      servers.set(name, await startDovecot({ accounts: 4, fsync: 'never', ...options }));
    }),
  );
});
after(() => Promise.all([...servers.values()].map((server) => server.stop())));

const tricky = [
  '',
  '\r\n',
  'A: b\r\n\r\n',
  'A: b\r\n\r\n)\r\n* 5 EXISTS\r\nU1 OK done\r\n',
  'A: b\r\n\r\n{99}\r\n',
  'A: b\r\n\r\nno line end',
  `A: ${'x'.repeat(70_000)}\r\n\r\n`,
  `A: b\r\n\r\n${'é\x80\xff'.repeat(3000)}\r\n`,
  `A: b\r\n\r\n${'0123456789\r\n'.repeat(12_000)}`,
  `A: b\r\n\r\n${'large\r\n'.repeat(400_000)}`,
].map((text) => Buffer.from(text, 'latin1'));

async function all(connection: ImapConnection, set = '1:*'): Promise<Map<number, FetchedMessage>> {
  const found = new Map<number, FetchedMessage>();
  await connection.fetch(
    set,
    { flags: true, internalDate: true, size: true, guid: true, body: true },
    (message) => {
      found.set(message.uid, { ...message, body: message.body ? Buffer.from(message.body) : null });
    },
  );
  return found;
}

for (const kind of ['maildir', 'mdbox', 'no literal extensions']) {
  test(`tricky bodies come back byte for byte, with flags and date: ${kind}`, async (t) => {
    const connection = await logIn(t, servers.get(kind) as Dovecot, 'user0001', {
      budget: new ByteBudget(2 << 20),
    });
    const bodies = tricky.filter((body) => body.length > 0);
    const result = await connection.append(
      'INBOX',
      bodies.map((body, index) => ({
        body,
        internalDate: `${String(index + 1).padStart(2, ' ')}-Feb-2021 03:04:05 +0000`,
        flags: index % 2 ? ['\\Seen', '$Kw', 'NonJunk'] : [],
      })),
    );
    assert.deepEqual(
      result.uids,
      bodies.map((_, index) => index + 1),
    );
    assert.equal((await connection.examine('INBOX')).exists, bodies.length);
    const found = await all(connection);
    for (const [index, body] of bodies.entries()) {
      const message = found.get(index + 1);
      assert.ok(message, `message ${index}`);
      assert.ok(message.body?.equals(body), `body ${index}`);
      assert.equal(message.size, body.length);
      assert.match(message.internalDate ?? '', new RegExp(`^0?${index + 1}-Feb-2021 03:04:05 \\+0000$`));
      assert.deepEqual(message.flags, index % 2 ? ['$Kw', 'NonJunk', '\\Seen'] : []);
      assert.ok(message.guid);
    }
    assert.equal(formatSequenceSet(await connection.search('SEEN')), '2,4,6,8');
  });
}

test('a body with NUL keeps its length and every other byte', async (t) => {
  const connection = await logIn(t, servers.get('maildir') as Dovecot, 'user0004');
  const head = 'MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\n';
  await connection.append('INBOX', [{ body: Buffer.from(`${head}a\0b\xff\r\n`, 'latin1') }]);
  await connection.examine('INBOX');
  const served = (await all(connection)).get(1)?.body?.toString('latin1');
  assert.equal(served, `${head}a\x80b\xff\r\n`);
});

test('UIDs pinned through doveadm are those that MULTIAPPEND gives', async (t) => {
  const server = servers.get('mdbox') as Dovecot;
  const connection = await logIn(t, server, 'user0002');
  const doveadm = new DoveadmClient({ url: server.doveadmUrl, apiKey: server.doveadmKey });
  t.after(() => doveadm.close());
  await connection.create('Pinned & ü');
  const pin = { user: 'user0002', mailbox: 'Pinned & ü' };
  const body = Buffer.from('A: b\r\n\r\nc\r\n');
  await doveadm.pinMailboxes([{ ...pin, uidValidity: 777_777, minNextUid: 5 }]);
  const first = await connection.append(pin.mailbox, [{ body }, { body }, { body }]);
  assert.deepEqual(first, { count: 3, uidValidity: 777_777, uids: [5, 6, 7] });
  await doveadm.pinMailboxes([{ ...pin, minNextUid: 4_000_000_000 }]);
  assert.deepEqual((await connection.append(pin.mailbox, [{ body }])).uids, [4_000_000_000]);
  await doveadm.pinMailboxes([{ ...pin, minNextUid: 4_000_000_500, minHighestModSeq: '9000' }]);
  const status = (await doveadm.mailboxStatus('user0002')).find(({ mailbox }) => mailbox === pin.mailbox);
  assert.equal(status?.uidNext, 4_000_000_500);
  assert.equal(status?.highestModSeq, '9000');
  const seen = await connection.status(pin.mailbox);
  assert.deepEqual([seen?.uidNext, seen?.uidValidity, seen?.guid], [4_000_000_500, 777_777, status?.guid]);
});

test('QRESYNC tells flags that changed and UIDs that vanished since a known state', async (t) => {
  const server = servers.get('maildir') as Dovecot;
  const [reader, writer] = [await logIn(t, server, 'user0002'), await logIn(t, server, 'user0002')];
  await reader.enable('QRESYNC');
  assert.ok(reader.enabled.has('QRESYNC'));
  await writer.append(
    'INBOX',
    Array.from({ length: 20 }, (_, index) => ({ body: Buffer.from(`A: ${index}\r\n\r\n`) })),
  );
  const before = await reader.examine('INBOX');
  await writer.select('INBOX');
  await writer.store('3,5:6', 'add', ['\\Flagged', '$New']);
  await writer.store('1:2,9', 'add', ['\\Deleted']);
  await writer.expunge('1:2,9');
  await writer.append('INBOX', [{ body: Buffer.from('A: new\r\n\r\n') }]);
  await reader.unselect();
  const since = {
    uidValidity: before.uidValidity,
    modSeq: before.highestModSeq as string,
    knownUids: '1:20',
  };
  const now = await reader.examine('INBOX', since);
  assert.equal(formatSequenceSet(now.vanished), '1:2,9');
  assert.deepEqual(
    now.changed.map(({ uid, flags }) => [uid, flags]),
    [3, 5, 6].map((uid) => [uid, ['$New', '\\Flagged']]),
  );
  const changed: number[] = [];
  const vanished: string[] = [];
  await reader.fetch(
    '1:*',
    { flags: true, modSeq: true },
    ({ uid, modSeq }) => {
      assert.ok(modSeq);
      changed.push(uid);
    },
    { changedSince: since.modSeq, onVanished: (uids) => vanished.push(uids) },
  );
  assert.deepEqual([changed, vanished], [[3, 5, 6, 21], ['1:2,9']]);
  // A UIDVALIDITY that is not the mailbox's: nothing is told, the caller sees it by the new one.
  const other = await reader.examine('INBOX', { ...since, uidValidity: since.uidValidity - 1 });
  assert.deepEqual([other.vanished, other.changed], [[], []]);
});

test('messages are copied and moved, and COPYUID says where to', async (t) => {
  const connection = await logIn(t, servers.get('mdbox') as Dovecot, 'user0003');
  await connection.create('To');
  const bodies = [1, 2, 3].map((index) => ({ body: Buffer.from(`A: ${index}\r\n\r\n`) }));
  await connection.append('INBOX', bodies);
  await connection.select('INBOX');
  const copied = await connection.copy('2:3', 'To');
  assert.deepEqual([formatSequenceSet(copied.from), formatSequenceSet(copied.to)], ['2:3', '1:2']);
  const moved = await connection.move('1', 'To');
  assert.deepEqual([formatSequenceSet(moved.from), formatSequenceSet(moved.to)], ['1', '3']);
  assert.equal(formatSequenceSet(await connection.search('ALL')), '2:3');
  const guids = async () => new Map([...(await all(connection))].map(([uid, { guid }]) => [uid, guid]));
  const source = await guids();
  await connection.examine('To');
  assert.equal((await guids()).get(1), source.get(2), 'a copy keeps the id of the message');
});

test('IDLE and NOTIFY tell what happens elsewhere', async (t) => {
  const server = servers.get('maildir') as Dovecot;
  const [watcher, actor] = [await logIn(t, server, 'user0003'), await logIn(t, server, 'user0003')];
  await actor.create('Wächter');
  const events: ImapEvent[] = [];
  watcher.onEvent = (event) => events.push(event);
  const until = async (what: string, is: (event: ImapEvent) => boolean) => {
    for (let tries = 0; !events.some(is); tries++) {
      assert.ok(tries < 500, `never told: ${what}, but ${JSON.stringify(events)}`);
      await delay(10);
    }
  };
  await watcher.examine('INBOX');
  // Renewed all the time: events are not lost between two rounds.
  const idle = await watcher.idle({ renewMs: 50 });
  await actor.append('INBOX', [{ body: Buffer.from('A: b\r\n\r\n') }]);
  await until('exists', (event) => event.type === 'exists' && event.count === 1);
  await actor.select('INBOX');
  await actor.store('1', 'add', ['\\Seen']);
  await until('flags', (event) => event.type === 'flags');
  await idle.stop();
  await watcher.noop();

  await watcher.unselect();
  await watcher.notifyPersonal();
  const quiet = await watcher.idle();
  await actor.append('Wächter', [{ body: Buffer.from('A: b\r\n\r\n') }]);
  await until('status', (event) => event.type === 'mailbox' && event.name === 'Wächter');
  await actor.rename('Wächter', 'Bewachté');
  await until(
    'rename',
    (event) => event.type === 'list' && event.name === 'Bewachté' && event.oldName === 'Wächter',
  );
  await quiet.stop();
  await quiet.stop();
  await watcher.notifyNone();
});

test('a slow consumer holds the server back: memory stays bounded, and pipelined answers stay apart', async (t) => {
  const budget = new ByteBudget(8 << 20);
  const connection = await logIn(t, servers.get('mdbox') as Dovecot, 'user0004', { budget });
  const body = Buffer.alloc(4 << 20, 'large message\r\n');
  for (let count = 0; count < 12; count++) await connection.append('INBOX', [{ body }]);
  await connection.examine('INBOX');
  let handling = 0;
  const perSet: number[][] = [];
  await Promise.all(
    [...splitRanges([{ from: 1, to: 12 }], 5)].map((set, index) => {
      const seen: number[] = [];
      perSet[index] = seen;
      return connection.fetch(set, { body: true }, async (message) => {
        handling += 1;
        assert.equal(handling, 1, 'one message at a time');
        assert.ok(budget.heldBytes <= 8 << 20);
        await delay(5);
        assert.ok(message.body?.equals(body));
        seen.push(message.uid);
        handling -= 1;
      });
    }),
  );
  assert.deepEqual(perSet, [
    [1, 2, 3, 4, 5],
    [6, 7, 8, 9, 10],
    [11, 12],
  ]);
  assert.equal(budget.heldBytes, 0);
  assert.equal(countOfRanges(await connection.search('ALL')), 12);
});

test('a consumer that fails rejects its fetch alone', async (t) => {
  const connection = await logIn(t, servers.get('mdbox') as Dovecot, 'user0002');
  await connection.append(
    'INBOX',
    [1, 2, 3, 4].map((index) => ({ body: Buffer.from(`A: ${index}\r\n\r\n`) })),
  );
  await connection.examine('INBOX');
  const failing = connection.fetch('1:2', { body: true }, () => {
    throw new Error('disk full');
  });
  const good: number[] = [];
  const other = connection.fetch('3:4', { body: true }, ({ uid }) => void good.push(uid));
  await assert.rejects(failing, /disk full/);
  await other;
  assert.deepEqual(good, [3, 4]);
});
