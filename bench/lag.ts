/**
 * How long after the server's acknowledgement a change is in the journal, at a steady rate of deliveries over many
 * accounts, and what protection costs a delivery. Then, with synchronous protection, the server is killed again and
 * again in the middle of deliveries: nothing that it acknowledged may be missing.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ImapFlow } from 'imapflow';
import { createMailGenerator } from '../src/demo/mail-generator/index.ts';
import { Random } from '../src/lib/index.ts';
import { pushScript } from '../src/workloads/mail/push/index.ts';
import { freePort } from '../tests/lab/address.ts';
import { type Dovecot, startDovecot } from '../tests/lab/dovecot.ts';
import { fillDovecot } from '../tests/lab/fill.ts';
import { connectImap } from '../tests/lab/imap-check.ts';
import { connectLmtp, type LmtpClient } from '../tests/lab/lmtp.ts';
import { requirePackages } from '../tests/lab/packages.ts';
import { readFlags } from './lib/flags.ts';
import { cpuSecondsOf, cpuSecondsOfAll, until } from './lib/processes.ts';
import { Report } from './lib/report.ts';
import { onStage, type Stage } from './lib/stage.ts';
import { spread } from './lib/statistics.ts';
import { SERVER, type Service, Setup } from './lib/understudy.ts';
import { CatalogWatch } from './lib/watch-catalog.ts';

const flags = readFlags('Lag from acknowledgement to journal commit, and the cost of protection.', {
  accounts: { default: 500, what: 'Accounts.' },
  rate: { default: 50, what: 'LMTP deliveries per second, at random moments (Poisson).' },
  seconds: { default: 60, what: 'Duration of the deliveries in each mode.' },
  clients: { default: 20, what: 'IMAP clients that change flags and expunge meanwhile.' },
  changes: { default: 5, what: 'Flag changes per second, over all clients; half as many expunges.' },
  connections: { default: 20, what: 'LMTP connections that deliver.' },
  kills: { default: 20, what: 'SIGKILLs of the server under synchronous protection.' },
  doveadm: { default: 1, what: '0: without the doveadm API.' },
  modes: { default: 'off,hint,synchronous', what: 'Which modes of push to measure.' },
  shadow: {
    default: '',
    what: 'The server’s `shadow` settings, as `{ watch: 0 }`; else those of the product.',
  },
  seed: { default: 1, what: 'Seed of all that is random.' },
});

/** In each INBOX. */
const MESSAGES_AT_FIRST = 30;

type Mode = 'off' | 'hint' | 'synchronous';

const report = new Report('lag', flags);
const random = new Random(`lag ${flags.seed}`);
const generator = createMailGenerator(flags.seed);

await onStage('lag', async (stage) => {
  const missing = requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd']);
  if (missing) throw new Error(missing);
  const outcomes = new Map<Mode, Outcome>();
  for (const mode of flags.modes.split(',').filter(Boolean) as Mode[]) {
    const live = await start(stage, mode);
    report.say(`${mode}: ${flags.rate} deliveries/s for ${flags.seconds} s`);
    outcomes.set(mode, await measure(live));
    await live.stop();
  }
  tell(outcomes);
  if (flags.kills > 0) await killAgainAndAgain(await start(stage, 'synchronous'));
  report.finish();
});

interface Live {
  readonly dovecot: Dovecot;
  readonly setup: Setup;
  readonly service: Service;
  stop(): Promise<void>;
}

/** A server with accounts that have some mail, followed by a service whose first pass is over. */
async function start(stage: Stage, mode: Mode): Promise<Live> {
  const listen = `127.0.0.1:${await freePort()}`;
  const url = `http://${listen}/push/${SERVER}`;
  const dovecot = await startDovecot({
    accounts: flags.accounts,
    ...(mode === 'off' ? {} : { push: { url, script: pushScript({ url, timeoutMs: 2_500 }) } }),
  });
  stage.after(() => dovecot.stop());
  await fillDovecot(dovecot, {
    messages: flags.accounts * MESSAGES_AT_FIRST,
    mailboxes: ['INBOX'],
    approxBytes: 3_000,
    pool: 200,
  });
  const folder = join(stage.folder, `${mode}-${listen.replace(/.*:/, '')}`);
  mkdirSync(folder);
  const setup = new Setup(folder, dovecot, {
    doveadm: flags.doveadm === 1,
    listen,
    serverLines: [
      ...(mode === 'off' ? [] : [`push: { mode: ${mode} }`]),
      ...(flags.shadow === '' ? [] : [`shadow: ${flags.shadow}`]),
    ],
  });
  const service = await setup.service();
  stage.after(() => service.stop());
  await following(service);
  return {
    dovecot,
    setup,
    service,
    stop: async () => {
      await service.stop();
      await dovecot.stop();
    },
  };
}

function following(service: Service): Promise<true> {
  return until(
    'the service follows',
    async () => {
      const { servers } = (await service.call('status', {})) as { servers?: { state: string }[] };
      return servers?.[0]?.state === 'following' ? true : undefined;
    },
    { withinMs: 600_000, everyMs: 100 },
  );
}

interface Outcome {
  readonly deliveryMs: readonly number[];
  readonly lags: Readonly<Record<'delivery' | 'flags' | 'expunge', readonly number[]>>;
  readonly missing: number;
  readonly failOpen: number;
  readonly serverCpu: number;
  readonly ownCpu: number;
}

async function measure({ dovecot, setup, service }: Live): Promise<Outcome> {
  const watch = new CatalogWatch(setup.vaultDir);
  const lmtp = await connectLmtp({
    host: dovecot.address,
    port: dovecot.lmtpPort,
    connections: flags.connections,
  });
  const clients = await Promise.all(
    random
      .shuffled(dovecot.accounts)
      .slice(0, flags.clients)
      .map((account) => openClient(dovecot, account)),
  );
  const cpuBefore = { server: cpuSecondsOfAll(dovecot.processIds()), own: cpuSecondsOf(service.pid).own };
  const deliveryMs: number[] = [];
  const under: Promise<unknown>[] = [];
  await Promise.all([
    atRandom(flags.rate, flags.seconds, () => {
      under.push(deliver(lmtp, dovecot, watch).then((ms) => deliveryMs.push(ms)));
    }),
    atRandom(flags.changes, flags.seconds, () => {
      under.push(changeFlags(random.pick(clients), watch));
    }),
    atRandom(flags.changes / 2, flags.seconds, () => {
      under.push(expunge(random.pick(clients), watch));
    }),
  ]);
  await Promise.all(under);
  const serverCpu = cpuSecondsOfAll(dovecot.processIds()) - cpuBefore.server;
  const ownCpu = cpuSecondsOf(service.pid).own - cpuBefore.own;
  // Without push the sweep finds the last ones.
  const missing = await watch.drain(90_000);
  if (missing.length > 0) {
    report.say(`not in the journal: ${JSON.stringify(missing.slice(0, 5))}`);
    report.say(JSON.stringify(await service.call('status', {})).slice(0, 1_000));
    report.say(service.said());
  }
  const failOpen = (await service.metrics()).get('understudy_push_fail_open_total') ?? 0;
  await Promise.all(clients.map(({ imap }) => imap.logout()));
  await lmtp.close();
  await watch.stop();
  const lags = {
    delivery: watch.lags('delivery'),
    flags: watch.lags('flags'),
    expunge: watch.lags('expunge'),
  };
  return { deliveryMs, lags, missing: missing.length, failOpen, serverCpu, ownCpu };
}

/** Calls `act` at moments of a Poisson process. */
async function atRandom(perSecond: number, seconds: number, act: () => void): Promise<void> {
  const start = performance.now();
  for (let atMs = 0; ; ) {
    atMs += (-Math.log(1 - random.float()) / perSecond) * 1_000;
    if (atMs > seconds * 1_000) return;
    const restMs = start + atMs - performance.now();
    if (restMs > 0) await delay(restMs);
    act();
  }
}

/** Resolves with the ms from the first byte of the envelope to the 250. */
async function deliver(lmtp: LmtpClient, dovecot: Dovecot, watch: CatalogWatch): Promise<number> {
  const account = random.pick(dovecot.accounts);
  const { raw, messageId } = generator.message({ to: `${account}@example.org` });
  const acknowledged = watch.expect({ kind: 'delivery', account, messageId });
  const start = performance.now();
  await lmtp.deliver(raw, [account]);
  acknowledged();
  return performance.now() - start;
}

interface Client {
  readonly account: string;
  readonly imap: ImapFlow;
  /** UIDs of messages that nobody has touched yet. */
  readonly untouched: number[];
  /** Commands are given one after the other. */
  last: Promise<unknown>;
}

async function openClient(dovecot: Dovecot, account: string): Promise<Client> {
  const imap = await connectImap({
    host: dovecot.address,
    port: dovecot.imapPort,
    user: dovecot.masterLogin(account),
    pass: dovecot.masterSecret,
  });
  await imap.mailboxOpen('INBOX');
  return {
    account,
    imap,
    untouched: Array.from({ length: MESSAGES_AT_FIRST }, (_, at) => at + 1),
    last: Promise.resolve(),
  };
}

/** A keyword that no message has, on a message of which nothing is awaited yet. */
function changeFlags(client: Client, watch: CatalogWatch): Promise<unknown> {
  const uid = client.untouched.shift();
  if (uid === undefined) return Promise.resolve();
  const acknowledged = watch.expect({ kind: 'flags', account: client.account, uid, flag: 'Bench' });
  client.last = client.last.then(async () => {
    await client.imap.messageFlagsAdd(String(uid), ['Bench'], { uid: true });
    acknowledged();
  });
  return client.last;
}

function expunge(client: Client, watch: CatalogWatch): Promise<unknown> {
  const uid = client.untouched.shift();
  if (uid === undefined) return Promise.resolve();
  const acknowledged = watch.expect({ kind: 'expunge', account: client.account, uid });
  client.last = client.last.then(async () => {
    await client.imap.messageDelete(String(uid), { uid: true });
    acknowledged();
  });
  return client.last;
}

function tell(outcomes: ReadonlyMap<Mode, Outcome>): void {
  const row = (name: string, values: readonly number[]) => {
    const { count, p50, p99, max } = spread(values);
    return [name, count, p50, p99, max];
  };
  const columns = ['', 'count', 'p50', 'p99', 'max'];
  report.table(
    'From the acknowledgement to the journal, ms (below 0: committed before it)',
    columns,
    [...outcomes].flatMap(([mode, { lags }]) => [
      row(`push ${mode}: delivery (LMTP 250)`, lags.delivery),
      row(`push ${mode}: flags (STORE OK)`, lags.flags),
      row(`push ${mode}: removal (EXPUNGE OK)`, lags.expunge),
    ]),
  );
  report.table(
    'A delivery by LMTP, from its envelope to the 250, ms',
    columns,
    [...outcomes].map(([mode, { deliveryMs }]) => row(`push ${mode}`, deliveryMs)),
  );
  report.table(
    'Over the whole time',
    ['', 'not in the journal at the end', 'let go unprotected', 'CPU s of Dovecot', 'CPU s of the service'],
    [...outcomes].map(([mode, { missing, failOpen, serverCpu, ownCpu }]) => [
      `push ${mode}`,
      missing,
      failOpen,
      serverCpu,
      ownCpu,
    ]),
  );
  report.figure('modes', Object.fromEntries(outcomes));
  const hint = outcomes.get('hint');
  if (hint) {
    for (const kind of ['delivery', 'flags', 'expunge'] as const) {
      report.bar(`lag of ${kind}, p50`, spread(hint.lags[kind]).p50, '≤', 100, 'ms');
      report.bar(`lag of ${kind}, p99`, spread(hint.lags[kind]).p99, '≤', 1_000, 'ms');
    }
  }
  for (const [mode, { missing }] of outcomes) {
    report.bar(`acknowledged and never journaled, push ${mode}`, missing, '=', 0);
  }
}

/** Each time: deliveries begin, the server dies at a random moment, and what it acknowledged is looked for at once. */
async function killAgainAndAgain({ dovecot, setup, service, stop }: Live): Promise<void> {
  const watch = new CatalogWatch(setup.vaultDir);
  let acknowledged = 0;
  const missing: string[] = [];
  const recoveryMs: number[] = [];
  for (let kill = 1; kill <= flags.kills; kill += 1) {
    const lmtp = await connectLmtp({
      host: dovecot.address,
      port: dovecot.lmtpPort,
      connections: flags.connections,
    });
    const under: Promise<unknown>[] = [];
    const delivering = atRandom(flags.rate, 3, () => {
      under.push(
        deliver(lmtp, dovecot, watch).then(
          () => {
            acknowledged += 1;
          },
          () => {
            // Not acknowledged: nothing was promised.
          },
        ),
      );
    });
    await delay(random.integer(200, 2_500));
    await dovecot.kill9();
    await delivering;
    await Promise.all(under);
    // The dead server tells nothing more; what has arrived only needs its commit.
    const lost = await watch.drain(1_000);
    for (const change of lost) missing.push(`kill ${kill}: ${JSON.stringify(change)}`);
    watch.forget();
    await lmtp.close();
    const start = performance.now();
    await dovecot.restart();
    await following(service);
    recoveryMs.push(performance.now() - start);
    report.say(`kill ${kill}: ${acknowledged} acknowledged so far, ${lost.length} missing`);
  }
  const metrics = await service.metrics();
  const failOpen = metrics.get('understudy_push_fail_open_total') ?? 0;
  await watch.stop();
  await stop();
  const { p50, max } = spread(recoveryMs);
  report.table(
    `${flags.kills} × SIGKILL of the server during deliveries, synchronous protection`,
    ['', ''],
    [
      ['deliveries acknowledged', acknowledged],
      ['of these not in the journal', missing.length],
      ['let go unprotected', failOpen],
      ['from restart to following again, median ms', p50],
      ['from restart to following again, max ms', max],
    ],
  );
  report.figure('kills', { kills: flags.kills, acknowledged, missing, failOpen, recoveryMs });
  report.bar('acknowledged by a server that was killed and not in the journal', missing.length, '=', 0);
}
