/**
 * Goal: a front door leads where the accounts are, also when it is new or has lost its memory, and serves on while nothing it says can be
 * written. Method: the command itself, with a control journal that plans have left.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadConfig } from '../../src/config/index.ts';
import { ControlJournal, controlDirOf, setRoles } from '../../src/control/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';
import { rehomesOf } from '../../src/rehome/index.ts';
import { freePort } from '../lab/address.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { deps, leadsTo, PAIR, statsOf, until } from './world.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
const NO_ROOM = '/dev/full';

async function place(t: TestContext) {
  const folder = temporaryDirectory('door-process', t).path;
  const [a, b] = await Promise.all(
    ['a', 'b'].map(async (name) => {
      const backend = createServer((socket) => {
        socket.on('error', () => {});
        socket.write(`* OK ${name} ready\r\n`);
      }).listen(0, '127.0.0.1');
      await once(backend, 'listening');
      backend.unref();
      return (backend.address() as { port: number }).port;
    }),
  );
  const port = await freePort();
  const file = join(folder, 'understudy.yaml');
  writeFileSync(
    file,
    `dataDir: data
servers:
  a: { workload: mail, host: 127.0.0.1, imap: { port: ${a}, security: none } }
  b: { workload: mail, host: 127.0.0.1, imap: { port: ${b}, security: none } }
pairs:
  ${PAIR}: { live: a, standby: b, rehome: [{ kind: proxy, listen: "127.0.0.1:${port}", to: imap }] }
`,
  );
  const config = loadConfig(file);
  const start = async (stderr: 'ignore' | number = 'ignore') => {
    const child = spawn(process.execPath, [MAIN, 'proxy', PAIR], {
      cwd: folder,
      stdio: ['ignore', 'ignore', stderr],
    });
    const exited = once(child, 'exit');
    t.after(async () => {
      child.kill('SIGKILL');
      await exited;
    });
    await until('the front door', async () => {
      if (child.exitCode !== null) throw new Error(`it ended with status ${child.exitCode}`);
      return (await statsOf(config).catch(() => undefined))?.pid === child.pid ? true : undefined;
    });
    return child;
  };
  /** What plans have left in the control journal. */
  const plans = async (work: (journal: ControlJournal) => Promise<void>) => {
    const dir = controlDirOf(config.dataDir);
    const journal = await ControlJournal.open({ dir, clock: systemClock, log: silentLog });
    await work(journal);
    await journal.close();
  };
  return { config, port, start, plans };
}

test('a door without a memory leads to the server that took over', async (t) => {
  const { port, start, plans } = await place(t);
  await plans((journal) => setRoles(journal, { pair: PAIR, acting: 'b', former: 'a', since: 1, plan: 'p' }));
  await start();
  assert.equal(await leadsTo(port), 'b');
});

/** A plan whose process was killed in the middle: `steps` of it, of which the first `begun` were begun. */
async function leave(
  journal: ControlJournal,
  kind: string,
  steps: readonly string[],
  { begun, accounts }: { begun: number; accounts?: readonly string[] },
): Promise<void> {
  await journal.append('plan', 'p', {
    e: 'begin',
    kind,
    pair: PAIR,
    sentence: 'x',
    parameters: { from: 'a', to: 'b', ...(accounts === undefined ? {} : { accounts }) },
    by: 'x',
    forced: false,
    findings: [],
    steps: steps.map((name) => ({ name, sentence: name })),
  });
  for (const step of steps.slice(0, begun)) {
    await journal.append('plan', 'p', { e: 'intent', direction: 'forward', step });
  }
}

const FAILOVER = ['assess', 'close-door', 'unbind'];
const SWITCHOVER = ['assess', 'prepare', 'hold'];

for (const [what, kind, steps, more] of [
  ['a failover that has begun to close it', 'failover', FAILOVER, { begun: 2 }],
  ['a switchover that has begun to hold people', 'switchover', SWITCHOVER, { begun: 3 }],
] as const) {
  test(`a door without a memory holds clients after ${what} and has not ended`, async (t) => {
    const { config, port, start, plans } = await place(t);
    await plans((journal) => leave(journal, kind, steps, more));
    await start();
    assert.equal(await leadsTo(port), undefined);
    assert.equal((await statsOf(config)).state.mode, 'hold');
  });
}

for (const [what, kind, steps, more] of [
  ['a failover of some accounts', 'failover', FAILOVER, { begun: 3, accounts: ['anna'] }],
  ['a switchover that prepares, for nobody was moved yet', 'switchover', SWITCHOVER, { begun: 2 }],
] as const) {
  test(`a door without a memory stays open beside ${what}`, async (t) => {
    const { config, port, start, plans } = await place(t);
    await plans((journal) => leave(journal, kind, steps, more));
    await start();
    assert.equal(await leadsTo(port), 'a');
    assert.equal((await statsOf(config)).state.mode, 'open');
  });
}

test('a door without a memory is open when what a plan did has been taken back, also before it says so', async (t) => {
  const { port, start, plans } = await place(t);
  await plans(async (journal) => {
    await leave(journal, 'switchover', SWITCHOVER, { begun: 3 });
    await journal.append('plan', 'p', { e: 'run', direction: 'back', by: 'x' });
    await journal.append('plan', 'p', { e: 'outcome', direction: 'forward', step: 'hold', result: 'undone' });
  });
  await start();
  assert.equal(await leadsTo(port), 'a');
});

test('a door whose log is on a full disk serves on, and closes', {
  skip: !existsSync(NO_ROOM),
}, async (t) => {
  const { config, port, start } = await place(t);
  const full = openSync(NO_ROOM, 'w');
  const child = await start(full);
  closeSync(full);
  assert.equal(await leadsTo(port), 'a');
  const [door] = rehomesOf(config, PAIR, deps);
  await door?.run({ mode: 'closed' });
  assert.equal(await leadsTo(port), undefined);
  await door?.run({ mode: 'open', server: 'b' });
  assert.equal(await leadsTo(port), 'b');
  assert.equal((await statsOf(config)).pid, child.pid);
});
