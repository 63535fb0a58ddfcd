/**
 * The front door next to a direct connection and to HAProxy: connections, round trips, throughput, memory; then how fast
 * clients follow when it is told another server.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type Config, loadConfig } from '../src/config/index.ts';
import { silentLog, systemClock } from '../src/lib/index.ts';
import { ensureProxy, rehomesOf, stopProxy } from '../src/rehome/index.ts';
import { freePort } from '../tests/lab/address.ts';
import { requirePackages } from '../tests/lab/packages.ts';
import { readFlags } from './lib/flags.ts';
import { memoryOf, startProgram } from './lib/processes.ts';
import { Report } from './lib/report.ts';
import { onStage, type Stage } from './lib/stage.ts';
import { highest, median, percentile } from './lib/statistics.ts';

const flags = readFlags('The front door next to a direct connection and to HAProxy.', {
  connects: { default: 3_000, what: 'Connections that are opened, greeted and closed.' },
  pings: { default: 5_000, what: 'Round trips on one connection.' },
  megabytes: { default: 1_024, what: 'MB that come through, over four connections.' },
  clients: { default: 5_000, what: 'Connections that are held at once.' },
  moves: { default: 20, what: 'How often clients are moved.' },
});

const PAIR = 'bench';
const deps = {
  clock: systemClock,
  log: silentLog,
  entry: pathToFileURL(join(import.meta.dirname, '..', 'tests', 'rehome', 'proxy-entry.ts')),
};
const report = new Report('door', flags);

interface Front {
  readonly name: string;
  readonly port: number;
  readonly pid?: number;
}

await onStage('door', async (stage) => {
  const [a, b] = [await backend(stage, 'a'), await backend(stage, 'b')];
  const { config, port, pid } = await startDoor(stage, a, b);
  const fronts: Front[] = [
    { name: 'direct', port: a },
    { name: 'front door', port, pid },
    ...(await haproxy(stage, a)),
  ];
  const rows = [];
  for (const front of fronts) rows.push([front.name, ...(await measure(front))]);
  report.table(
    'through',
    [
      '',
      'connections/s',
      'greeting p50 ms',
      'p99',
      'round trip p50 ms',
      'p99',
      'MB/s',
      'held',
      'RSS MiB with them',
    ],
    rows,
  );
  await move(config, port);
  await fence(config, port);
  report.finish();
});

async function backend(stage: Stage, name: string): Promise<number> {
  const worker = new Worker(new URL('./lib/door-backend.ts', import.meta.url), { workerData: name });
  stage.after(async () => {
    await worker.terminate();
  });
  const [port] = await once(worker, 'message');
  return port as number;
}

async function startDoor(stage: Stage, a: number, b: number) {
  const port = await freePort();
  const file = join(stage.folder, 'understudy.yaml');
  const server = (to: number) => `{ workload: mail, host: 127.0.0.1, imap: { port: ${to}, security: none } }`;
  writeFileSync(
    file,
    `dataDir: data
servers:
  a: ${server(a)}
  b: ${server(b)}
pairs:
  ${PAIR}: { live: a, standby: b, rehome: [{ kind: proxy, listen: "127.0.0.1:${port}", to: imap }] }
`,
  );
  const config = loadConfig(file);
  const { pid } = await ensureProxy(config, PAIR, deps);
  stage.after(async () => {
    await stopProxy(config, PAIR, deps);
  });
  return { config, port, pid };
}

async function haproxy(stage: Stage, to: number): Promise<Front[]> {
  const missing = requirePackages(['haproxy']);
  if (missing !== undefined) {
    report.say(`without HAProxy: ${missing}`);
    return [];
  }
  const port = await freePort();
  const file = join(stage.folder, 'haproxy.cfg');
  writeFileSync(
    file,
    `global
  maxconn ${flags.clients + 1_000}
defaults
  mode tcp
  timeout connect 2s
  timeout client 30m
  timeout server 30m
frontend imap
  bind 127.0.0.1:${port} backlog 4096
  default_backend imap
backend imap
  server live 127.0.0.1:${to}
`,
  );
  const child = startProgram('/usr/sbin/haproxy', ['-db', '-f', file]);
  stage.after(() => {
    child.kill('SIGKILL');
  });
  await delay(500);
  return [{ name: 'HAProxy', port, ...(child.pid === undefined ? {} : { pid: child.pid }) }];
}

async function measure(front: Front): Promise<(string | number)[]> {
  report.say(front.name);
  const greetings: number[] = [];
  const connectsStart = performance.now();
  await concurrently(32, flags.connects, async () => {
    const start = performance.now();
    const { socket } = await greeted(front.port);
    greetings.push(performance.now() - start);
    socket.destroy();
  });
  const connectsPerSecond = (flags.connects * 1_000) / (performance.now() - connectsStart);
  const trips = await roundTrips(front.port);
  const megabytesPerSecond = await throughput(front.port);
  const held: Socket[] = [];
  await concurrently(64, flags.clients, async () => {
    held.push((await greeted(front.port)).socket);
  });
  const rssBytes = front.pid === undefined ? undefined : memoryOf(front.pid).rssBytes;
  for (const socket of held) socket.destroy();
  await delay(500);
  return [
    connectsPerSecond,
    median(greetings),
    percentile(greetings, 99),
    median(trips),
    percentile(trips, 99),
    megabytesPerSecond,
    held.length,
    rssBytes === undefined ? '-' : rssBytes / 1_048_576,
  ];
}

async function roundTrips(port: number): Promise<number[]> {
  const { socket } = await greeted(port);
  const trips: number[] = [];
  for (let trip = 0; trip < flags.pings; trip += 1) {
    const start = performance.now();
    socket.write('PING\r\n');
    await once(socket, 'data');
    trips.push(performance.now() - start);
  }
  socket.destroy();
  return trips;
}

async function throughput(port: number): Promise<number> {
  const each = (flags.megabytes / 4) * 1e6;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      const { socket } = await greeted(port);
      let left = each;
      await new Promise<void>((resolve) => {
        socket.on('data', (bytes) => {
          left -= bytes.length;
          if (left <= 0) resolve();
        });
        socket.write(`GIVE ${each}\r\n`);
      });
      socket.destroy();
    }),
  );
  return (flags.megabytes * 1_000) / (performance.now() - start);
}

/** Clients idle, and new ones come one after the other; then the door is told the other server. */
async function move(config: Config, port: number): Promise<void> {
  const routeMs: number[] = [];
  const endedMs: number[] = [];
  const runMs: number[] = [];
  const rehome = rehomesOf(config, PAIR, deps)[0];
  if (rehome === undefined) throw new Error('no front door');
  const clients = Math.min(1_000, flags.clients);
  for (let time = 0; time < flags.moves; time += 1) {
    const to = time % 2 === 0 ? 'b' : 'a';
    let left = clients;
    let lastEndMs = 0;
    let start = Number.POSITIVE_INFINITY;
    await concurrently(64, clients, async () => {
      const { socket } = await greeted(port);
      socket.on('end', () => {
        left -= 1;
        lastEndMs = performance.now();
      });
    });
    await delay(200);
    start = performance.now();
    const run = rehome.run({ mode: 'open', server: to }).then(() => {
      runMs.push(performance.now() - start);
    });
    for (;;) {
      const { socket, name } = await greeted(port);
      socket.destroy();
      if (name === to) break;
    }
    routeMs.push(performance.now() - start);
    await run;
    while (left > 0) await delay(1);
    endedMs.push(lastEndMs - start);
  }
  report.table(
    `moved ${flags.moves} times, with ${clients} idle clients`,
    ['ms', 'p50', 'worst'],
    [
      ['a new client reaches the other server', median(routeMs), highest(routeMs)],
      ['the last idle client was ended', median(endedMs), highest(endedMs)],
      ['`run` returns', median(runMs), highest(runMs)],
    ],
  );
  report.figure('routeChangeMs', routeMs);
  report.bar('route change, median', median(routeMs), '≤', 100, 'ms');
}

/** All clients are held, cut by a fence, and come again at once when the door opens to the other server. */
async function fence(config: Config, port: number): Promise<void> {
  const rehome = rehomesOf(config, PAIR, deps)[0];
  if (rehome === undefined) throw new Error('no front door');
  await rehome.run({ mode: 'open', server: 'a' });
  const rows = [];
  for (const mode of ['hold', 'closed'] as const) {
    const held: Socket[] = [];
    await concurrently(64, flags.clients, async () => {
      held.push((await greeted(port)).socket);
    });
    await delay(200);
    const ends = held.map((socket) => once(socket, 'close'));
    for (const socket of held) socket.resume();
    const start = performance.now();
    await rehome.run(mode === 'hold' ? { mode, server: 'b' } : { mode });
    const doneMs = performance.now() - start;
    await Promise.all(ends);
    const endedMs = performance.now() - start;
    const opened = performance.now();
    await rehome.run({ mode: 'open', server: 'b' });
    await concurrently(256, flags.clients, async () => {
      (await greeted(port)).socket.destroy();
    });
    rows.push([mode, doneMs, endedMs, performance.now() - opened]);
    await rehome.run({ mode: 'open', server: 'a' });
  }
  report.table(
    `${flags.clients} idle clients, once each, ms`,
    ['', '`run` returns', 'last client ended', 'opened: all are greeted again'],
    rows,
  );
}

async function greeted(port: number): Promise<{ socket: Socket; name: string | undefined }> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => {}); // a cut client's `data` never comes; the bench then says so by hanging
  const [greeting] = await once(socket, 'data');
  return { socket, name: /OK (\w+)/.exec(String(greeting))?.[1] };
}

async function concurrently(workers: number, count: number, work: () => Promise<void>): Promise<void> {
  let left = count;
  await Promise.all(
    Array.from({ length: workers }, async () => {
      while (left > 0) {
        left -= 1;
        await work();
      }
    }),
  );
}
