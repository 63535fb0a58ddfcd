/**
 * What a shadow takes on disk: a corpus of real mail where it is at hand, else generated mail, put into a server, shadowed
 * with default settings; bytes of journal, catalog and search index, next to those of the mail itself, and of the mail
 * with each message compressed alone, as compressed mail stores keep it.
 */

import { constants, zstdCompressSync } from 'node:zlib';
import { createMailGenerator } from '../src/demo/mail-generator/index.ts';
import { bulkMessages, corpusMissing } from '../tests/lab/corpus.ts';
import { type Dovecot, startDovecot } from '../tests/lab/dovecot.ts';
import { MultiAppender } from '../tests/lab/multi-append.ts';
import { requirePackages } from '../tests/lab/packages.ts';
import { readFlags } from './lib/flags.ts';
import { Report } from './lib/report.ts';
import { onStage } from './lib/stage.ts';
import { SERVER, Setup } from './lib/understudy.ts';

const flags = readFlags('Bytes on disk after a first shadow.', {
  messages: { default: 25_006, what: 'Most messages of the corpus, or how many to generate without one.' },
  accounts: { default: 4, what: 'Accounts they are spread over.' },
  generated: { default: 0, what: '1: generated mail also where the corpus is at hand.' },
});

const report = new Report('disk', flags);

await onStage('disk', async (stage) => {
  const missing = requirePackages(['dovecot-core', 'dovecot-imapd']);
  if (missing) throw new Error(missing);
  const dovecot = await startDovecot({ accounts: flags.accounts, format: 'sdbox', fsync: 'never' });
  stage.after(() => dovecot.stop());
  const useCorpus = corpusMissing === false && flags.generated === 0;
  const mail = useCorpus ? 'real mail (the bulk corpus)' : 'generated mail';
  report.say(`filling the server with ${mail}`);
  const { messages, packed } = await fill(dovecot, useCorpus ? corpus() : generated());

  const setup = new Setup(stage.folder, dovecot);
  report.say(`shadowing ${messages} messages`);
  const summary = JSON.parse((await setup.command(['shadow', SERVER, '--once', '--json'])).stdout);
  if (summary.messagesAdded !== messages) throw new Error(`shadowed ${summary.messagesAdded} of ${messages}`);
  const info = await setup.json(['journal', 'info', SERVER]);
  const journal: number = info['storedBytes'] ?? 0;
  const catalog = setup.bytesOf('catalog.sqlite');
  // The first search builds the index.
  await setup.json(['history', SERVER, '--search', 'patch']);
  const search = setup.bytesOf('search.sqlite');
  const raw: number = summary.bytesFetched;
  const row = (name: string, bytes: number) => [name, bytes, bytes / raw, bytes / messages];
  report.table(
    `${messages} messages of ${mail}`,
    ['', 'bytes', 'of raw', 'per message'],
    [
      row('raw, as served', raw),
      row('raw, each message compressed alone (zstd 1)', packed),
      row('journal', journal),
      row('catalog', catalog),
      row('search index', search),
    ],
  );
  report.figure('disk', { mail, messages, raw, packed, journal, catalog, search });
  report.bar('journal by raw bytes', journal / raw, '≤', 0.75);
  report.bar('catalog per message', catalog / messages, '≤', 600, 'bytes');
  report.finish();
});

type Mail = AsyncIterable<{ readonly raw: Buffer }>;

async function* corpus(): Mail {
  let count = 0;
  for (const set of ['linux-mips-list', 'spamassassin'] as const) {
    for await (const { raw } of bulkMessages(set)) {
      if (count >= flags.messages) return;
      count += 1;
      // No server takes an empty message.
      if (raw.length > 0) yield { raw };
    }
  }
}

async function* generated(): Mail {
  const generator = createMailGenerator(1);
  for (let count = 0; count < flags.messages; count += 1) yield generator.message();
}

/** In turn into the INBOX of each account. */
async function fill(dovecot: Dovecot, mail: Mail) {
  const writers = await Promise.all(dovecot.accounts.map((account) => MultiAppender.open(dovecot, account)));
  for (const writer of writers) await writer.mailbox('INBOX', true);
  let count = 0;
  let packed = 0;
  for await (const { raw } of mail) {
    packed += zstdCompressSync(raw, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }).length;
    const internalDate = new Date(Date.UTC(2020, 0, 1) + count * 60_000);
    await writers[count % writers.length]?.message({ raw, flags: ['\\Seen'], internalDate });
    count += 1;
  }
  for (const writer of writers) await writer.end();
  return { messages: count, packed };
}
