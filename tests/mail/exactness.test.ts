/**
 * Goal: what the replica holds of a server is what the server serves, and what comes out of it is that again: byte for
 * byte, flag for flag, for mail made to break parsers. Method: the corpus goes into every kind of store; an
 * independent client's reading is compared with the catalog, with an export, and with the server after everything
 * was deleted and restored.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { VaultReader } from '../../src/catalog/index.ts';
import { exportAccount } from '../../src/history/index.ts';
import { Random, systemClock } from '../../src/lib/index.ts';
import { restoreMail } from '../../src/workloads/mail/index.ts';
import { bulkMessages, type CorpusMessage, corpusMissing, nastyMessages } from '../lab/corpus.ts';
import type { AccountDump } from '../lab/imap-check.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { ImapClient } from './imap-client.ts';
import {
  assertBodiesReadable,
  assertEqualStates,
  MailLab,
  serversMissing,
  sha256,
  variants,
} from './support.ts';

const ACCOUNT = 'user0001';

const odd: readonly CorpusMessage[] = [
  ['one-byte', 'x'],
  ['no-newline-at-the-end', 'Subject: no newline\r\n\r\nend'],
  ['header-alone', 'Subject: no body'],
  ['body-alone', '\r\nno header'],
  ['cr-cr-lf', 'Subject: cr\r\n\r\na\r\r\nb\rc\r\n'],
  ['lone-dots', 'Subject: dots\r\n\r\n.\r\n..\r\n.\r\n'],
  ['looks-like-imap', 'Subject: )\r\n\r\n* 1 FETCH (UID 7 BODY[] {3}\r\nabc)\r\nt1 OK done\r\n'],
  ['long-line', `Subject: long\r\n\r\n${'y'.repeat(1_000_000)}\r\n`],
  [
    'every-byte-but-nul',
    `Subject: bytes\r\n\r\n${String.fromCharCode(...Array.from({ length: 255 }, (_, i) => i + 1))}`,
  ],
].map(([name = '', text = '']) => ({ name: `odd/${name}`, raw: Buffer.from(text, 'latin1'), tags: [] }));

const flagSets = [
  [],
  ['\\Seen'],
  ['\\Seen', '\\Answered', '$Forwarded'],
  ['\\Flagged', '$Label1', 'NonJunk', 'a-b_c.d!'],
  ['\\Draft'],
  ['\\Deleted', '\\Seen'],
];
const dates = [
  '17-Jul-2026 02:44:25 +0200',
  ' 1-Jan-1970 00:00:01 +0000',
  '29-Feb-2024 23:59:59 -1130',
  '31-Dec-1999 23:00:00 +1400',
];

/** Appends the whole nasty set, the odd messages and a slice of real mail; names of the mailboxes are the corpus's. */
async function fill(lab: MailLab): Promise<number> {
  const random = new Random('exactness');
  const client = await ImapClient.open(lab.dovecot, ACCOUNT);
  const made = new Set<string>(['INBOX']);
  let count = 0;
  const add = async ({ name, raw }: CorpusMessage) => {
    const mailbox = name.startsWith('odd/') ? 'INBOX' : name.split('/').slice(0, 2).join('/');
    if (!made.has(mailbox)) {
      await client.create(mailbox);
      if (made.size % 2 === 0) await client.subscribe(mailbox);
      made.add(mailbox);
    }
    const answer = await client.append(mailbox, raw, {
      flags: random.pick(flagSets),
      date: random.pick(dates),
    });
    assert.ok(answer.ok, `${name}: ${answer.text}`);
    count += 1;
  };
  for (const message of odd) await add(message);
  for (const message of nastyMessages()) await add(message);
  for await (const message of bulkMessages('linux-mips-list', 150)) await add(message);
  for await (const message of bulkMessages('spamassassin', 150)) await add(message);
  // Gaps, so that UIDs are not just 1, 2, 3.
  for (const mailbox of ['nasty/rspamd', 'bulk/spamassassin']) {
    await client.select(mailbox);
    for (const uid of (await client.uids()).filter(() => random.chance(0.1))) {
      await client.expunge(String(uid));
      count -= 1;
    }
  }
  await client.close();
  return count;
}

/** Half of the mailboxes are deleted, the others emptied. */
async function destroy(
  lab: MailLab,
  names: Iterable<string>,
): Promise<{ deleted: string[]; emptied: string[] }> {
  const client = await ImapClient.open(lab.dovecot, ACCOUNT);
  const deleted: string[] = [];
  const emptied: string[] = [];
  for (const [index, name] of [...names].entries()) {
    if (name !== 'INBOX' && index % 2 === 0) {
      assert.ok((await client.delete(name)).ok, name);
      deleted.push(name);
    } else {
      await client.select(name);
      assert.ok((await client.expunge('1:*')).ok, name);
      emptied.push(name);
    }
  }
  await client.close();
  return { deleted, emptied };
}

async function assertExportIs(lab: MailLab, dump: AccountDump): Promise<void> {
  const to = temporaryDirectory('export', lab.t).path;
  const reader = await VaultReader.open({ dir: lab.vaultDir, clock: systemClock });
  try {
    const result = await exportAccount(
      reader,
      { account: ACCOUNT, to, format: 'eml' },
      { clock: systemClock },
    );
    assert.deepEqual(result.setAside, []);
  } finally {
    await reader.close();
  }
  for (const [name, mailbox] of dump) {
    const folder = join(to, ...name.split('/'));
    const files = readdirSync(folder).filter((file) => file.endsWith('.eml'));
    assert.equal(files.length, mailbox.messages.length, name);
    for (const message of mailbox.messages) {
      const exported = readFileSync(join(folder, `${message.uid}.eml`));
      assert.equal(sha256(exported), message.sha256, `${name} UID ${message.uid}`);
    }
  }
}

describe('exactness over the corpus', { skip: serversMissing || corpusMissing }, () => {
  for (const { name, options } of variants) {
    it(`is kept by shadow, export and restore: ${name}`, async (t) => {
      const lab = await MailLab.start(t, { ...options, accounts: 1 });
      const messages = await fill(lab);
      const first = await lab.shadow();
      assert.equal(first.messagesAdded, messages);
      const before = await lab.assertReplicaIsServer();
      const vault = await lab.vault();
      assert.equal(await assertBodiesReadable(vault, ACCOUNT), messages);

      const lsn = vault.committedLsn;
      const again = await lab.shadow();
      assert.equal(again.lsn, lsn, 'a second pass appends nothing');
      await lab.closeVault();
      assert.equal((await lab.shadow()).lsn, lsn, 'nor does one of another process');
      await assertExportIs(lab, before.get(ACCOUNT) as AccountDump);

      await destroy(lab, before.get(ACCOUNT)?.keys() ?? []);
      await lab.shadow();
      await lab.assertReplicaIsServer('after the deletion');
      const report = await restoreMail(await lab.deps(), { account: ACCOUNT, at: lsn, dryRun: false });
      assert.deepEqual(report.problems, []);
      assert.equal(report.messagesRestored, messages);
      const after = await lab.assertReplicaIsServer('after the restore');
      assertEqualStates(before, after, 'what came back', { ignore: ['uid', 'uidNext', 'uidValidity'] });
    });
  }

  for (const format of ['maildir', 'mdbox'] as const) {
    it(`keeps UIDVALIDITY and UIDs of deleted mailboxes where the doveadm API is configured: ${format}`, async (t) => {
      const lab = await MailLab.start(t, { format, accounts: 1, doveadm: true });
      const messages = await fill(lab);
      await lab.shadow();
      const before = (await lab.assertReplicaIsServer()).get(ACCOUNT) as AccountDump;
      const lsn = (await lab.vault()).committedLsn;
      const { deleted, emptied } = await destroy(lab, before.keys());
      const report = await restoreMail(await lab.deps(), { account: ACCOUNT, at: lsn, dryRun: false });
      assert.deepEqual(report.problems, []);
      assert.equal(report.messagesRestored, messages);
      const after = (await lab.assertReplicaIsServer()).get(ACCOUNT) as AccountDump;
      const only = (dump: AccountDump, names: readonly string[]) =>
        new Map([[ACCOUNT, new Map([...dump].filter(([name]) => names.includes(name)))]]);
      assertEqualStates(only(before, deleted), only(after, deleted), 'deleted mailboxes');
      assertEqualStates(only(before, emptied), only(after, emptied), 'emptied mailboxes', {
        ignore: ['uid', 'uidNext'],
      });
      for (const row of report.mailboxes)
        assert.equal(row.identityKept, deleted.includes(row.mailbox), row.mailbox);
    });
  }
});

describe('bytes that a server does not serve as it got them', { skip: serversMissing }, () => {
  it('are taken as it serves them: NUL, line ends, and a size that a file name lies about', async (t) => {
    const lab = await MailLab.start(t, { format: 'maildir', accounts: 1 });
    const client = await ImapClient.open(lab.dovecot, ACCOUNT);
    await client.append('INBOX', Buffer.from('Subject: first\r\n\r\n1\r\n'));
    await client.close();
    const put = (name: string, text: string) =>
      writeFileSync(join(lab.dovecot.storePath(ACCOUNT), 'cur', name), Buffer.from(text, 'latin1'), {
        mode: 0o666,
      });
    put('1700000001.M1.host:2,S', 'Subject: nul\r\n\r\na\0b\0\r\n');
    put('1700000002.M2.host:2,', 'Subject: bare lf\n\na\nb\r\r\nc\n');
    await lab.shadow();
    const state = await lab.assertReplicaIsServer();
    assert.equal(state.get(ACCOUNT)?.get('INBOX')?.messages.length, 3);
    assert.equal(await assertBodiesReadable(await lab.vault(), ACCOUNT), 3);
  });
});
