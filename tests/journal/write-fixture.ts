/**
 * Writes tests/fixtures/journal-v<format>/: a plain and an encrypted journal, the key, and what they hold. Run by hand once per
 * format version, `node tests/journal/write-fixture.ts`; it never replaces a fixture, since that was written by the code of its time.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { JournalReader, type MailboxId, type StepRecord, verifyJournal } from '../../src/journal/index.ts';
import { FORMAT_VERSION } from '../../src/journal/segment-header.ts';
import { TestClock } from '../../src/lib/index.ts';
import { summaryOf } from './fixture-summary.ts';
import { appendStep, openWriter, type Step } from './support.ts';

const folder = fileURLToPath(new URL(`../fixtures/journal-v${FORMAT_VERSION}/`, import.meta.url));
if (existsSync(folder)) throw new Error(`${folder} exists; a fixture is never replaced`);
mkdirSync(folder, { recursive: true });

const inbox = 1 as MailboxId;
const archive = 2 as MailboxId;
const hash = Buffer.alloc(32, 0xab);
const date = '17-Jul-1996 02:44:25 -0700';

const everyRecord: StepRecord[] = [
  { t: 'account', account: 'alice' },
  {
    t: 'mailbox',
    id: inbox,
    account: 'alice',
    name: 'INBOX',
    delimiter: '/',
    uidValidity: 1111111111,
    guid: '00112233445566778899aabbccddeeff',
    specialUse: [],
    subscribed: true,
  },
  {
    t: 'mailbox',
    id: archive,
    account: 'alice',
    name: 'Archiv/Entwürfe 日本',
    delimiter: null,
    uidValidity: 4294967295,
    specialUse: ['\\Archive', '\\Drafts'],
    subscribed: false,
  },
  {
    t: 'mailbox-change',
    id: archive,
    name: 'Archive',
    delimiter: '.',
    guid: 'x',
    specialUse: [],
    subscribed: true,
  },
  {
    t: 'message',
    id: inbox,
    uid: 1,
    hash,
    size: 5_000_000_000,
    flags: ['$Important', '\\Seen'],
    date,
    guid: 'ffeeddcc',
  },
  { t: 'message', id: inbox, uid: 4294967295, hash, size: 0, flags: [], date },
  { t: 'flags', id: inbox, uid: 1, flags: ['\\Answered'] },
  { t: 'position', id: inbox, uidNext: 2, highestModSeq: '9223372036854775807', complete: false },
  { t: 'position', id: inbox, uidNext: 3 },
  { t: 'set-aside', id: inbox, uid: 2, code: 'MAIL_SIZE_MISMATCH', detail: 'said 10, sent 9' },
  { t: 'vanished', id: inbox, uids: '1:3,7' },
  { t: 'subscriptions', account: 'alice', names: ['INBOX', 'Gone'] },
  { t: 'checkpoint', label: 'before the upgrade', cause: 'operator' },
  { t: 'checkpoint', cause: 'burst', account: 'alice' },
  { t: 'checkpoint', cause: 'pass' },
  { t: 'mailbox-gone', id: archive },
  { t: 'account-gone', account: 'alice' },
];

const steps: Step[] = [
  { bodies: [Buffer.from('Subject: first\r\n\r\nHello.\r\n'), Buffer.alloc(0)], records: everyRecord },
  // Two pieces, in two frames; and bytes that are no text.
  {
    bodies: [Buffer.alloc((1 << 20) + 5, 'a line of mail\r\n'), Buffer.from([...Array(256).keys()])],
    records: [],
  },
  ...[...Array(12).keys()].map((index) => ({
    bodies: [Buffer.from(`Subject: message ${index}\r\n\r\n${index} `.repeat(30))],
    records: [{ t: 'account', account: `account ${index}` }] as const,
  })),
];

const key = Buffer.from([...Array(32).keys()].map((index) => index * 7));
writeFileSync(`${folder}test.key`, `${key.toString('hex')}\n`);
for (const [name, options] of [
  ['plain', {}],
  ['encrypted', { key }],
] as const) {
  const storage = `${folder}${name}`;
  const clock = new TestClock(Date.parse('2026-01-01T00:00:00Z'));
  const writer = await openWriter(storage, { clock, segmentBytes: 2000, ...options });
  for (const step of steps) {
    await appendStep(writer, step);
    clock.advance(1500);
  }
  await writer.close();
  const report = await verifyJournal({ storage, ...options });
  if (!report.ok) throw new Error(JSON.stringify(report.faults));
  const reader = await JournalReader.open({ storage, ...options });
  writeFileSync(`${folder}${name}.json`, `${JSON.stringify(await summaryOf(reader), null, 1)}\n`);
  await reader.close();
}
