/** What the tests of restore share: an account worth restoring, ways to destroy it, and how contents are compared. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import type { AccountDump, DumpedMailbox, DumpedMessage } from '../lab/imap-check.ts';
import { connectLmtp } from '../lab/lmtp.ts';
import { ImapClient } from './imap-client.ts';
import { assertEqualStates, type MailLab } from './support.ts';

/** Messages differ by their Message-IDs, `<id>`. */
export function mail(id: string, size = 200): Buffer {
  return Buffer.from(`Message-ID: <${id}>\r\nSubject: ${id}\r\n\r\n${'text '.repeat(size / 5)}\r\n`);
}

const MAILBOXES = ['Work', 'Work/Deep', 'Work/Deep/Er', 'Empty', 'Entwürfe "alt"'];

/** Fills an account with mailboxes, UIDs with gaps, flags, keywords and dates. */
export async function fillAccount(lab: MailLab, account: string): Promise<void> {
  const client = await ImapClient.open(lab.dovecot, account);
  for (const name of MAILBOXES) await client.create(name);
  await client.subscribe('Work');
  await client.subscribe('Work/Deep/Er');
  for (const [mailbox, count] of Object.entries({
    INBOX: 30,
    Work: 12,
    'Work/Deep': 3,
    'Entwürfe "alt"': 5,
  })) {
    for (let number = 1; number <= count; number += 1) {
      await client.append(mailbox, mail(`${mailbox.length}-${number}@before`), {
        flags: [['\\Seen'], ['\\Flagged', '$Label1'], []][number % 3] as string[],
        date: `0${(number % 9) + 1}-Feb-2020 10:11:12 +0300`,
      });
    }
    await client.select(mailbox);
    await client.expunge('2,5,6');
  }
  // The last UID is gone too: UIDNEXT is not just one more than the highest.
  await client.expunge(String((await client.uids()).at(-1)));
  await client.close();
  await makeOld(lab, account);
}

/**
 * Gives the mailboxes UIDVALIDITYs of long ago. Dovecot's are the time of their making, so that a store lost and made
 * anew within the same second would get the old ones again.
 */
async function makeOld(lab: MailLab, account: string): Promise<void> {
  const { doveadmUrl, doveadmKey } = lab.dovecot;
  const update = (mailbox: string, index: number) => [
    'mailboxUpdate',
    { user: account, mailbox, uidValidity: String(1_500_000_000 + index) },
    mailbox,
  ];
  const response = await fetch(doveadmUrl, {
    method: 'POST',
    headers: { authorization: `X-Dovecot-API ${Buffer.from(doveadmKey).toString('base64')}` },
    body: JSON.stringify(['INBOX', ...MAILBOXES].map(update)),
  });
  const answers = (await response.json()) as [string][];
  assert.ok(
    answers.every(([kind]) => kind === 'doveadmResponse'),
    JSON.stringify(answers),
  );
}

export async function act(
  lab: MailLab,
  account: string,
  work: (client: ImapClient) => Promise<unknown>,
): Promise<void> {
  const client = await ImapClient.open(lab.dovecot, account);
  await work(client);
  await client.close();
}

export async function deliver(lab: MailLab, account: string, ids: readonly string[]): Promise<void> {
  const lmtp = await connectLmtp({ host: lab.dovecot.address, port: lab.dovecot.lmtpPort });
  for (const id of ids) await lmtp.deliver(mail(id), [account]);
  await lmtp.close();
}

/** As a failed disk leaves it: the account's files are gone while the server runs. */
export function loseStore(lab: MailLab, account: string): void {
  rmSync(lab.dovecot.storePath(account), { recursive: true });
}

/** The account's owner finds an empty account and begins to use it; mail comes in. */
export async function liveOn(lab: MailLab, account: string): Promise<void> {
  await deliver(lab, account, ['since-1', 'since-2', 'since-3']);
  await act(lab, account, async (client) => {
    await client.create('Work');
    await client.create('Work/Deep');
    await client.create('Work/New');
    await client.append('Work', mail('since-work'));
    await client.append('Work/Deep', mail('since-deep'));
    await client.append('Work/New', mail('since-new'));
  });
}

/** Messages that `liveOn` adds to each mailbox. */
export const ADDED_SINCE: Readonly<Record<string, number>> = {
  INBOX: 3,
  Work: 1,
  'Work/Deep': 1,
  'Work/New': 1,
};

export function mailbox(dump: AccountDump, name: string): DumpedMailbox {
  const found = dump.get(name);
  assert.ok(found, `there is no mailbox ${name}`);
  return found;
}

/** A message but for its UID. */
export const content = ({ flags, internalDate, sha256 }: DumpedMessage) =>
  `${sha256} ${internalDate} ${flags.join(' ')}`;
export const contents = (messages: readonly DumpedMessage[]) => messages.map(content).sort();

/** Equal in every respect, UIDs too; of these mailboxes only, when they are named. */
export function assertSame(expected: AccountDump, actual: AccountDump, names?: readonly string[]): void {
  const only = (dump: AccountDump) =>
    new Map([['', new Map([...dump].filter(([name]) => names === undefined || names.includes(name)))]]);
  assertEqualStates(only(expected), only(actual));
}

/** All of `before` is there once, and `added` more messages in each mailbox, in no other mailboxes. */
export function assertAllBack(
  before: AccountDump,
  after: AccountDump,
  added: Readonly<Record<string, number>>,
): void {
  const names = new Set([...before.keys(), ...Object.keys(added)]);
  assert.deepEqual([...after.keys()].sort(), [...names].sort());
  for (const [name, { messages }] of after) {
    const found = contents(messages);
    const lost = contents(before.get(name)?.messages ?? []).filter((line) => !found.includes(line));
    assert.deepEqual(lost, [], `lost in ${name}`);
    assert.equal(
      messages.length,
      (before.get(name)?.messages.length ?? 0) + (added[name] ?? 0),
      `messages in ${name}`,
    );
    assert.equal(new Set(found).size, found.length, `messages in ${name} are there once`);
  }
}

/** Every message of these mailboxes has the UIDVALIDITY and UID that it had. */
export function assertIdentityKept(
  before: AccountDump,
  after: AccountDump,
  except: readonly string[] = [],
): void {
  for (const [name, { uidValidity, messages }] of before) {
    if (except.includes(name)) continue;
    assert.equal(mailbox(after, name).uidValidity, uidValidity, `UIDVALIDITY of ${name}`);
    const now = new Map(mailbox(after, name).messages.map((message) => [message.uid, content(message)]));
    for (const message of messages)
      assert.equal(now.get(message.uid), content(message), `${name} ${message.uid}`);
  }
}
