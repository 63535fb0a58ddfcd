/**
 * Memory of the service while it shadows very many messages for the first time: several accounts, one of them with a
 * large mailbox, one message of 50 MB among them. Its resident memory is sampled until the first pass is over.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Dovecot, startDovecot } from '../tests/lab/dovecot.ts';
import { fillDovecot } from '../tests/lab/fill.ts';
import { connectImap } from '../tests/lab/imap-check.ts';
import { requirePackages } from '../tests/lab/packages.ts';
import { readFlags } from './lib/flags.ts';
import { memoryOf } from './lib/processes.ts';
import { Report } from './lib/report.ts';
import { onStage } from './lib/stage.ts';
import { highest, median, slope } from './lib/statistics.ts';
import { SERVER, type Service, Setup } from './lib/understudy.ts';

const flags = readFlags('Memory of the service during a first shadow.', {
  messages: { default: 1_000_000, what: 'Messages in all.' },
  largest: { default: 250_000, what: 'How many of them in one mailbox.' },
  accounts: { default: 4, what: 'Accounts; the first has the large mailbox and no other.' },
  bytes: { default: 1_500, what: 'Size of a message.' },
  large: { default: 50, what: 'MB of one large message; 0: none.' },
  format: { default: 'maildir', what: 'Store of the server: maildir, mdbox or sdbox.' },
});

interface Sample {
  readonly seconds: number;
  readonly rssMb: number;
  readonly messages: number;
}

const report = new Report('memory', flags);

await onStage('memory', async (stage) => {
  const missing = requirePackages(['dovecot-core', 'dovecot-imapd']);
  if (missing) throw new Error(missing);
  const format = flags.format as 'maildir' | 'mdbox' | 'sdbox';
  const dovecot = await startDovecot({ accounts: flags.accounts, format, fsync: 'never' });
  stage.after(() => dovecot.stop());
  const [first = '', ...others] = dovecot.accounts;
  await fill(dovecot, [first], flags.largest, ['INBOX']);
  await fill(dovecot, others, flags.messages - flags.largest);
  if (flags.large > 0) await appendLarge(dovecot, others.at(-1) ?? first);
  const wanted = flags.messages + (flags.large > 0 ? 1 : 0);

  const setup = new Setup(stage.folder, dovecot);
  const service = await setup.service();
  stage.after(() => service.stop());
  const samples = await sampleUntilFollowing(service, wanted);
  const atRest = memoryOf(service.pid).rssBytes / 1e6;
  const peakRss = memoryOf(service.pid).peakRssBytes / 1e6;
  await service.stop();
  const info = await setup.json(['journal', 'info', SERVER]);

  const half = samples.slice(Math.floor(samples.length / 2));
  const perMillion = slope(half.map(({ messages, rssMb }) => ({ x: messages / 1e6, y: rssMb })));
  const last = samples.at(-1) as Sample;
  const quarter = (nth: number) => {
    const from = Math.floor((samples.length * nth) / 4);
    return median(
      samples.slice(from, Math.floor((samples.length * (nth + 1)) / 4)).map(({ rssMb }) => rssMb),
    );
  };
  report.table(
    `First shadow of ${wanted} messages, one mailbox with ${flags.largest}, one message of ${flags.large} MB, ${format}`,
    ['', ''],
    [
      ['seconds', last.seconds],
      ['messages/s', last.messages / last.seconds],
      ['peak RSS, MB', peakRss],
      ...[0, 1, 2, 3].map((nth): [string, number] => [`median RSS of quarter ${nth + 1}, MB`, quarter(nth)]),
      ['growth in the second half, MB per million messages', perMillion],
      ['RSS when the first pass is over, MB', atRest],
      ['catalog, bytes per message', setup.bytesOf('catalog.sqlite') / wanted],
      ['journal, bytes per message', (info['storedBytes'] ?? 0) / wanted],
    ],
  );
  report.figure('samples', samples);
  report.figure('peakRssMb', peakRss);
  report.bar('peak RSS', Math.max(peakRss, highest(samples.map(({ rssMb }) => rssMb))), '≤', 350, 'MB');
  report.bar('messages journaled', last.messages, '=', wanted);
  report.finish();
});

async function fill(dovecot: Dovecot, accounts: readonly string[], messages: number, mailboxes?: string[]) {
  if (accounts.length === 0 || messages <= 0) return;
  await fillDovecot(dovecot, {
    accounts,
    messages,
    ...(mailboxes ? { mailboxes } : {}),
    approxBytes: flags.bytes,
    pool: 1_000,
    onProgress: (count) => {
      if (count % 50_000 === 0) report.say(`filled ${count} of ${messages} of ${accounts.join(', ')}`);
    },
  });
}

/** A text of one long run of lines; nothing is special about it but its size. */
async function appendLarge(dovecot: Dovecot, account: string): Promise<void> {
  const client = await connectImap({
    host: dovecot.address,
    port: dovecot.imapPort,
    user: dovecot.masterLogin(account),
    pass: dovecot.masterSecret,
  });
  const line = `${'0123456789abcdef'.repeat(4)}\r\n`;
  const body = line.repeat(Math.floor((flags.large * 1e6) / line.length));
  await client.append('INBOX', Buffer.from(`Subject: large\r\nMIME-Version: 1.0\r\n\r\n${body}`));
  await client.logout();
}

/** Samples twice a second; resolves when the service has looked at everything once. */
async function sampleUntilFollowing(service: Service, wanted: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  const start = performance.now();
  for (let count = 0; ; count += 1) {
    const metrics = await service.metrics();
    const messages = metrics.get('understudy_messages_total') ?? 0;
    const seconds = (performance.now() - start) / 1_000;
    const rssMb = memoryOf(service.pid).rssBytes / 1e6;
    samples.push({ seconds, rssMb, messages });
    if (count % 20 === 0) report.say(`${messages} of ${wanted} messages, ${Math.round(rssMb)} MB`);
    if (metrics.get('understudy_first_pass_done') === 1) return samples;
    await delay(500);
  }
}
