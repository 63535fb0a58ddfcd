/** Goal: no client, server or disk brings the front door to do more than it may. Method: real sockets, bytes counted. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { ServiceName } from '../../config/index.ts';
import { hasCode, type Log, silentLog, systemClock } from '../../lib/index.ts';
import type { DoorState } from '../types.ts';
import { FrontDoor } from './front-door.ts';
import { type DoorLimits, doorLimits } from './limits.ts';

const clock = systemClock;

/** A server that greets, then does what the test says. */
async function backend(t: TestContext, serve: (socket: Socket) => void = () => {}) {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.write('* OK ready\r\n');
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as { port: number }).port, sockets, server };
}

interface DoorOptions {
  readonly to?: ServiceName;
  readonly maxConnections?: number;
  readonly drain?: number;
  readonly limits?: Partial<DoorLimits>;
  readonly initial?: DoorState;
  readonly remember?: (state: DoorState) => Promise<void>;
  readonly log?: Log;
}

async function frontDoor(t: TestContext, port: number, options: DoorOptions = {}) {
  const { to = 'imap', maxConnections = 100, drain = 200, limits = {} } = options;
  const targets = { [to]: { host: '127.0.0.1', port } };
  const door = new FrontDoor({
    entries: [{ listen: { host: '127.0.0.1', port: 0 }, to, proxyProtocol: false, maxConnections, drain }],
    limits: { ...doorLimits, ...limits },
    clock,
    log: options.log ?? silentLog,
    initial: options.initial ?? { mode: 'open', server: 'a' },
    targets,
    remember: options.remember ?? (async () => {}),
  });
  await door.listen();
  t.after(() => door.close());
  const stats = () => {
    const [listener] = door.stats().listeners;
    assert.ok(listener);
    return listener;
  };
  return { door, targets, stats, port: stats().listen.port };
}

function client(t: TestContext, port: number) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const peer = { socket, text: '', ended: false };
  socket.setEncoding('latin1').on('data', (text: string) => {
    peer.text += text;
  });
  socket.on('error', () => {});
  for (const event of ['end', 'close']) {
    socket.on(event, () => {
      peer.ended = true;
    });
  }
  t.after(() => socket.destroy());
  return peer;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const start = clock.monotonicMs();
  while (!holds()) {
    if (clock.monotonicMs() - start > 10_000) throw new Error(`waited in vain: ${what}`);
    await clock.sleep(5);
  }
}

test('more clients than maxConnections wait until others leave', async (t) => {
  const { port: to } = await backend(t, (socket) => socket.resume().on('end', () => socket.end()));
  const { port, stats } = await frontDoor(t, to, { maxConnections: 2 });
  const clients = [client(t, port), client(t, port), client(t, port)];
  await until('two are served', () => stats().connected === 2 && stats().waiting === 1);
  await clock.sleep(100);
  const [first, waiting] = [clients.find(({ text }) => text !== ''), clients.find(({ text }) => text === '')];
  assert.ok(first && waiting);
  first.socket.destroy();
  await until('the third is served', () => waiting.text === '* OK ready\r\n');
  assert.equal(stats().connected, 2);
});

test('a held client waits for a time only; then it is told to come again', async (t) => {
  const { port: to } = await backend(t);
  const { port, stats } = await frontDoor(t, to, {
    limits: { heldMs: 200 },
    initial: { mode: 'hold', server: 'a' },
  });
  const held = client(t, port);
  await clock.sleep(100);
  assert.equal(held.ended, false);
  await until('it is refused', () => held.ended);
  assert.match(held.text, /^\* BYE \[UNAVAILABLE\]/);
  assert.deepEqual([stats().refused, stats().waiting], [1, 0]);
});

test('more than a certain number do not wait', async (t) => {
  const { port: to } = await backend(t);
  const { port, stats } = await frontDoor(t, to, {
    to: 'lmtp',
    limits: { waiting: 3 },
    initial: { mode: 'hold', server: 'a' },
  });
  const clients = Array.from({ length: 5 }, () => client(t, port));
  await until('two are refused', () => clients.filter(({ ended }) => ended).length === 2);
  assert.equal(stats().waiting, 3);
  assert.ok(clients.filter(({ ended }) => ended).every(({ text }) => text.startsWith('421 4.3.2 ')));
});

test('a waiting client that goes leaves no trace', async (t) => {
  const { port: to, sockets } = await backend(t);
  const { port, stats, door, targets } = await frontDoor(t, to, { initial: { mode: 'hold', server: 'a' } });
  const peers = Array.from({ length: 5 }, () => client(t, port));
  await until('all wait', () => stats().waiting === 5);
  for (const [index, { socket }] of peers.entries()) {
    if (index % 2 === 0) socket.resetAndDestroy();
    else socket.end();
  }
  await until('none waits', () => stats().waiting === 0);
  await door.set({ mode: 'open', server: 'a' }, targets);
  await clock.sleep(50);
  assert.equal(sockets.size, 0);
});

test('what a client says before it has a server reaches the server, once and first', async (t) => {
  let said = '';
  const { port: to } = await backend(t, (socket) => {
    socket.setEncoding('latin1').on('data', (text) => {
      said += text;
    });
  });
  const { port, stats, door, targets } = await frontDoor(t, to, { initial: { mode: 'hold', server: 'a' } });
  const peer = client(t, port);
  peer.socket.write('early ');
  await until('it waits', () => stats().waiting === 1);
  const much = 'x'.repeat(3_000_000);
  peer.socket.write(much);
  await clock.sleep(100);
  await door.set({ mode: 'open', server: 'a' }, targets);
  peer.socket.end(' late');
  await until('all is there', () => said.length >= much.length + 11);
  assert.equal(said, `early ${much} late`);
});

test('a server that is dead is tried by one client for all, and each is told to come again in time', async (t) => {
  let attempts = 0;
  const dead = await backend(t, (socket) => socket.destroy());
  const { port: to } = dead;
  dead.server.close();
  const { port, stats } = await frontDoor(t, to, { limits: { unansweredMs: 400, retryMs: 20 } });
  const clients = Array.from({ length: 50 }, () => client(t, port));
  await until('it is known', () => stats().problem !== undefined);
  const again = createServer((socket) => {
    attempts += 1;
    socket.on('error', () => {});
  });
  await until('all are refused', () => clients.every(({ ended }) => ended));
  assert.ok(clients.every(({ text }) => text.startsWith('* BYE')));
  assert.match(stats().problem ?? '', /ECONNREFUSED/);
  again.listen(to, '127.0.0.1');
  await once(again, 'listening');
  t.after(() => again.close());
  const late = client(t, port);
  await until('it is served', () => stats().connected === 1);
  assert.equal(attempts, 1);
  assert.equal(stats().problem, undefined);
  late.socket.destroy();
});

test('a server that takes no connection is given up after the time for one', async (t) => {
  // An address for documentation (RFC 5737): nobody is there.
  const silent = '192.0.2.1';
  const { port, stats, door } = await frontDoor(t, 9, {
    limits: { connectMs: 200, unansweredMs: 700 },
    initial: { mode: 'hold', server: 'a' },
  });
  void door.set({ mode: 'open', server: 'b' }, { imap: { host: silent, port: 9 } });
  const peer = client(t, port);
  await until('it is refused', () => peer.ended);
  assert.match(peer.text, /^\* BYE/);
  assert.ok(stats().problem !== undefined);
});

test('a client that reads slowly slows the server down; nothing piles up in between', async (t) => {
  let written = 0;
  const chunk = Buffer.alloc(65_536, 'y');
  const { port: to } = await backend(t, (socket) => {
    const more = () => {
      while (!socket.destroyed) {
        written += chunk.length;
        if (!socket.write(chunk)) return;
      }
    };
    socket.on('drain', more);
    more();
  });
  const { port, stats } = await frontDoor(t, to);
  const peer = client(t, port);
  await until('bytes come', () => peer.text.length > 0);
  peer.socket.pause();
  await clock.sleep(300);
  const before = written;
  await clock.sleep(300);
  assert.equal(written, before, 'the server was not slowed down');
  assert.ok(before < 64 * 1024 * 1024, `${before} bytes`);
  peer.text = '';
  peer.socket.resume();
  await until('it goes on', () => written > before + 20_000_000);
  assert.ok(stats().bytesToClients > 10_000_000);
});

test('one side may end first: what the other still says arrives', async (t) => {
  const { port: to } = await backend(t, (socket) => {
    socket.on('data', () => {});
    socket.on('end', () => {
      void clock.sleep(100).then(() => socket.end('the whole answer\r\n'));
    });
  });
  const { port, stats } = await frontDoor(t, to);
  const peer = client(t, port);
  peer.socket.end('a question\r\n');
  await until('the answer', () => peer.ended);
  assert.equal(peer.text, '* OK ready\r\nthe whole answer\r\n');
  await until('nothing is left', () => stats().connected === 0);
});

test('a side that ended and is never answered is not kept for ever', async (t) => {
  const { port: to } = await backend(t, (socket) => socket.resume());
  const { port, stats } = await frontDoor(t, to, { limits: { halfClosedMs: 100 } });
  const peer = client(t, port);
  await until('it is served', () => peer.text !== '');
  peer.socket.end();
  await until('it is cut', () => stats().connected === 0 && stats().cut === 1);
});

test('a state that cannot be written down: closed and held all the same, but not opened', async (t) => {
  let full = false;
  const { port: to } = await backend(t);
  const { port, door, targets, stats } = await frontDoor(t, to, {
    remember: async () => {
      if (full) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    },
  });
  const peer = client(t, port);
  await until('it is served', () => peer.text !== '');
  full = true;
  const notKept = (error: unknown) => hasCode(error, 'REHOME_STATE_NOT_KEPT');
  await assert.rejects(door.set({ mode: 'closed' }, {}), notKept);
  assert.deepEqual([door.state.mode, stats().connected, door.stats().remembered], ['closed', 0, false]);
  await assert.rejects(door.set({ mode: 'open', server: 'a' }, targets), notKept);
  assert.equal(door.state.mode, 'closed');
  full = false;
  await door.set({ mode: 'open', server: 'a' }, targets);
  assert.equal(door.stats().remembered, true);
});

test('an order that failed for whatever reason does not fail the next', async (t) => {
  let full = true;
  const fails = () => {
    if (full) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  };
  const { port: to } = await backend(t);
  const { door } = await frontDoor(t, to, {
    remember: async () => fails(),
    log: { ...silentLog, error: fails },
  });
  await assert.rejects(door.set({ mode: 'closed' }, {}), { code: 'ENOSPC' });
  full = false;
  await door.set({ mode: 'closed' }, {});
  assert.deepEqual([door.state.mode, door.stats().remembered], ['closed', true]);
});

test('a client whose server breaks off is without one, and is not kept for ever', async (t) => {
  const { port: to, sockets } = await backend(t);
  const { door, port, stats } = await frontDoor(t, to);
  const begun = clock.wallMs();
  const peer = client(t, port);
  await until('it is served', () => peer.text !== '');
  for (const socket of sockets) socket.resetAndDestroy();
  await until('it is told', () => peer.ended);
  await until('it does not count', () => stats().connected === 0);
  assert.equal(door.outages(begun, clock.wallMs()).away, 1);
  let isClosed = false;
  peer.socket.once('close', () => {
    isClosed = true;
  });
  // Who has heard the end already learns only by saying something.
  await until('it is cut', () => {
    peer.socket.write('x');
    return isClosed;
  });
  const logout = client(t, port);
  await until('the next is served', () => logout.text !== '');
  assert.equal(door.outages(begun, clock.wallMs()).away, 0);
});

test('a later order overtakes an earlier one, which is told so', async (t) => {
  const { port: to } = await backend(t, (socket) => socket.resume());
  const { port, door, targets, stats } = await frontDoor(t, to, { drain: 5_000 });
  const peer = client(t, port);
  await until('it is served', () => peer.text !== '');
  peer.socket.write('x FETCH 1:* BODY[]\r\n');
  await until('it is busy', () => stats().bytesFromClients > 0);
  const held = door.set({ mode: 'hold', server: 'b' }, {});
  await clock.sleep(50);
  await door.set({ mode: 'closed' }, targets);
  await assert.rejects(held, (error) => hasCode(error, 'REHOME_OVERTAKEN'));
  assert.equal(stats().connected, 0);
  await until('it is cut', () => peer.ended);
});

test('an orderly end drains: a pause ends a client at once', async (t) => {
  const { port: to } = await backend(t);
  const { port, door } = await frontDoor(t, to, { drain: 5_000 });
  const peer = client(t, port);
  await until('it is served', () => peer.text !== '');
  await clock.sleep(60);
  const start = clock.monotonicMs();
  assert.deepEqual(await door.drain(), { drained: 1, cut: 0 });
  assert.ok(clock.monotonicMs() - start < 1_000);
});

test('each client is told with the time that it was without a server', async (t) => {
  const a = await backend(t);
  const b = await backend(t);
  const { door, port } = await frontDoor(t, a.port, { drain: 20 });
  const before = clock.wallMs();
  const first = client(t, port);
  await until('it is greeted', () => first.text.includes('ready'));
  assert.equal(door.outages(before, clock.wallMs()).measured, 0);

  await door.set({ mode: 'hold', server: 'b' }, {});
  await until('it is ended', () => first.ended);
  const again = client(t, port);
  const held = clock.wallMs();
  await until('it waits', () => door.outages(before, clock.wallMs()).away === 1);
  await clock.sleep(60);
  const opened = clock.wallMs();
  await door.set({ mode: 'open', server: 'b' }, { imap: { host: '127.0.0.1', port: b.port } });
  await until('it is greeted by the other', () => again.text.includes('ready'));

  const outages = door.outages(before, opened);
  assert.deepEqual([outages.measured, outages.away], [1, 0]);
  const [only] = outages.longest;
  assert.deepEqual([only?.client, only?.to], ['127.0.0.1', 'imap']);
  assert.ok(
    (only?.at ?? 0) <= held && (only?.ms ?? 0) >= opened - held,
    JSON.stringify({ only, held, opened }),
  );
  assert.equal(outages.longestMs, only?.ms);
  assert.equal(door.outages(before, before - 1).measured, 0, 'what began later is left out');
});
