/**
 * Goal: the front door leads clients to the right server, and never to a fenced one, whoever is killed. Method: real
 * Dovecots behind it, its own process as the product starts it.
 */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { loadConfig } from '../../src/config/index.ts';
import { hasCode, Random, systemClock } from '../../src/lib/index.ts';
import { ensureProxy, proxyStats, rehomesOf, stopProxy } from '../../src/rehome/index.ts';
import { requirePackages } from '../lab/packages.ts';
import { rehomeContract } from './contract.ts';
import { deps, leadsTo, PAIR, Peer, startWorld, statsOf, until, type World } from './world.ts';

const skip = requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd', 'dovecot-pop3d', 'openssl']);

describe('the front door', { skip }, () => {
  let world: World;
  const door = () => {
    const [rehome] = rehomesOf(world.config, PAIR, deps);
    assert.ok(rehome);
    return rehome;
  };
  const open = (server: string) => door().run({ mode: 'open', server });
  const proxyPid = async () => (await statsOf(world.config)).pid;
  const kill9 = async (pid: number) => {
    process.kill(pid, 'SIGKILL');
    await until('the proxy to be gone', async () =>
      (await proxyStats(world.config, PAIR, deps)) === undefined ? true : undefined,
    );
  };
  const logIn = async (service = 'imap', localAddress?: string) => {
    const client = await Peer.to(world.port(service), localAddress);
    const greeting = await client.reads(/OK .*\r\n/);
    const account = world.a.accounts[0] ?? '';
    client.write(`l LOGIN ${account} ${world.a.accountPassword(account)}\r\n`);
    await client.reads(/l OK.*\r\n/);
    return { client, server: /(\w) ready/.exec(greeting)?.[1] };
  };

  before(async () => {
    world = await startWorld(`    live: a
    standby: b
    rehome:
      - { kind: proxy, listen: "127.0.0.1:{imap}", to: imap }
      - { kind: proxy, listen: "127.0.0.1:{imaps}", to: imaps }
      - { kind: proxy, listen: "127.0.0.1:{pop3}", to: pop3 }
      - { kind: proxy, listen: "127.0.0.1:{lmtp}", to: lmtp, drain: 3s }
`);
  });
  after(() => world?.stop());

  rehomeContract('the proxy', () => ({
    rehome: door,
    leadsTo: () => leadsTo(world.port('imap')),
    meddle: async (server) => {
      await open(server);
    },
    childArguments: [world.config.file, PAIR, '0'],
  }));

  it('begins with the live server where nothing is remembered, and is started once by many', async () => {
    await stopProxy(world.config, PAIR, deps);
    rmSync(join(world.config.dataDir, 'doors', `${PAIR}.json`));
    const started = await Promise.all([1, 2, 3].map(() => ensureProxy(world.config, PAIR, deps)));
    assert.equal(new Set(started.map(({ pid }) => pid)).size, 1);
    assert.deepEqual(await door().state(), { mode: 'open', server: 'a' });
    assert.equal(await leadsTo(world.port('imap')), 'a');
  });

  it('only its owner can tell it what to do', () => {
    const doors = join(world.config.dataDir, 'doors');
    assert.equal(statSync(doors).mode & 0o777, 0o700);
    assert.equal(statSync(join(doors, `${PAIR}.sock`)).mode & 0o777, 0o600);
  });

  it('is told apart from the server by nothing: IMAP, POP3, LMTP, TLS', async () => {
    await open('a');
    const { client } = await logIn();
    client.write('s SELECT INBOX\r\n');
    await client.reads(/s OK.*\r\n/);
    client.close();

    const pop3 = await Peer.to(world.port('pop3'));
    await pop3.reads(/\+OK a ready/);
    pop3.write('QUIT\r\n');
    await pop3.ends();

    const lmtp = await Peer.to(world.port('lmtp'));
    await lmtp.reads(/220 .*\r\n/);
    lmtp.write('LHLO test\r\nMAIL FROM:<x@example.test>\r\n');
    await lmtp.reads(/250 2.1.0.*\r\n/);
    lmtp.write(`RCPT TO:<${world.a.accounts[0]}>\r\nDATA\r\n`);
    await lmtp.reads(/354.*\r\n/);
    lmtp.write('Subject: through the door\r\n\r\nhello\r\n.\r\n');
    await lmtp.reads(/250 2.0.0.*Saved\r\n/);
    lmtp.close();

    const ca = readFileSync(world.a.caFile ?? '');
    const tls = connectTls({ port: world.port('imaps'), host: '127.0.0.1', ca, servername: 'localhost' });
    const peer = new Peer(tls);
    await peer.reads(/a ready/);
    assert.equal(tls.authorized, true);
    peer.close();
  });

  it('ends an idle client in a pause, and one in the middle of a command not before the drain is over', async () => {
    await open('a');
    const idle = await logIn();
    const busy = await logIn();
    busy.client.write('x APPEND INBOX {10}\r\n');
    await busy.client.reads(/\+ OK/);
    await systemClock.sleep(100);
    const start = systemClock.monotonicMs();
    const run = open('b');
    await idle.client.ends();
    const idleMs = systemClock.monotonicMs() - start;
    assert.equal(busy.client.ended, false);
    assert.equal(await leadsTo(world.port('imap')), 'b');
    const outcome = await run;
    const busyMs = systemClock.monotonicMs() - start;
    assert.ok(idleMs < 900, `idle client: ${idleMs} ms`);
    assert.ok(busyMs >= 1_000, `busy client: ${busyMs} ms`);
    assert.deepEqual([outcome.clientsMoved, outcome.clientsCut], [1, 1]);
    await busy.client.ends();
    assert.equal((await logIn()).server, 'b');
  });

  it('lets a delivery end before the connection is cut', async () => {
    await open('a');
    const lmtp = await Peer.to(world.port('lmtp'));
    await lmtp.reads(/220 .*\r\n/);
    lmtp.write(`LHLO test\r\nMAIL FROM:<x@example.test>\r\nRCPT TO:<${world.a.accounts[0]}>\r\nDATA\r\n`);
    await lmtp.reads(/354.*\r\n/);
    const run = open('b');
    await systemClock.sleep(300);
    lmtp.write('Subject: in the middle of a move\r\n\r\nhello\r\n.\r\n');
    await lmtp.reads(/250 2.0.0.*Saved\r\n/);
    await lmtp.ends();
    assert.deepEqual([(await run).clientsCut], [0]);
  });

  it('holds: clients wait and then reach the new server', async () => {
    await open('a');
    const old = await logIn();
    await door().run({ mode: 'hold', server: 'b' });
    await old.client.ends();
    const waiting = await Promise.all(Array.from({ length: 20 }, () => Peer.to(world.port('imap'))));
    await until('all to wait', async () =>
      (await statsOf(world.config)).listeners[0]?.waiting === 20 ? true : undefined,
    );
    assert.ok(waiting.every(({ text, ended }) => text === '' && !ended));
    await open('b');
    for (const client of waiting) {
      await client.reads(/OK .*b ready/);
      client.close();
    }
  });

  it('closes: clients are cut at once, also in the middle, and new ones are told to come again', async () => {
    await open('a');
    const { client } = await logIn();
    client.write('x APPEND INBOX {10}\r\n');
    await client.reads(/\+ OK/);
    const outcome = await door().run({ mode: 'closed' });
    assert.equal(outcome.clientsCut, 1);
    await client.ends();
    const words = { imap: '* BYE [UNAVAILABLE]', pop3: '-ERR [SYS/TEMP]', lmtp: '421 4.3.2', imaps: '' };
    for (const [service, start] of Object.entries(words)) {
      const refused = await Peer.to(world.port(service));
      await refused.ends();
      assert.ok(refused.text.startsWith(start), refused.text);
      assert.equal(refused.text === '', start === '');
    }
  });

  for (const state of [
    { mode: 'closed' },
    { mode: 'hold', server: 'b' },
    { mode: 'open', server: 'b' },
  ] as const) {
    it(`killed and started again, is ${state.mode} as before`, async () => {
      await open('a');
      await door().run(state);
      await kill9(await proxyPid());
      assert.equal(await door().state(), undefined);
      await ensureProxy(world.config, PAIR, deps);
      assert.deepEqual(await door().state(), state);
      assert.equal(await leadsTo(world.port('imap')), state.mode === 'open' ? 'b' : undefined);
    });
  }

  it('killed between writing its state down and acting on it, does not lead to the fenced server again', async () => {
    for (const point of ['rehome.proxy.remembered', 'rehome.proxy.steered']) {
      await open('a');
      await stopProxy(world.config, PAIR, deps);
      process.env['UNDERSTUDY_CRASH_AT'] = point;
      await ensureProxy(world.config, PAIR, deps).finally(() => delete process.env['UNDERSTUDY_CRASH_AT']);
      const control = new Peer(connect(join(world.config.dataDir, 'doors', `${PAIR}.sock`)));
      control.write(`${JSON.stringify({ do: 'set', state: { mode: 'closed' }, targets: {} })}\n`);
      await control.ends();
      assert.equal(control.text, '');
      assert.equal(await door().state(), undefined);
      assert.equal(await door().isDone({ mode: 'closed' }), true, point);
      await ensureProxy(world.config, PAIR, deps);
      assert.equal(await leadsTo(world.port('imap')), undefined);
      assert.equal(await door().isDone({ mode: 'closed' }), true);
    }
  });

  it('killed at any moment of a fence: once that is done, nobody reaches the fenced server', async () => {
    const random = new Random('killed at any moment');
    for (let round = 0; round < 8; round += 1) {
      await open('a');
      const pid = await proxyPid();
      let over = false;
      let fenced = false;
      const reached: string[] = [];
      const clients = Array.from({ length: 4 }, async () => {
        while (!over) {
          const begunFenced = fenced;
          const server = await leadsTo(world.port('imap'));
          if (begunFenced && server !== undefined) reached.push(server);
        }
      });
      await systemClock.sleep(20);
      const [outcome] = await Promise.all([
        door().run({ mode: 'closed' }),
        systemClock.sleep(random.integer(0, 15)).then(() => process.kill(pid, 'SIGKILL')),
      ]);
      fenced = true;
      await ensureProxy(world.config, PAIR, deps);
      await systemClock.sleep(100);
      over = true;
      await Promise.all(clients);
      assert.ok(outcome.elapsedMs >= 0);
      assert.deepEqual(reached, [], `round ${round}`);
      assert.equal(await door().isDone({ mode: 'closed' }), true);
    }
  });

  it('killed while it is told, is told again', async () => {
    await open('a');
    await stopProxy(world.config, PAIR, deps);
    process.env['UNDERSTUDY_CRASH_AT'] = 'rehome.proxy.remembered';
    await ensureProxy(world.config, PAIR, deps).finally(() => delete process.env['UNDERSTUDY_CRASH_AT']);
    await open('b');
    assert.equal(await leadsTo(world.port('imap')), 'b');
  });

  it('that does not run is started in the wanted state, never in the remembered one', async () => {
    await open('a');
    await stopProxy(world.config, PAIR, deps);
    await door().run({ mode: 'closed' });
    assert.equal(await leadsTo(world.port('imap')), undefined);
    const log = readFileSync(join(world.config.dataDir, 'doors', `${PAIR}.log`), 'utf8')
      .trim()
      .split('\n');
    const begun = log.filter((line) => line.includes('front door open')).at(-1) ?? '{}';
    assert.deepEqual(JSON.parse(begun).state, { mode: 'closed' });
  });

  it('says who has its port', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await until('to listen', () => (holder.listening ? true : undefined));
    const { port } = holder.address() as { port: number };
    const config = await world.configure(
      `    { live: a, standby: b, rehome: [{ kind: proxy, listen: "127.0.0.1:${port}", to: imap }] }`,
      'taken',
    );
    const other = { ...config, dataDir: join(world.folder, 'other') };
    // The file is what the new process reads.
    writeFileSync(config.file, readFileSync(config.file, 'utf8').replace('dataDir: data', 'dataDir: other'));
    try {
      await assert.rejects(ensureProxy(other, PAIR, deps), (error: unknown) => {
        assert.ok(hasCode(error, 'REHOME_PORT_IN_USE'));
        assert.match(error.message, new RegExp(`process ${process.pid} `));
        return true;
      });
    } finally {
      holder.close();
    }
  });

  it('does not guess when what it remembers is damaged', async () => {
    await stopProxy(world.config, PAIR, deps);
    const file = join(world.config.dataDir, 'doors', `${PAIR}.json`);
    writeFileSync(file, '{"mode":"op');
    await assert.rejects(ensureProxy(world.config, PAIR, deps), (error) =>
      hasCode(error, 'REHOME_STATE_DAMAGED'),
    );
    rmSync(file);
    await open('a');
  });

  it('waits for a server that does not answer, and finds it when it does', async () => {
    await open('a');
    await world.a.kill9();
    const client = await Peer.to(world.port('imap'));
    await systemClock.sleep(300);
    assert.equal(client.ended, false);
    assert.match((await statsOf(world.config)).listeners[0]?.problem ?? '', /ECONNREFUSED/);
    await world.a.restart();
    await client.reads(/OK .*a ready/);
    client.close();
  });
});

describe('PROXY protocol', { skip }, () => {
  let world: World;
  before(async () => {
    world = await startWorld(`    live: a2
    standby: b2
    rehome:
      - { kind: proxy, listen: "127.0.0.1:{imap}", to: imap, proxyProtocol: true }
`);
    await ensureProxy(world.config, PAIR, deps);
  });
  after(() => world?.stop());

  it('tells the server the address of the client', async () => {
    const client = await Peer.to(world.port('imap'), '127.44.55.66');
    await client.reads(/a ready/);
    const account = world.a.accounts[0] ?? '';
    client.write(`l LOGIN ${account} ${world.a.accountPassword(account)}\r\n`);
    await client.reads(/l OK.*\r\n/);
    await until('the login in the log', () =>
      /Login: user=<user0001>.*rip=127\.44\.55\.66/.test(world.a.log()) ? true : undefined,
    );
    client.close();
  });

  it('over IPv6, too', async (t) => {
    const config = await world.configure(
      '    { live: a2, standby: b2, rehome: [{ kind: proxy, listen: "[::1]:{six}", to: imap, proxyProtocol: true }] }',
      'six',
    );
    writeFileSync(config.file, readFileSync(config.file, 'utf8').replace('dataDir: data', 'dataDir: six'));
    const six = loadConfig(config.file);
    try {
      await ensureProxy(six, PAIR, deps);
    } catch (error) {
      if (!hasCode(error, 'REHOME_ADDRESS_ABSENT')) throw error;
      t.skip('this machine has no ::1');
      return;
    }
    try {
      const client = new Peer(connect(world.port('six'), '::1'));
      await client.reads(/a ready/);
      client.close();
      await until('the address in the log', () =>
        /rip=::1, lip=::1/.test(world.a.log()) ? true : undefined,
      );
    } finally {
      await stopProxy(six, PAIR, deps);
    }
  });
});
