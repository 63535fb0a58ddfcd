/**
 * How long a look into the past takes: a large mailbox is shadowed, then flags change and messages come and go for many
 * rounds; after that the first page of it is asked for as of moments drawn at random, over HTTP and by the command.
 */

import { createMailGenerator } from '../src/demo/mail-generator/index.ts';
import { Random } from '../src/lib/index.ts';
import { type Dovecot, startDovecot } from '../tests/lab/dovecot.ts';
import { fillDovecot } from '../tests/lab/fill.ts';
import { connectImap } from '../tests/lab/imap-check.ts';
import { connectLmtp } from '../tests/lab/lmtp.ts';
import { requirePackages } from '../tests/lab/packages.ts';
import { readFlags } from './lib/flags.ts';
import { Report } from './lib/report.ts';
import { onStage } from './lib/stage.ts';
import { spread } from './lib/statistics.ts';
import { SERVER, type Service, Setup } from './lib/understudy.ts';

const flags = readFlags('First page of a mailbox as of many past moments.', {
  messages: { default: 100_000, what: 'Messages in the mailbox at first.' },
  rounds: { default: 40, what: 'Rounds of changes, each followed by a pass.' },
  changes: {
    default: 1_000,
    what: 'Messages whose flags change in a round; a fifth as many are expunged, a tenth delivered.',
  },
  moments: { default: 300, what: 'Moments asked for over HTTP.' },
  commands: { default: 20, what: 'Moments asked for by the command, with a service and without.' },
  seed: { default: 1, what: 'Seed of all that is random.' },
});

const report = new Report('history', flags);
const random = new Random(`history ${flags.seed}`);

await onStage('history', async (stage) => {
  const missing = requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd']);
  if (missing) throw new Error(missing);
  const dovecot = await startDovecot({ accounts: ['alice'], fsync: 'never' });
  stage.after(() => dovecot.stop());
  report.say(`filling INBOX with ${flags.messages} messages`);
  await fillDovecot(dovecot, {
    messages: flags.messages,
    mailboxes: ['INBOX'],
    approxBytes: 2_000,
    pool: 500,
  });
  const setup = new Setup(stage.folder, dovecot, { serverLines: ['shadow: { sweep: 1d }'] });
  report.say('first shadow');
  await setup.command(['shadow', SERVER, '--once', '--json']);
  // A time before that is refused, for the account was not known as a whole; an LSN within the first shadow is not.
  const since = Date.now();
  const service = await setup.service();
  stage.after(() => service.stop());
  await churn(dovecot, service);

  const { servers } = (await service.call('status', {})) as {
    servers?: { lsn: number; committedAt: string }[];
  };
  const newest = servers?.[0]?.lsn ?? 0;
  const until = Date.parse(servers?.[0]?.committedAt ?? '');
  const moments = (count: number) =>
    Array.from({ length: count }, (_, at) =>
      at % 4 === 0
        ? new Date(random.integer(since, until)).toISOString()
        : `lsn:${random.integer(Math.ceil(flags.messages / 10), newest)}`,
    );

  const ask = { server: SERVER, account: 'alice', mailbox: 'INBOX' };
  await service.call('history', ask);
  const http: Look[] = [];
  for (const at of moments(flags.moments)) {
    http.push(await look(at, async () => (await service.call('history', { ...ask, at }))['messages']));
  }
  const command = (at: string) => async () =>
    (await setup.json(['history', SERVER, '--account', 'alice', '--mailbox', 'INBOX', '--at', at]))[
      'messages'
    ];
  const withService: Look[] = [];
  for (const at of moments(flags.commands)) withService.push(await look(at, command(at)));
  await service.stop();
  const alone: Look[] = [];
  for (const at of moments(flags.commands)) alone.push(await look(at, command(at)));
  const help: Look[] = [];
  for (const at of moments(5)) help.push(await look(at, () => setup.command(['--help'])));

  const rows: [string, Look[]][] = [
    ['over HTTP', http],
    ['command, the service answers', withService],
    ['command, no service', alone],
    ['command that does nothing (--help)', help],
  ];
  report.table(
    `First page of a mailbox of ${flags.messages} messages after ${flags.rounds} rounds of changes (lsn ${newest}), ms`,
    ['', 'moments', 'median', 'p99', 'max', 'slowest at'],
    rows.map(([name, looks]) => {
      const { count, p50, p99, max } = spread(looks.map(({ ms }) => ms));
      return [name, count, p50, p99, max, looks.find(({ ms }) => ms === max)?.at ?? ''];
    }),
  );
  report.figure('looks', Object.fromEntries(rows));
  report.bar('first page over HTTP, slowest', spread(http.map(({ ms }) => ms)).max, '≤', 200, 'ms');
  report.bar('first page by the command, median', spread(alone.map(({ ms }) => ms)).p50, '≤', 200, 'ms');
  report.finish();
});

interface Look {
  readonly at: string;
  readonly ms: number;
}

async function look(at: string, work: () => Promise<unknown>): Promise<Look> {
  const start = performance.now();
  const found = await work();
  const ms = performance.now() - start;
  if (Array.isArray(found) && found.length === 0) throw new Error(`no messages at ${at}`);
  return { at, ms };
}

/** Flags change all over the mailbox, messages go from anywhere in it, and new ones come. */
async function churn(dovecot: Dovecot, service: Service): Promise<void> {
  const client = await connectImap({
    host: dovecot.address,
    port: dovecot.imapPort,
    user: dovecot.masterLogin('alice'),
    pass: dovecot.masterSecret,
  });
  const lmtp = await connectLmtp({ host: dovecot.address, port: dovecot.lmtpPort });
  const generator = createMailGenerator(flags.seed);
  await client.mailboxOpen('INBOX');
  const somewhere = (count: number) => {
    const from = random.integer(1, flags.messages - count);
    return `${from}:${from + count - 1}`;
  };
  for (let round = 1; round <= flags.rounds; round += 1) {
    for (let part = 0; part < 10; part += 1) {
      const range = somewhere(Math.floor(flags.changes / 10));
      const flag = random.pick(['\\Flagged', '\\Answered', '\\Seen', '$Work', '$Later']);
      if (random.chance(0.5)) await client.messageFlagsAdd(range, [flag], { uid: true, silent: true });
      else await client.messageFlagsRemove(range, [flag], { uid: true, silent: true });
    }
    await client.messageDelete(somewhere(Math.floor(flags.changes / 5)), { uid: true });
    for (let count = 0; count < flags.changes / 10; count += 1) {
      await lmtp.deliver(generator.message({ approxBytes: 2_000 }).raw, ['alice']);
    }
    const summary = await service.call('shadow', { server: SERVER, once: true });
    if (round % 10 === 0) report.say(`round ${round}: ${JSON.stringify(summary)}`);
  }
  await client.logout();
  await lmtp.close();
}
