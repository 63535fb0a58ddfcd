/**
 * How far a warm standby is behind at a steady rate of changes over many accounts, and what keeping it so costs. From the live
 * server's acknowledgement of a delivery to the moment when a client that idles on the standby is told of it; and the service's
 * own figure, which counts from the commit. The same load without a standby tells the cost.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
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
import { connectLmtp } from '../tests/lab/lmtp.ts';
import { requirePackages } from '../tests/lab/packages.ts';
import { readFlags } from './lib/flags.ts';
import { cpuSecondsOf, cpuSecondsOfAll, until } from './lib/processes.ts';
import { Report } from './lib/report.ts';
import { onStage, type Stage } from './lib/stage.ts';
import { spread } from './lib/statistics.ts';
import { SERVER, type Service, Setup } from './lib/understudy.ts';

const flags = readFlags('Lag of a warm standby behind the live server, and the cost of keeping it.', {
  accounts: { default: 500, what: 'Accounts.' },
  messages: { default: 30, what: 'Messages in each at first.' },
  rate: { default: 50, what: 'Changes per second, at random moments (Poisson).' },
  seconds: { default: 60, what: 'Duration of the changes, without a standby and with it.' },
  watched: { default: 40, what: 'Accounts that a client idles on, on the standby.' },
  idle: { default: 10, what: 'Seconds without a change, to see what they cost.' },
  seed: { default: 1, what: 'Seed of all that is random.' },
});

const STANDBY = 'mail-b';
/** Of the changes; the others are flags and removals, half and half. */
const DELIVERIES_SHARE = 0.7;

const report = new Report('warm', flags);
const random = new Random(`warm ${flags.seed}`);
const generator = createMailGenerator(flags.seed);

interface World {
  readonly live: Dovecot;
  readonly standby: Dovecot;
  readonly service: Service;
}

interface Outcome {
  readonly changes: number;
  readonly fillMs: number;
  /** From the 250 to the client on the standby. */
  readonly arrivalMs: readonly number[];
  readonly unseen: number;
  /** The service's own figure, sampled. */
  readonly lagMs: readonly number[];
  readonly serviceCpu: number;
  readonly standbyCpu: number;
  readonly idleCpu: number;
  readonly caughtUpMs: number;
}

async function measure(stage: Stage, warm: boolean): Promise<Outcome> {
  const began = performance.now();
  const world = await start(stage, warm);
  const { live, standby, service } = world;
  const fillMs = performance.now() - began;
  report.say(`${warm ? 'warm' : 'without a standby'}: ready; ${flags.rate} changes/s for ${flags.seconds} s`);

  const idleBefore = cpuSecondsOf(service.pid).own;
  await delay(flags.idle * 1_000);
  const idleCpu = cpuSecondsOf(service.pid).own - idleBefore;

  const watched = live.accounts.slice(0, flags.watched);
  const watches = warm ? await Promise.all(watched.map((account) => Watch.open(standby, account))) : [];
  const byAccount = new Map(watches.map((watch) => [watch.account, watch]));
  const before = { own: cpuSecondsOf(service.pid).own, standby: cpuSecondsOfAll(standby.processIds()) };
  const lags: number[] = [];
  const sampling = new AbortController();
  const sampler = warm ? sample(service, lags, sampling.signal) : Promise.resolve();
  const changes = await change(live, byAccount);
  const changesEnded = performance.now();
  const own = cpuSecondsOf(service.pid).own;
  const standbyCpu = cpuSecondsOfAll(standby.processIds()) - before.standby;
  sampling.abort();
  await sampler;
  // The sweep finds what no push told.
  if (warm) await becomesEqual(world);
  const caughtUpMs = performance.now() - changesEnded;
  // Dovecot tells a client that idles half a second later.
  await delay(1_000);
  await Promise.all(watches.map((watch) => watch.close()));
  await service.stop();
  await Promise.all([live.stop(), standby.stop()]);
  return {
    changes,
    fillMs,
    arrivalMs: watches.flatMap(({ arrivals }) => arrivals),
    unseen: watches.reduce((sum, { unseen }) => sum + unseen, 0),
    lagMs: lags,
    serviceCpu: own - before.own,
    standbyCpu,
    idleCpu,
    caughtUpMs,
  };
}

/** The live server is followed; with `warm`, the standby holds what it holds. */
async function start(stage: Stage, warm: boolean): Promise<World> {
  const listen = `127.0.0.1:${await freePort()}`;
  const url = `http://${listen}/push/${SERVER}`;
  const [live, standby] = await Promise.all([
    startDovecot({ accounts: flags.accounts, push: { url, script: pushScript({ url, timeoutMs: 2_500 }) } }),
    startDovecot({ accounts: flags.accounts }),
  ]);
  stage.after(() => Promise.all([live.stop(), standby.stop()]).then(() => {}));
  await fillDovecot(live, {
    messages: flags.accounts * flags.messages,
    mailboxes: ['INBOX'],
    approxBytes: 3_000,
    pool: 200,
  });
  const folder = join(stage.folder, warm ? 'warm' : 'cold');
  mkdirSync(folder);
  const setup = new Setup(folder, live, { doveadm: true, listen, serverLines: ['push: { mode: hint }'] });
  appendFileSync(
    join(folder, 'understudy.yaml'),
    `  ${STANDBY}:
    workload: mail
    host: ${standby.address}
    imap: { port: ${standby.imapPort}, security: none, masterUser: ${standby.masterUser}, masterSecret: "\${file:master}" }
    doveadm: { url: "${standby.doveadmUrl}", apiKey: "\${file:doveadm-key}" }
pairs:
  site: { live: ${SERVER}, standby: ${STANDBY}, warm: ${warm} }
`,
  );
  const service = await setup.service();
  stage.after(() => service.stop());
  await until(
    'the service follows',
    async () => {
      const metrics = await service.metrics();
      if (metrics.get('understudy_first_pass_done') !== 1) return undefined;
      if (!warm) return true;
      const isThere = metrics.get('understudy_warm_up') === 1;
      const lag = metrics.get('understudy_warm_lag_seconds');
      return isThere && lag === 0 && metrics.get('understudy_warm_accounts_behind') === 0 ? true : undefined;
    },
    { withinMs: 600_000, everyMs: 200 },
  );
  return { live, standby, service };
}

/** Changes at random moments; resolves with their number when all are acknowledged. */
async function change(live: Dovecot, watches: ReadonlyMap<string, Watch>): Promise<number> {
  const lmtp = await connectLmtp({ host: live.address, port: live.lmtpPort, connections: 10 });
  const actors = await Promise.all(
    random
      .shuffled(live.accounts)
      .slice(0, 30)
      .map((account) => Actor.open(live, account)),
  );
  const under: Promise<unknown>[] = [];
  const began = performance.now();
  for (let atMs = 0; ; ) {
    atMs += (-Math.log(1 - random.float()) / flags.rate) * 1_000;
    if (atMs > flags.seconds * 1_000) break;
    const restMs = began + atMs - performance.now();
    if (restMs > 0) await delay(restMs);
    if (random.chance(DELIVERIES_SHARE)) {
      const account = random.pick(live.accounts);
      const { raw } = generator.message({ to: `${account}@example.org` });
      const watch = watches.get(account);
      under.push(lmtp.deliver(raw, [account]).then(() => watch?.acknowledged()));
    } else {
      under.push(random.pick(actors).act(random.chance(0.5) ? 'flag' : 'remove'));
    }
  }
  await Promise.all(under);
  await Promise.all(actors.map((actor) => actor.close()));
  await lmtp.close();
  return under.length;
}

/** A client of the live server that sets flags and removes messages, each once. */
class Actor {
  readonly #imap: ImapFlow;
  #nextUid = 1;
  #last: Promise<unknown> = Promise.resolve();

  static async open(dovecot: Dovecot, account: string): Promise<Actor> {
    const imap = await clientOf(dovecot, account);
    await imap.mailboxOpen('INBOX');
    return new Actor(imap);
  }

  private constructor(imap: ImapFlow) {
    this.#imap = imap;
  }

  act(what: 'flag' | 'remove'): Promise<unknown> {
    const uid = String(this.#nextUid);
    this.#nextUid += 1;
    this.#last = this.#last.then(() =>
      what === 'flag'
        ? this.#imap.messageFlagsAdd(uid, ['\\Seen', 'Bench'], { uid: true })
        : this.#imap.messageDelete(uid, { uid: true }),
    );
    return this.#last;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#imap.logout();
  }
}

/** Idles on INBOX of the standby, and tells when each delivered message came. */
class Watch {
  readonly account: string;
  readonly arrivals: number[] = [];
  readonly #imap: ImapFlow;
  /** When the deliveries that have not come were acknowledged; a negative number of them came before that. */
  readonly #awaited: number[] = [];
  readonly #early: number[] = [];

  static async open(dovecot: Dovecot, account: string): Promise<Watch> {
    const imap = await clientOf(dovecot, account);
    await imap.mailboxOpen('INBOX');
    const watch = new Watch(imap, account);
    // Resolves when the client is ended.
    void imap.idle().catch(() => {});
    return watch;
  }

  private constructor(imap: ImapFlow, account: string) {
    this.#imap = imap;
    this.account = account;
    imap.on('exists', ({ count, prevCount }: { count: number; prevCount: number }) => {
      for (let came = prevCount; came < count; came += 1) this.#came();
    });
  }

  get unseen(): number {
    return this.#awaited.length;
  }

  acknowledged(): void {
    const early = this.#early.shift();
    if (early === undefined) this.#awaited.push(performance.now());
    else this.arrivals.push(early - performance.now());
  }

  #came(): void {
    const since = this.#awaited.shift();
    if (since === undefined) this.#early.push(performance.now());
    else this.arrivals.push(performance.now() - since);
  }

  async close(): Promise<void> {
    await this.#imap.logout();
  }
}

function clientOf(dovecot: Dovecot, account: string): Promise<ImapFlow> {
  return connectImap({
    host: dovecot.address,
    port: dovecot.imapPort,
    user: dovecot.masterLogin(account),
    pass: dovecot.masterSecret,
  });
}

async function sample(service: Service, lags: number[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const lag = (await service.metrics()).get('understudy_warm_lag_seconds');
    if (lag !== undefined) lags.push(lag * 1_000);
    await delay(200);
  }
}

/** Rejects when the standby does not become what the live server is, and says what differs. */
async function becomesEqual({ live, standby, service }: World): Promise<void> {
  let left: readonly string[] = [];
  const look = () => {
    left = differences(live, standby);
    return left.length === 0 ? true : undefined;
  };
  try {
    await until('nothing is behind', look, { withinMs: 60_000, everyMs: 500 });
  } catch (error) {
    const figures = [...(await service.metrics())].filter(([name]) => name.startsWith('understudy_warm'));
    report.say([...left.slice(0, 10), JSON.stringify(figures), service.said()].join('\n'));
    throw error;
  }
}

/** By the numbers of all mailboxes. */
function differences(live: Dovecot, standby: Dovecot): readonly string[] {
  const [expected = [], found = []] = [live, standby].map((dovecot) =>
    dovecot
      .doveadm('-f', 'tab', 'mailbox', 'status', '-A', 'messages uidnext uidvalidity unseen', '*')
      .split('\n'),
  );
  const there = new Set(found);
  const wanted = new Set(expected);
  return [
    ...expected.filter((line) => !there.has(line)).map((line) => `live: ${line}`),
    ...found.filter((line) => !wanted.has(line)).map((line) => `standby: ${line}`),
  ].sort((a, b) => a.slice(9).localeCompare(b.slice(9)));
}

function tell(cold: Outcome, warm: Outcome): void {
  const row = (name: string, values: readonly number[]) => {
    const { count, p50, p99, max } = spread(values);
    return [name, count, p50, p99, max];
  };
  report.table(
    `${flags.rate} changes/s over ${flags.accounts} accounts, ms`,
    ['', 'count', 'p50', 'p99', 'max'],
    [
      row('delivery acknowledged → seen by a client of the standby', warm.arrivalMs),
      row('lag as the service tells it (from the commit)', warm.lagMs),
    ],
  );
  const cores = (cpu: number, seconds: number) => cpu / seconds;
  const cost = cores(warm.serviceCpu - cold.serviceCpu, flags.seconds);
  const idleCost = cores(warm.idleCpu - cold.idleCpu, flags.idle);
  report.table(
    'Processors used, of one core',
    ['', 'without a standby', 'warm', 'difference'],
    [
      [
        'the service, under changes',
        cores(cold.serviceCpu, flags.seconds),
        cores(warm.serviceCpu, flags.seconds),
        cost,
      ],
      ['the service, idle', cores(cold.idleCpu, flags.idle), cores(warm.idleCpu, flags.idle), idleCost],
      [
        'the standby’s Dovecot, under changes',
        cores(cold.standbyCpu, flags.seconds),
        cores(warm.standbyCpu, flags.seconds),
        cores(warm.standbyCpu - cold.standbyCpu, flags.seconds),
      ],
    ],
  );
  report.figure('warm', warm);
  report.figure('cold', cold);
  report.bar('lag of the standby behind a delivery, p50', spread(warm.arrivalMs).p50, '≤', 2_000, 'ms');
  report.bar('lag of the standby behind a delivery, p99', spread(warm.arrivalMs).p99, '≤', 5_000, 'ms');
  report.bar('processor for keeping it warm', cost, '≤', 0.5, 'cores');
  report.bar('processor for keeping it warm, idle', idleCost, '≤', 0.02, 'cores');
  report.bar('deliveries that a watched standby never showed', warm.unseen, '=', 0);
  report.bar('equal after the last change', warm.caughtUpMs / 1_000, '≤', 60, 's');
}

await onStage('warm', async (stage) => {
  const missing = requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd']);
  if (missing) throw new Error(missing);
  const cold = await measure(stage, false);
  const warm = await measure(stage, true);
  tell(cold, warm);
  report.finish();
});
