/**
 * Writes tests/fixtures/vault-v<format>/: a journal as a vault writes it, of which a catalog can be built, and what that answers. Run by hand
 * once per format version, `node tests/catalog/write-fixture.ts`; it never replaces a fixture, since that was written by the code of its time.
 */
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Vault, VaultReader, vaultFiles } from '../../src/catalog/index.ts';
import type { MailboxId, MailboxRecord, MessageRecord, StepRecord } from '../../src/journal/index.ts';
import { FORMAT_VERSION } from '../../src/journal/segment-header.ts';
import { silentLog, TestClock } from '../../src/lib/index.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { summaryOf } from './fixture-summary.ts';

const folder = fileURLToPath(new URL(`../fixtures/vault-v${FORMAT_VERSION}/`, import.meta.url));
if (existsSync(folder)) throw new Error(`${folder} exists; a fixture is never replaced`);

const place = temporaryDirectory('vault-fixture');
const dir = join(place.path, 'mail-a');
const clock = new TestClock(Date.parse('2026-03-29T01:30:00Z'));
const vault = await Vault.open({ dir, clock, log: silentLog, segmentBytes: 2_500 });

/** One step, a minute after the last one. */
async function step(...records: readonly StepRecord[]): Promise<void> {
  clock.advance(60_000);
  await vault.commit(records);
}

function mailbox(account: string, name: string, more: Partial<MailboxRecord> = {}): MailboxRecord {
  const id = vault.nextMailboxId();
  return {
    t: 'mailbox',
    id,
    account,
    name,
    delimiter: '/',
    uidValidity: 1_700_000_000 + id,
    guid: `mailbox-${id}`,
    specialUse: [],
    subscribed: true,
    ...more,
  };
}

async function message(
  id: MailboxId,
  uid: number,
  body: Buffer,
  more: Partial<MessageRecord> = {},
): Promise<MessageRecord> {
  const { hash, size } = await vault.takeBody(body);
  const date = '29-Mar-2026 03:00:00 +0200';
  return { t: 'message', id, uid, hash, size, flags: [], date, guid: `guid-${uid}`, ...more };
}

function mail(subject: string, text = 'Hello.\r\n'): Buffer {
  return Buffer.from(
    `From: Bob <bob@example.org>\r\nSubject: ${subject}\r\nMessage-ID: <${subject.length}@example.org>\r\n\r\n${text}`,
    'latin1',
  );
}

const lines = (count: number) => 'A line that is there again and again.\r\n'.repeat(count);

// Accounts, seen for the first time: mailboxes with and without what servers may lack.
const inbox = mailbox('alice', 'INBOX');
const drafts = mailbox('alice', 'Archiv/Entwürfe 日本', { specialUse: ['\\Drafts'], subscribed: false });
const { guid: _, ...plain } = mailbox('bob', 'inbox', { delimiter: null });
const first = mail('the first');
await step({ t: 'account', account: 'alice' }, inbox, drafts, {
  t: 'position',
  id: inbox.id,
  uidNext: 1,
  highestModSeq: '1',
  complete: false,
});
await step(
  await message(inbox.id, 1, first, { flags: ['\\Seen'] }),
  // The same bytes once more, and none at all.
  await message(inbox.id, 2, first, { flags: ['$Important', '\\Answered', '\\Seen'], guid: 'guid-1' }),
  await message(inbox.id, 3, Buffer.alloc(0)),
  await message(inbox.id, 4, mail('=?utf-8?q?gr=C3=BC=C3=9Fe?=', 'bytes that are no text: \xff\0\x80')),
  { t: 'position', id: inbox.id, uidNext: 5, highestModSeq: '9007199254740993', complete: false },
);
await step(
  // In two pieces.
  await message(inbox.id, 5, mail('a long one', lines(40_000)), { date: ' 1-Jan-1970 00:00:00 +0000' }),
  // Far away from the others.
  await message(inbox.id, 4_000_000_000, mail('far away')),
  { t: 'set-aside', id: inbox.id, uid: 7, code: 'MAIL_SIZE_MISMATCH', detail: 'said 10, sent 9' },
  { t: 'set-aside', id: inbox.id, uid: 8, code: 'MAIL_NO_ANSWER', detail: 'no answer' },
  { t: 'position', id: inbox.id, uidNext: 4_000_000_001, highestModSeq: '9223372036854775807' },
  { t: 'subscriptions', account: 'alice', names: ['INBOX', 'Gone'] },
);
await step({ t: 'account', account: 'bob' }, plain);
await step({ t: 'account', account: 'carol' }, mailbox('carol', 'INBOX'));
await step(
  await message(plain.id, 1, mail('to bob')),
  await message(plain.id, 2, mail('to bob as well')),
  { t: 'position', id: plain.id, uidNext: 3 },
  { t: 'subscriptions', account: 'bob', names: [] },
);
await step({ t: 'checkpoint', cause: 'pass' });
// A body whose message never came.
vault.putBody(mail('an orphan'));

// Flags change, a message that was set aside comes, one goes; a copy of another is in a second mailbox before it goes from the first.
await step(
  { t: 'flags', id: inbox.id, uid: 1, flags: ['\\Flagged', '\\Seen'] },
  { t: 'flags', id: inbox.id, uid: 2, flags: [] },
  await message(inbox.id, 7, mail('read at last')),
);
await step({ t: 'flags', id: inbox.id, uid: 1, flags: ['\\Deleted', '\\Seen'] });
await step(await message(drafts.id, 1, first, { flags: ['\\Draft'], guid: 'guid-1' }), {
  t: 'position',
  id: drafts.id,
  uidNext: 2,
  highestModSeq: '3',
});
await step({ t: 'vanished', id: inbox.id, uids: '1,8' });
await step({ t: 'checkpoint', cause: 'operator', label: 'before the rename' });

// A mailbox is renamed, and another takes its name for a while.
await step({ t: 'mailbox-change', id: drafts.id, name: 'Drafts', subscribed: true, specialUse: [] });
const again = mailbox('alice', 'Archiv/Entwürfe 日本');
await step(again, await message(again.id, 1, mail('in the new one')), {
  t: 'position',
  id: again.id,
  uidNext: 2,
  highestModSeq: '1',
});
await step({ t: 'mailbox-gone', id: again.id });

// A burst, with the state before it kept.
await step({ t: 'checkpoint', cause: 'burst', account: 'alice' });
await step({ t: 'vanished', id: inbox.id, uids: '2:5' });

// Accounts go; one comes again, and has another mailbox then.
await step({ t: 'account-gone', account: 'bob' }, { t: 'account-gone', account: 'carol' });
const anew = mailbox('bob', 'INBOX');
await step({ t: 'account', account: 'bob' }, anew, await message(anew.id, 1, mail('to bob')), {
  t: 'position',
  id: anew.id,
  uidNext: 2,
  highestModSeq: '5',
});
await step({ t: 'subscriptions', account: 'bob', names: ['INBOX'] }, { t: 'checkpoint', cause: 'pass' });
await vault.close();

const reader = await VaultReader.open({ dir, clock });
const summary = await summaryOf({ ...reader, body: (lsn) => reader.body(lsn) });
await reader.close();
mkdirSync(folder, { recursive: true });
cpSync(vaultFiles(dir).journal, join(folder, 'journal'), { recursive: true });
writeFileSync(join(folder, 'expected.json'), `${JSON.stringify(summary, null, 2)}\n`);
place.remove();
