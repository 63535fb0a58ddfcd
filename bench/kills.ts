/**
 * SIGKILL of our process at random moments, again and again: during first shadows under load, while following, and
 * while restoring. After each the journal must verify and hold every commit that was seen before, and the next run must
 * go on; at the end the replica must equal the server as an independent client reads it.
 */
import { existsSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { VaultReader } from '../src/catalog/index.ts';
import { hasCode, Random, systemClock } from '../src/lib/index.ts';
import { pushScript } from '../src/workloads/mail/push/index.ts';
import { freePort } from '../tests/lab/address.ts';
import { type Dovecot, startDovecot } from '../tests/lab/dovecot.ts';
import { fillDovecot } from '../tests/lab/fill.ts';
import { type AccountDump, compareDumps, dumpAccount } from '../tests/lab/imap-check.ts';
import { requirePackages } from '../tests/lab/packages.ts';
import { RandomDay } from '../tests/mail/random-day.ts';
import { replicaState } from '../tests/mail/support.ts';
import { CommitWitness } from './lib/commit-witness.ts';
import { readFlags } from './lib/flags.ts';
import { ended } from './lib/processes.ts';
import { Report } from './lib/report.ts';
import { onStage } from './lib/stage.ts';
import { SERVER, Setup } from './lib/understudy.ts';

const flags = readFlags('SIGKILL at random moments of first shadows, of following and of restoring.', {
  kills: { default: 200, what: 'In all: 45 % in first shadows, 35 % while following, 20 % while restoring.' },
  messages: { default: 8_000, what: 'Messages of the first shadow.' },
  bytes: { default: 12_000, what: 'Their size on average.' },
  lost: { default: 1_500, what: 'Messages of the account that is lost and restored.' },
  seed: { default: 0, what: 'Seed of all that is random; 0: another one each time.' },
});

const seed = flags.seed || Math.floor(Math.random() * 1e9);
const random = new Random(`kills ${seed}`);
const report = new Report('kills', flags);

interface Tally {
  kills: number;
  readonly faults: string[];
  readonly moments: number[];
}
const tallies = new Map<string, Tally>();
/** Of the present vault; absent while there is no journal. */
let witness: CommitWitness | undefined;

await onStage('kills', async (stage) => {
  const missing = requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd']);
  if (missing) throw new Error(missing);
  report.say(`seed ${seed}`);
  const listen = `127.0.0.1:${await freePort()}`;
  const url = `http://${listen}/push/${SERVER}`;
  const dovecot = await startDovecot({
    accounts: ['bulk1', 'bulk2', 'busy1', 'busy2', 'lost'],
    fsync: 'never',
    push: { url, script: pushScript({ url, timeoutMs: 2_500 }) },
  });
  stage.after(() => dovecot.stop());
  const fill = { approxBytes: flags.bytes, seed };
  await fillDovecot(dovecot, { ...fill, accounts: ['bulk1', 'bulk2'], messages: flags.messages });
  await fillDovecot(dovecot, { ...fill, accounts: ['lost'], messages: flags.lost });
  const setup = new Setup(stage.folder, dovecot, { doveadm: true, listen });

  const life = await live(dovecot);
  await firstShadows(setup, Math.round(flags.kills * 0.45));
  await following(setup, Math.round(flags.kills * 0.35));
  await life.end();
  await restores(setup, dovecot, Math.round(flags.kills * 0.2));

  await setup.command(['shadow', SERVER, '--once', '--json']);
  const differences = await compareWithServer(setup, dovecot);
  tell(differences);
  report.finish();
});

/** Clients and deliveries that go on until told to end. */
async function live(dovecot: Dovecot): Promise<{ end(): Promise<void> }> {
  const day = await RandomDay.begin({ ...dovecot, accounts: ['busy1', 'busy2'] }, seed);
  let going = true;
  const running = (async () => {
    while (going) {
      await day.act(5);
      await delay(100);
    }
  })();
  // Told by `end`; until then a failure is not unhandled.
  running.catch(() => {});
  return {
    end: async () => {
      going = false;
      await running;
      await day.end();
    },
  };
}

/** A first shadow is killed and begun again until it ends by itself; then the next one begins with an empty vault. */
async function firstShadows(setup: Setup, kills: number): Promise<void> {
  const tally = begin('first shadow, under load');
  const whole = await timeOf(() => setup.command(['shadow', SERVER, '--once', '--json'], { good: [0, 4] }));
  await reset(setup);
  while (tally.kills < kills) {
    const outcome = await killed(setup, ['shadow', SERVER, '--once', '--json'], tally, whole * 1.2, [0, 4]);
    // Whole now; and now and then after some kills it is made whole without another.
    if (outcome === 'ended') await reset(setup);
    else if (random.chance(0.2)) {
      await mustEnd(setup, ['shadow', SERVER, '--once', '--json'], tally, [0, 4]);
      await reset(setup);
    }
  }
}

/** A service that follows is killed and started again on the same vault. */
async function following(setup: Setup, kills: number): Promise<void> {
  const tally = begin('following, under load');
  await mustEnd(setup, ['shadow', SERVER, '--once', '--json'], tally, [0, 4]);
  while (tally.kills < kills) await killed(setup, ['run'], tally, 4_000, []);
  await mustEnd(setup, ['shadow', SERVER, '--once', '--json'], tally, [0, 4]);
}

/** An account's store is lost; the restore is killed, then run to its end, and everything must be as it was. */
async function restores(setup: Setup, dovecot: Dovecot, kills: number): Promise<void> {
  const tally = begin('restoring an account');
  await mustEnd(setup, ['shadow', SERVER, '--once', '--json'], tally, [0]);
  const expected = await dump(dovecot, 'lost');
  const { committedLsn } = JSON.parse((await setup.command(['journal', 'verify', SERVER, '--json'])).stdout);
  const restore = ['restore', SERVER, '--account', 'lost', '--at', `lsn:${committedLsn}`, '--yes', '--json'];
  await lose(dovecot, expected);
  const whole = await timeOf(() => setup.command(restore));
  while (tally.kills < kills) {
    await lose(dovecot, await dump(dovecot, 'lost'));
    const outcome = await killed(setup, restore, tally, whole * 1.1, [0]);
    if (outcome === 'killed' && random.chance(0.3)) await killed(setup, restore, tally, whole, [0]);
    await mustEnd(setup, restore, tally, [0]);
    const differences = compareDumps(expected, await dump(dovecot, 'lost'));
    if (differences.length > 0)
      tally.faults.push(`restored otherwise: ${differences.slice(0, 3).join('; ')}`);
  }
}

/** As a failed disk leaves it: gone while the server runs. */
async function lose(dovecot: Dovecot, held: AccountDump): Promise<void> {
  // A UIDVALIDITY is the second of its making: within that second a new store would give those of the old again.
  const newest = Math.max(...[...held.values()].map(({ uidValidity }) => uidValidity));
  while (Date.now() <= (newest + 1) * 1_000) await delay(50);
  rmSync(dovecot.storePath('lost'), { recursive: true });
}

function begin(name: string): Tally {
  const tally = { kills: 0, faults: [], moments: [] };
  tallies.set(name, tally);
  return tally;
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function reset(setup: Setup): Promise<void> {
  await witness?.close();
  witness = undefined;
  setup.reset();
}

/** Starts a command and kills it within `withinMs`; `ended` when it was quicker than that. */
async function killed(
  setup: Setup,
  args: readonly string[],
  tally: Tally,
  withinMs: number,
  good: readonly number[],
): Promise<'killed' | 'ended'> {
  const momentMs = random.integer(50, Math.round(withinMs));
  const child = setup.start(args);
  let said = '';
  child.stdout?.resume();
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2_000);
  });
  let over = false;
  const end = ended(child).finally(() => {
    over = true;
  });
  const start = performance.now();
  for (let left = momentMs; !over && left > 0; left = momentMs - (performance.now() - start)) {
    await witnessWhatIsThere(setup);
    await delay(Math.max(0, Math.min(20, momentMs - (performance.now() - start))));
  }
  child.kill('SIGKILL');
  const status = await end;
  if (status !== null) {
    if (!good.includes(status))
      tally.faults.push(`${args.join(' ')} ended by itself with ${status}: ${said}`);
    return 'ended';
  }
  tally.kills += 1;
  tally.moments.push(momentMs);
  await check(setup, tally, `${args[0]}, kill ${tally.kills} after ${momentMs} ms`);
  return 'killed';
}

async function witnessWhatIsThere(setup: Setup): Promise<void> {
  if (witness === undefined) {
    if (!existsSync(setup.vaultDir)) return;
    try {
      witness = await CommitWitness.open(setup.vaultDir);
    } catch (error) {
      // The first segment is being made just now.
      if (hasCode(error, 'JOURNAL_NOT_FOUND')) return;
      throw error;
    }
  }
  await witness.look();
}

async function check(setup: Setup, tally: Tally, when: string): Promise<void> {
  if (tally.kills % 10 === 0) report.say(`${when}, ${tally.faults.length} faults`);
  if (witness === undefined) return;
  const fault = (what: string) => tally.faults.push(`${when}: ${what}`);
  const lost = await witness.missing(setup.vaultDir);
  if (lost !== undefined) fault(lost);
  const { status, stdout, stderr } = await setup.command(['journal', 'verify', SERVER, '--json'], {
    good: [0, 1, 2, 3, 4, 5],
  });
  if (status !== 0) {
    fault(`journal verify: ${stdout}${stderr}`);
    return;
  }
  const { committedLsn } = JSON.parse(stdout) as { committedLsn: number };
  const reader = await VaultReader.open({ dir: setup.vaultDir, clock: systemClock });
  const { appliedLsn } = reader.catalog;
  await reader.close();
  if (appliedLsn !== committedLsn)
    fault(`the catalog stands at ${appliedLsn}, the journal at ${committedLsn}`);
}

/** The next run goes on and ends well. */
async function mustEnd(
  setup: Setup,
  args: readonly string[],
  tally: Tally,
  good: readonly number[],
): Promise<void> {
  const { status, stdout, stderr } = await setup.command(args, { good: [0, 1, 2, 3, 4, 5] });
  if (!good.includes(status ?? -1))
    tally.faults.push(`${args.join(' ')} ended with ${status}: ${stdout}${stderr}`);
}

async function dump(dovecot: Dovecot, account: string): Promise<AccountDump> {
  const all = await dumpAccount({
    host: dovecot.address,
    port: dovecot.imapPort,
    user: dovecot.masterLogin(account),
    pass: dovecot.masterSecret,
  });
  // Levels of the hierarchy that hold no mail are not shadowed.
  return new Map([...all].filter(([, { selectable }]) => selectable));
}

async function compareWithServer(setup: Setup, dovecot: Dovecot): Promise<string[]> {
  const reader = await VaultReader.open({ dir: setup.vaultDir, clock: systemClock });
  try {
    const differences: string[] = [];
    const replica = replicaState(reader.catalog, dovecot.accounts);
    for (const account of dovecot.accounts) {
      const found = compareDumps(await dump(dovecot, account), replica.get(account) ?? new Map());
      differences.push(...found.map((what) => `${account}: ${what}`));
    }
    return differences;
  } finally {
    await reader.close();
  }
}

function tell(differences: readonly string[]): void {
  report.table(
    `SIGKILL at random moments, seed ${seed}`,
    ['', 'kills', 'faults'],
    [...tallies].map(([name, { kills, faults }]) => [name, kills, faults.length]),
  );
  const faults = [...tallies.values()].flatMap((tally) => tally.faults);
  for (const what of [...faults, ...differences].slice(0, 30)) report.say(what.slice(0, 1_000));
  report.figure('seed', seed);
  report.figure('kills', Object.fromEntries(tallies));
  report.figure('differences', differences);
  report.bar('faults', faults.length, '=', 0);
  report.bar('differences between replica and server at the end', differences.length, '=', 0);
}
