/**
 * Taking over: a switchover under clients, the way back, then the live server is killed and one command fails over. From the command to the first
 * client's login and FETCH, and to that of the last account; and the longest wait of each client of a switchover.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from '../src/config/index.ts';
import { startSlapd } from '../src/demo/directory/index.ts';
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

const flags = readFlags('Failover by command and switchover under clients.', {
  accounts: { default: 1_000, what: 'Accounts.' },
  messages: { default: 10, what: 'Messages in each.' },
  clients: { default: 12, what: 'Clients at work during the switchover.' },
  rate: { default: 20, what: 'Deliveries per second during the switchover.' },
  at: { default: 16, what: 'Log-ins at once, when every account is tried after the failover.' },
});

const PAIR = 'mail';
const report = new Report('takeover', flags);

interface World {
  readonly live: Dovecot;
  readonly standby: Dovecot;
  readonly configFile: string;
  readonly imapPort: number;
  readonly lmtpPort: number;
}

await onStage('takeover', async (stage) => {
  const missing = requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd', 'slapd']);
  if (missing) throw new Error(missing);
  const world = await startWorld(stage);
  report.say('first shadow');
  await json(world, 'shadow', 'mail-a', '--once');
  report.say('the service begins, and fills the standby');
  const service = start(world.configFile, ['run']);
  stage.after(async () => {
    await service.terminate();
  });
  await warm(world);

  const outages = await switchover(world);
  report.say('taken back; the standby is warm again');
  await warm(world);
  const reached = await failover(world);

  report.bar('switchover, longest wait of a client', highest(outages.map((ms) => ms / 1_000)), '≤', 1.5, 's');
  report.bar('failover, command to first login and FETCH', (reached[0] as number) / 1_000, '≤', 5, 's');
  report.bar('failover, command to last account', (reached.at(-1) as number) / 1_000, '≤', 20, 's');
  report.finish();
});

async function startWorld(stage: Stage): Promise<World> {
  const ports = { api: await freePort(), imap: await freePort(), lmtp: await freePort() };
  const server = async (name: string) => {
    const dovecot = await startDovecot({
      accounts: flags.accounts,
      fsync: 'never',
      push: { url: `http://127.0.0.1:${ports.api}/push/${name}`, timeoutMs: 2_500 },
    });
    stage.after(() => dovecot.stop());
    return dovecot;
  };
  const live = await server('mail-a');
  const standby = await server('mail-b');
  report.say(`filling ${flags.accounts} accounts`);
  await fillDovecot(live, { messages: flags.accounts * flags.messages, approxBytes: 3_000, pool: 200 });
  const slapd = await startSlapd({
    folder: join(stage.folder, 'slapd'),
    accounts: live.accounts,
    mailHost: live.address,
  });
  stage.after(() => slapd.stop());
  const dataDir = join(stage.folder, 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  const lines = (dovecot: Dovecot) => [
    '    workload: mail',
    `    host: ${dovecot.address}`,
    `    imap: { port: ${dovecot.imapPort}, security: none, masterUser: ${dovecot.masterUser}, masterSecret: ${dovecot.masterSecret}, separator: "*" }`,
    `    doveadm: { url: "${dovecot.doveadmUrl}", apiKey: ${dovecot.doveadmKey} }`,
    `    services: { lmtp: ${dovecot.lmtpPort} }`,
    '    push: { mode: synchronous }',
  ];
  const configFile = join(stage.folder, 'understudy.yaml');
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
  stage.after(async () => {
    await stopProxy(loadConfig(configFile), PAIR, { clock: systemClock, log: silentLog });
  });
  return { live, standby, configFile, imapPort: ports.imap, lmtpPort: ports.lmtp };
}

async function json(world: World, ...args: string[]) {
  const ended = await run(world.configFile, [...args, '--json']);
  if (ended.status !== 0) throw new Error(`${args.join(' ')}: ${ended.stdout}${ended.stderr}`);
  return JSON.parse(ended.stdout);
}

/** Everything that the journal has is on the standby. */
async function warm(world: World): Promise<void> {
  const note = join(loadConfig(world.configFile).dataDir, 'service.json');
  const isUp = () => (existsSync(note) && readFileSync(note, 'utf8').includes('url') ? true : undefined);
  await until('the service answers', isUp, { withinMs: 60_000 });
  for (;;) {
    const { pairs, servers } = await json(world, 'status');
    const standby = pairs[0]?.warm;
    const live = servers.find(({ server }: { server: string }) => server === 'mail-a');
    if (
      live?.state === 'following' &&
      live.accounts === flags.accounts &&
      standby?.phase === 'following' &&
      standby.accountsBehind === 0
    )
      return;
    await delay(500);
  }
}

/** The longest wait of each client, ms. */
async function switchover(world: World): Promise<readonly number[]> {
  const load = await ClientLoad.start({
    imap: { host: '127.0.0.1', port: world.imapPort },
    lmtp: { host: '127.0.0.1', port: world.lmtpPort },
    accounts: world.live.accounts,
    passwordOf: world.live.accountPassword,
    clients: flags.clients,
    deliveriesPerSecond: flags.rate,
  });
  let outages: number[];
  let plan: { id: string; report: { timeline: { name: string; ms?: number }[]; outageMs: number } };
  try {
    await delay(3_000);
    const began = load.nowMs();
    ({ plan } = await json(world, 'switchover', PAIR, '--yes'));
    await delay(2_000);
    outages = load.outages(began).map(({ outageMs }) => Math.round(outageMs));
  } finally {
    await load.stop();
  }
  const kept = await checkLedger(load, { host: world.standby.address, port: world.standby.imapPort });
  report.table(
    'steps of the switchover',
    ['step', 'ms'],
    plan.report.timeline.map(({ name, ms }) => [name, ms ?? 0]),
  );
  report.table(
    `switchover under ${flags.clients} clients and ${flags.rate} deliveries/s`,
    ['', 'ms'],
    [
      ['the door was shut', plan.report.outageMs],
      ['clients, median', median(outages)],
      ['clients, longest', highest(outages)],
    ],
  );
  report.bar('switchover, acknowledged mail lost', kept.lost.length, '=', 0, 'messages');
  report.bar('switchover, mail doubled', kept.doubled.length, '=', 0, 'messages');
  const back = await json(world, 'plan', 'rollback', plan.id, '--yes');
  if (back.plan.state !== 'rolled-back') throw new Error(JSON.stringify(back.plan.problem));
  return outages;
}

/** From the command to each account's first login and FETCH, ascending, ms. */
async function failover(world: World): Promise<readonly number[]> {
  await world.live.kill9();
  const began = performance.now();
  const command = json(world, 'failover', PAIR, '--yes');
  const reached: number[] = [];
  const [first = '', ...others] = world.live.accounts;
  const reach = async (account: string) => {
    while (!(await serves(world, account))) await delay(10);
    reached.push(performance.now() - began);
  };
  await reach(first);
  const queue = [...others];
  await Promise.all(
    Array.from({ length: flags.at }, async () => {
      for (let account = queue.shift(); account !== undefined; account = queue.shift()) await reach(account);
    }),
  );
  const { plan } = await command;
  report.table(
    'steps of the failover',
    ['step', 'ms'],
    plan.report.timeline.map(({ name, ms }: { name: string; ms?: number }) => [name, ms ?? 0]),
  );
  report.table(
    `failover of ${flags.accounts} accounts`,
    ['', 'ms'],
    [
      ['by the plan’s own account', plan.report.rtoMs],
      ['first client', reached[0] ?? 0],
      ['last account', reached.at(-1) ?? 0],
    ],
  );
  return reached.sort((a, b) => a - b);
}

/** One login and one FETCH through the front door. */
function serves(world: World, account: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(world.imapPort, '127.0.0.1');
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
