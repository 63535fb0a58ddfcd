/**
 * How fast a server's mail is taken over for the first time, durably, next to what operators use today: `doveadm backup`
 * into a second Dovecot, mbsync, and a reader that stores nothing. All on one machine, in turns, medians.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Dovecot, startDovecot } from '../tests/lab/dovecot.ts';
import { fillDovecot } from '../tests/lab/fill.ts';
import { dumpAccount } from '../tests/lab/imap-check.ts';
import { requirePackages } from '../tests/lab/packages.ts';
import { readBare } from './lib/bare-reader.ts';
import { readFlags } from './lib/flags.ts';
import { type BackupTarget, dsyncConfig, pullWithMbsync, startBackupTarget } from './lib/peers.ts';
import { Report } from './lib/report.ts';
import { onStage, type Stage } from './lib/stage.ts';
import { median } from './lib/statistics.ts';
import { SERVER, Setup } from './lib/understudy.ts';

const flags = readFlags('First shadow of a server, next to doveadm backup, mbsync and a bare reader.', {
  messages: { default: 20_000, what: 'Messages in all.' },
  accounts: { default: 4, what: 'Accounts they are spread over.' },
  runs: { default: 3, what: 'Runs of each contender.' },
  seed: { default: 1, what: 'Seed of the generated mail.' },
  format: { default: 'maildir', what: 'Store of the servers: maildir, mdbox or sdbox.' },
  only: { default: '', what: 'Only contenders whose name contains this.' },
});

interface Outcome {
  readonly ms: number;
  readonly cpuSeconds?: number;
  readonly peakRssBytes?: number;
}

interface Contender {
  readonly name: string;
  /** Everything from an empty target to mail that is stored. */
  run(): Promise<Outcome>;
}

const report = new Report('baseline', flags);
let shadowBytes = { journal: 0, raw: 0, catalog: 0, messages: 0 };

await onStage('baseline', async (stage) => {
  const missing = requirePackages(['dovecot-core', 'dovecot-imapd', 'isync']);
  if (missing) throw new Error(missing);
  const format = flags.format as 'maildir' | 'mdbox' | 'sdbox';
  const source = await startDovecot({ accounts: flags.accounts, format, extraConfig: dsyncConfig });
  stage.after(() => source.stop());
  report.say(`filling ${flags.accounts} accounts with ${flags.messages} messages`);
  const filled = await fillDovecot(source, { messages: flags.messages, seed: flags.seed });
  const targets = {
    quick: await startBackupTarget({ accounts: source.accounts, format, fsync: 'never' }),
    durable: await startBackupTarget({ accounts: source.accounts, format }),
  };
  stage.after(() => targets.quick.dovecot.stop());
  stage.after(() => targets.durable.dovecot.stop());

  // The server makes its indexes at the first reading; nobody is to pay for that here.
  await readBare(source);

  const contenders = makeContenders(stage, source, targets).filter(({ name }) => name.includes(flags.only));
  const outcomes = new Map(contenders.map(({ name }): [string, Outcome[]] => [name, []]));
  for (let round = 1; round <= flags.runs; round += 1) {
    for (const { name, run } of contenders) {
      const outcome = await run();
      outcomes.get(name)?.push(outcome);
      report.say(`run ${round}, ${name}: ${Math.round(filled.messages / (outcome.ms / 1000))} messages/s`);
    }
  }
  tell(filled, outcomes);
  report.finish();
});

function makeContenders(
  stage: Stage,
  source: Dovecot,
  targets: { quick: BackupTarget; durable: BackupTarget },
): Contender[] {
  const shadow = (name: string, doveadm: boolean): Contender => {
    const folder = join(stage.folder, name.replaceAll(/\W+/g, '-'));
    mkdirSync(folder);
    const setup = new Setup(folder, source, { doveadm });
    return {
      name,
      run: async () => {
        setup.reset();
        const finished = await setup.command(['shadow', SERVER, '--once', '--json']);
        await checkShadow(setup, JSON.parse(finished.stdout), source);
        return finished;
      },
    };
  };
  const backup = (name: string, target: BackupTarget, parallel: number): Contender => ({
    name,
    run: async () => {
      target.clear();
      const ms = await target.backup(source, parallel);
      await checkBackup(source, target.dovecot);
      return { ms };
    },
  });
  const mbsync = (name: string, fsync: boolean): Contender => ({
    name,
    run: async () => {
      const folder = join(stage.folder, 'mbsync');
      const ms = await pullWithMbsync(source, folder, { fsync });
      rmSync(folder, { recursive: true });
      return { ms };
    },
  });
  return [
    shadow('understudy', false),
    backup('doveadm backup, in turn, fsync off', targets.quick, 1),
    mbsync('mbsync', true),
    shadow('understudy, with the doveadm API', true),
    backup(`doveadm backup, ${flags.accounts} at once, fsync off`, targets.quick, flags.accounts),
    mbsync('mbsync, FSync no', false),
    { name: 'bare reader, nothing stored', run: () => readBare(source) },
    backup('doveadm backup, in turn', targets.durable, 1),
    backup(`doveadm backup, ${flags.accounts} at once`, targets.durable, flags.accounts),
  ];
}

/** A contender that took over only a part would be fast. */
async function checkShadow(
  setup: Setup,
  summary: { messagesAdded: number; bytesFetched: number; problems: unknown[] },
  source: Dovecot,
): Promise<void> {
  if (summary.messagesAdded !== flags.messages || summary.problems.length > 0) {
    throw new Error(`shadow of ${source.address} took ${JSON.stringify(summary)}`);
  }
  const info = await setup.json(['journal', 'info', SERVER]);
  shadowBytes = {
    journal: info['storedBytes'] ?? 0,
    raw: summary.bytesFetched,
    catalog: setup.bytesOf('catalog.sqlite'),
    messages: summary.messagesAdded,
  };
}

async function checkBackup(source: Dovecot, target: Dovecot): Promise<void> {
  const [account = ''] = source.accounts;
  const [expected, found] = await Promise.all(
    [source, target].map(async (dovecot) => {
      const login = { host: dovecot.address, port: dovecot.imapPort, pass: dovecot.masterSecret };
      const dump = await dumpAccount({ ...login, user: dovecot.masterLogin(account) }, { bodies: false });
      return [...dump.values()].reduce((count, { messages }) => count + messages.length, 0);
    }),
  );
  if (expected !== found) throw new Error(`backup of ${account}: ${found} of ${expected} messages`);
}

function tell(
  filled: { messages: number; bytes: number; mailboxes: number },
  outcomes: ReadonlyMap<string, readonly Outcome[]>,
): void {
  const seconds = (name: string) => median((outcomes.get(name) ?? []).map(({ ms }) => ms / 1000));
  const rate = (name: string) => filled.messages / seconds(name);
  const own = rate('understudy');
  report.table(
    `First shadow of ${filled.messages} messages, ${Math.round(filled.bytes / 1e6)} MB, ${filled.mailboxes} mailboxes, ${flags.format}; medians of ${flags.runs}`,
    ['', 's', 'messages/s', 'MB/s', 'CPU s', 'peak MB', 'understudy is × faster'],
    [...outcomes].map(([name, runs]) => [
      name,
      seconds(name),
      Math.round(rate(name)),
      filled.bytes / 1e6 / seconds(name),
      median(runs.map(({ cpuSeconds }) => cpuSeconds ?? Number.NaN)),
      median(runs.map(({ peakRssBytes }) => (peakRssBytes ?? Number.NaN) / 1e6)),
      own / rate(name),
    ]),
  );
  report.figure('filled', filled);
  report.figure('runs', Object.fromEntries(outcomes));
  report.figure(
    'messagesPerSecond',
    Object.fromEntries([...outcomes.keys()].map((name) => [name, rate(name)])),
  );
  if (shadowBytes.messages > 0) {
    report.table(
      'On disk after the shadow',
      ['', 'bytes', 'of raw', 'per message'],
      [
        ['raw messages', shadowBytes.raw, 1, shadowBytes.raw / shadowBytes.messages],
        [
          'journal',
          shadowBytes.journal,
          shadowBytes.journal / shadowBytes.raw,
          shadowBytes.journal / shadowBytes.messages,
        ],
        [
          'catalog',
          shadowBytes.catalog,
          shadowBytes.catalog / shadowBytes.raw,
          shadowBytes.catalog / shadowBytes.messages,
        ],
      ],
    );
    report.figure('disk', shadowBytes);
  }
  const times = (what: string, name: string, wanted: number) => {
    if (outcomes.has('understudy') && outcomes.has(name))
      report.bar(what, own / rate(name), '≥', wanted, '×');
  };
  times('faster than doveadm backup (fsync off)', 'doveadm backup, in turn, fsync off', 3);
  times('faster than mbsync with default settings', 'mbsync', 4);
}
