/**
 * Taking over. The live server is killed under clients and deliveries, and one command fails over: from the command to the first client's login and
 * FETCH, and to that of the last account, half of them through the front door, half where the directory says. Then it is taken back, and a switchover
 * follows: the longest wait of each client. Last, on fewer accounts, failovers again and again: what synchronous protection loses.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from '../src/config/index.ts';
import { type Slapd, startSlapd } from '../src/demo/directory/index.ts';
import { type Directory, ldapDirectory } from '../src/directory/index.ts';
import { silentLog, systemClock } from '../src/lib/index.ts';
import { stopProxy } from '../src/rehome/index.ts';
import { freePort } from '../tests/lab/address.ts';
import { ClientLoad, checkLedger } from '../tests/lab/client-load.ts';
import { type Dovecot, startDovecot } from '../tests/lab/dovecot.ts';
import { fillDovecot } from '../tests/lab/fill.ts';
import { requirePackages } from '../tests/lab/packages.ts';
import { run, start } from '../tests/mail/understudy.ts';
import { readFlags } from './lib/flags.ts';
import { until } from './lib/processes.ts';
import { Report } from './lib/report.ts';
import { onStage, type Stage } from './lib/stage.ts';
import { highest, median } from './lib/statistics.ts';

const flags = readFlags('Failover by command and switchover, under clients.', {
  accounts: { default: 1_000, what: 'Accounts.' },
  messages: { default: 10, what: 'Messages in each.' },
  clients: { default: 12, what: 'Clients at work all the time.' },
  rate: { default: 20, what: 'Deliveries per second.' },
  at: { default: 16, what: 'Log-ins at once, when every account is tried after the failover.' },
  switchovers: { default: 1, what: 'Switchovers of all accounts; 0 = the failover alone.' },
  repeats: { default: 3, what: 'Failovers of few accounts, to see what is lost.' },
  few: { default: 30, what: 'Accounts of those.' },
});

const PAIR = 'mail';
const MAILBOXES = ['INBOX', 'Archive', 'Drafts', 'Sent', 'Trash'];
const report = new Report('takeover', flags);

interface World {
  readonly live: Dovecot;
  readonly standby: Dovecot;
  readonly directory: Directory;
  readonly configFile: string;
  readonly imapPort: number;
  readonly lmtpPort: number;
  /** Ends it all before the bench does. */
  end(): Promise<void>;
}

interface Kept {
  readonly acknowledged: number;
  readonly lost: number;
  readonly doubled: number;
  /** Flags set and messages filed that are not so. */
  readonly undone: number;
}

/** Where the directory says that accounts are, asked once for all who wait. */
class Hosts {
  readonly #world: World;
  #known: Promise<ReadonlyMap<string, string | undefined>> | undefined;
  #askedAt = 0;

  constructor(world: World) {
    this.#world = world;
  }

  async placeOf(account: string): Promise<{ host: string; port: number } | undefined> {
    const { live, standby } = this.#world;
    const known = (await this.#known)?.get(account);
    if (known !== standby.address && performance.now() - this.#askedAt > 100) this.#ask();
    const host = (await this.#known)?.get(account);
    const server = [live, standby].find(({ address }) => address === host);
    return server === undefined ? undefined : { host: server.address, port: server.imapPort };
  }

  #ask(): void {
    this.#askedAt = performance.now();
    this.#known = this.#world.directory
      .bindings()
      .then((bindings) => new Map(bindings.map(({ account, values }) => [account, values[0]])));
  }
}

await onStage('takeover', async (stage) => {
  const missing = requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd', 'slapd']);
  if (missing) throw new Error(missing);
  await withAllAccounts(stage);
  if (flags.repeats > 0) await again(stage);
  report.finish();
});

async function withAllAccounts(stage: Stage): Promise<void> {
  const world = await begin(stage, 'all', flags.accounts);
  report.say('failover');
  const moved = await failover(world, { everyAccount: true });
  tellFailover(moved);
  let last = moved.plan;
  for (let time = 1; time <= flags.switchovers; time += 1) {
    report.say('taken back; then the standby is warm again');
    if (time === 1) await world.live.restart();
    await takeBack(world, last);
    await warm(world, flags.accounts);
    report.say('switchover');
    last = await switchover(world);
  }
  await world.end();
}

/** Failovers of few accounts with synchronous protection, each taken back: nothing that was acknowledged may be missing, or there twice. */
async function again(stage: Stage): Promise<void> {
  const world = await begin(stage, 'few', flags.few);
  const rows: (string | number)[][] = [];
  const sum = { lost: 0, doubled: 0, undone: 0 };
  for (let time = 1; time <= flags.repeats; time += 1) {
    report.say(`failover ${time} of ${flags.repeats} of ${flags.few} accounts`);
    const { kept, outages, plan } = await failover(world, { everyAccount: false });
    sum.lost += kept.lost;
    sum.doubled += kept.doubled;
    sum.undone += kept.undone;
    const { rtoMs, rpo } = plan.report;
    report.say(rpo.sentence);
    rows.push([`${time}`, kept.acknowledged, kept.lost, kept.doubled, kept.undone, highest(outages), rtoMs]);
    await world.live.restart();
    await takeBack(world, plan);
    await warm(world, flags.few);
  }
  report.table(
    `failovers of ${flags.few} accounts under ${flags.clients} clients and ${flags.rate} deliveries/s`,
    ['', 'acknowledged', 'lost', 'doubled', 'changes undone', 'longest wait, ms', 'by the plan, ms'],
    rows,
  );
  report.bar('failovers with synchronous protection, mail lost', sum.lost, '=', 0, 'messages');
  report.bar('failovers with synchronous protection, mail doubled', sum.doubled, '=', 0, 'messages');
  report.bar('failovers with synchronous protection, flags and filings undone', sum.undone, '=', 0);
  await world.end();
}

/** Filled, followed, warm. */
async function begin(stage: Stage, name: string, accounts: number): Promise<World> {
  const world = await startWorld(stage, name, accounts);
  report.say('first shadow');
  await json(world, 'shadow', 'mail-a', '--once');
  report.say('the service begins, and fills the standby');
  const service = start(world.configFile, ['run']);
  const end = once(async () => {
    await service.terminate();
    await world.end();
  });
  stage.after(end);
  await warm(world, accounts);
  return { ...world, end };
}

async function startWorld(stage: Stage, name: string, accounts: number): Promise<World> {
  const endings: (() => Promise<unknown> | unknown)[] = [];
  const end = once(async () => {
    for (const next of endings.reverse()) await next();
  });
  stage.after(end);
  const ports = { api: await freePort(), imap: await freePort(), lmtp: await freePort() };
  const server = async (of: string) => {
    const dovecot = await startDovecot({
      accounts,
      fsync: 'never',
      push: { url: `http://127.0.0.1:${ports.api}/push/${of}`, timeoutMs: 2_500 },
    });
    endings.push(() => dovecot.stop());
    return dovecot;
  };
  const live = await server('mail-a');
  const standby = await server('mail-b');
  report.say(`filling ${accounts} accounts`);
  await fillDovecot(live, {
    messages: accounts * flags.messages,
    approxBytes: 3_000,
    pool: 200,
    mailboxes: MAILBOXES,
  });
  const slapd = await startSlapd({
    folder: join(stage.folder, name, 'slapd'),
    accounts: live.accounts,
    mailHost: live.address,
  });
  endings.push(() => slapd.stop());
  const dataDir = join(stage.folder, name, 'data');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const lines = (dovecot: Dovecot) => [
    '    workload: mail',
    `    host: ${dovecot.address}`,
    `    imap: { port: ${dovecot.imapPort}, security: none, masterUser: ${dovecot.masterUser}, masterSecret: ${dovecot.masterSecret}, separator: "*" }`,
    `    doveadm: { url: "${dovecot.doveadmUrl}", apiKey: ${dovecot.doveadmKey} }`,
    `    services: { lmtp: ${dovecot.lmtpPort} }`,
    '    push: { mode: synchronous }',
  ];
  const configFile = join(stage.folder, name, 'understudy.yaml');
  writeFileSync(
    configFile,
    [
      `dataDir: ${dataDir}`,
      `api: { listen: "127.0.0.1:${ports.api}" }`,
      'log: { level: warn }',
      'servers:',
      '  mail-a:',
      ...lines(live),
      '    accounts: { from: directory }',
      '  mail-b:',
      ...lines(standby),
      'directories:',
      `  corp: { kind: ldap, url: "${slapd.url}", bindDn: "${slapd.bindDn}", bindSecret: ${slapd.bindSecret}, baseDn: "${slapd.baseDn}" }`,
      'pairs:',
      `  ${PAIR}:`,
      '    live: mail-a',
      '    standby: mail-b',
      '    directory: corp',
      '    warm: true',
      '    rehome:',
      `      - { kind: proxy, listen: "127.0.0.1:${ports.imap}", to: imap, drain: 200ms }`,
      `      - { kind: proxy, listen: "127.0.0.1:${ports.lmtp}", to: lmtp, drain: 200ms }`,
      '',
    ].join('\n'),
  );
  endings.push(async () => {
    await stopProxy(loadConfig(configFile), PAIR, { clock: systemClock, log: silentLog });
  });
  return {
    live,
    standby,
    directory: directoryOf(slapd),
    configFile,
    imapPort: ports.imap,
    lmtpPort: ports.lmtp,
    end,
  };
}

function directoryOf({ url, bindDn, bindSecret, baseDn }: Slapd): Directory {
  return ldapDirectory({
    url,
    bindDn,
    bindSecret,
    baseDn,
    accountFilter: '(objectClass=inetLocalMailRecipient)',
    accountAttribute: 'uid',
    serverAttribute: 'mailHost',
  });
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= work();
    return done;
  };
}

async function json(world: World, ...args: string[]) {
  const ended = await run(world.configFile, [...args, '--json']);
  if (ended.status !== 0)
    throw new Error(`${args.join(' ')}: ${ended.stdout.slice(0, 2_000)}${ended.stderr}`);
  return JSON.parse(ended.stdout);
}

/** Everything that the journal has is on the standby. */
async function warm(world: World, accounts: number): Promise<void> {
  const note = join(loadConfig(world.configFile).dataDir, 'service.json');
  const isUp = () => (existsSync(note) && readFileSync(note, 'utf8').includes('url') ? true : undefined);
  await until('the service answers', isUp, { withinMs: 180_000 });
  for (;;) {
    const { pairs, servers } = await json(world, 'status');
    const standby = pairs[0]?.warm;
    const live = servers.find(({ server }: { server: string }) => server === 'mail-a');
    if (
      live?.state === 'following' &&
      live.accounts === accounts &&
      standby?.phase === 'following' &&
      standby.accountsBehind === 0
    )
      return;
    await delay(1_000);
  }
}

interface Plan {
  readonly id: string;
  readonly state: string;
  readonly problem?: unknown;
  readonly report: {
    readonly timeline: readonly {
      readonly name: string;
      readonly direction: string;
      readonly ms?: number;
    }[];
    readonly outageMs: number;
    readonly rtoMs: number;
    readonly rpo: { readonly sentence: string };
  };
}

function clientsOf(world: World): Promise<ClientLoad> {
  return ClientLoad.start({
    imap: { host: '127.0.0.1', port: world.imapPort },
    lmtp: { host: '127.0.0.1', port: world.lmtpPort },
    accounts: world.live.accounts,
    passwordOf: world.live.accountPassword,
    clients: flags.clients,
    deliveriesPerSecond: flags.rate,
  });
}

/** What clients were promised, against what the standby has. */
async function keptOn(world: World, load: ClientLoad): Promise<Kept> {
  const ledger = await checkLedger(load, { host: world.standby.address, port: world.standby.imapPort });
  if (load.surprises.length > 0) throw new Error(JSON.stringify(load.surprises.slice(0, 5)));
  const { lost, doubled, flagsLost, filingsLost } = ledger;
  const wrong = [...lost, ...doubled, ...flagsLost, ...filingsLost];
  if (wrong.length > 0) report.say(`wrong: ${JSON.stringify(wrong.slice(0, 3))}`);
  return {
    acknowledged: ledger.acknowledged,
    lost: lost.length,
    doubled: doubled.length,
    undone: flagsLost.length + filingsLost.length,
  };
}

async function takeBack(world: World, plan: Plan): Promise<void> {
  const began = performance.now();
  const back = await json(world, 'plan', 'rollback', plan.id, '--yes');
  if (back.plan.state !== 'rolled-back') throw new Error(JSON.stringify(back.plan.problem));
  const slowest = stepsOf(back.plan, 'back')
    .sort(([, a], [, b]) => b - a)
    .slice(0, 3)
    .map(([name, ms]) => `${name} ${ms} ms`);
  report.say(`taken back in ${Math.round((performance.now() - began) / 1_000)} s: ${slowest.join(', ')}`);
}

function stepsOf({ report: { timeline } }: Plan, way = 'forward'): [string, number][] {
  return timeline.filter(({ direction }) => direction === way).map(({ name, ms }) => [name, ms ?? 0]);
}

async function switchover(world: World): Promise<Plan> {
  const load = await clientsOf(world);
  let outages: number[];
  let plan: Plan;
  try {
    await delay(3_000);
    const began = load.nowMs();
    ({ plan } = await json(world, 'switchover', PAIR, '--yes'));
    await delay(2_000);
    outages = load.outages(began).map(({ outageMs }) => Math.round(outageMs));
  } finally {
    await load.stop();
  }
  const kept = await keptOn(world, load);
  report.table('steps of the switchover', ['step', 'ms'], stepsOf(plan));
  report.table(
    `switchover of ${flags.accounts} accounts under ${flags.clients} clients and ${flags.rate} deliveries/s`,
    ['', 'ms'],
    [
      ['the door was shut', plan.report.outageMs],
      ['clients, median', median(outages)],
      ['clients, longest', highest(outages)],
    ],
  );
  report.bar('switchover, longest wait of a client', highest(outages) / 1_000, '≤', 1.5, 's');
  report.bar('switchover, acknowledged mail lost', kept.lost, '=', 0, 'messages');
  report.bar('switchover, flags and filings undone', kept.undone, '=', 0);
  report.bar('switchover, mail doubled', kept.doubled, '=', 0, 'messages');
  return plan;
}

interface Failover {
  readonly plan: Plan;
  readonly kept: Kept;
  /** The longest wait of each client, from the command on, ms. */
  readonly outages: readonly number[];
  /** From the command to each account's first login and FETCH, ascending, ms. */
  readonly reached: readonly number[];
}

/** The live server dies under clients, and the command follows at once. */
async function failover(world: World, { everyAccount }: { everyAccount: boolean }): Promise<Failover> {
  const load = await clientsOf(world);
  let plan: Plan;
  let reached: number[] = [];
  let outages: number[];
  try {
    await delay(3_000);
    await world.live.kill9();
    const began = load.nowMs();
    const failed = new AbortController();
    const command = json(world, 'failover', PAIR, '--yes').catch((error: unknown) => {
      failed.abort(error);
      throw error;
    });
    [{ plan }, reached] = await Promise.all([command, everyAccount ? reachAll(world, failed.signal) : []]);
    await load.settled(load.nowMs(), { withinMs: 180_000 });
    outages = load.outages(began).map(({ outageMs }) => Math.round(outageMs));
  } finally {
    await load.stop();
  }
  return { plan, kept: await keptOn(world, load), outages, reached };
}

function tellFailover({ plan, kept, outages, reached }: Failover): void {
  const [first = 0] = reached;
  const last = reached.at(-1) ?? 0;
  report.table('steps of the failover', ['step', 'ms'], stepsOf(plan));
  report.table(
    `failover of ${flags.accounts} accounts under ${flags.clients} clients and ${flags.rate} deliveries/s`,
    ['', 'ms'],
    [
      ['by the plan’s own account', plan.report.rtoMs],
      ['first login and FETCH', first],
      ['half of the accounts', median(reached)],
      ['last account', last],
      ['clients, median', median(outages)],
      ['clients, longest', highest(outages)],
    ],
  );
  report.bar('failover, command to first login and FETCH', first / 1_000, '≤', 5, 's');
  report.bar('failover, command to last account', last / 1_000, '≤', 20, 's');
  report.bar('failover, acknowledged mail lost', kept.lost, '=', 0, 'messages');
  report.bar('failover, mail doubled', kept.doubled, '=', 0, 'messages');
}

/** From now to each account's first login and FETCH, ascending, ms. */
async function reachAll(world: World, failed: AbortSignal): Promise<number[]> {
  const began = performance.now();
  const reached: number[] = [];
  const hosts = new Hosts(world);
  const reach = async (account: string, byDirectory: boolean) => {
    for (;;) {
      failed.throwIfAborted();
      const place = byDirectory ? await hosts.placeOf(account) : { host: '127.0.0.1', port: world.imapPort };
      if (place !== undefined && (await serves(world, account, place))) break;
      await delay(50);
    }
    reached.push(performance.now() - began);
  };
  const queue = world.live.accounts.map((account, index) => ({ account, byDirectory: index % 2 === 1 }));
  // One that is there from the beginning is the first to be served; the others come when there is a point in it.
  const first = queue.shift();
  if (first !== undefined) await reach(first.account, first.byDirectory);
  await Promise.all(
    Array.from({ length: flags.at }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        await reach(next.account, next.byDirectory);
      }
    }),
  );
  return reached.sort((a, b) => a - b);
}

/** One login and one FETCH. */
function serves(world: World, account: string, place: { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(place);
    let text = '';
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(5_000, () => end(false));
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
    socket.on('data', (chunk) => {
      const before = text;
      text += chunk.toString('latin1');
      if (before === '' && text.startsWith('* OK')) {
        socket.write(
          `a LOGIN ${account} ${world.live.accountPassword(account)}\r\nb SELECT INBOX\r\nc FETCH 1:* (UID FLAGS)\r\n`,
        );
      }
      if (/^a NO/m.test(text)) end(false);
      if (/^c OK/m.test(text)) end(true);
    });
  });
}
