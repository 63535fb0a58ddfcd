import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compareReadings, lossBetween } from './comparison.ts';
import type { AccountReading, MailboxReading, MessageReading } from './reading.ts';

const message = (uid: number, more: Partial<MessageReading> = {}): MessageReading => ({
  uid,
  flags: ['\\Seen'],
  internalDate: '01-Jan-2026 00:00:00 +0000',
  size: 100,
  sha256: `bytes ${uid}`,
  messageId: `<${uid}@old>`,
  subject: `number ${uid}`,
  ...more,
});

const mailbox = (
  name: string,
  messages: readonly MessageReading[],
  more: Partial<MailboxReading> = {},
): MailboxReading => ({
  name,
  uidValidity: 7,
  uidNext: 10,
  specialUse: undefined,
  subscribed: true,
  messages: new Map(messages.map((each) => [each.uid, each])),
  ...more,
});

const account = (...mailboxes: readonly MailboxReading[]): AccountReading =>
  new Map(mailboxes.map((each) => [each.name, each]));

const before = account(mailbox('INBOX', [message(1), message(2)]), mailbox('Work', [message(3)]));
const nothingNew = { sent: new Set<string>(), acknowledged: new Set<string>(), newUids: false };

describe('what was lost', () => {
  it('is what is not there under its UID any more', () => {
    const loss = lossBetween(before, account(mailbox('INBOX', [message(2)]), mailbox('Work', [message(3)])));
    assert.deepEqual([loss.mailboxes, loss.messages.map(({ uid }) => uid), loss.bytes], [[], [1], 100]);
  });

  it('is the whole mailbox when another has its name', () => {
    const other = mailbox('Work', [message(3)], { uidValidity: 8 });
    const loss = lossBetween(before, account(mailbox('INBOX', [message(1), message(2)]), other));
    assert.deepEqual([loss.mailboxes, loss.messages.length], [['Work'], 1]);
  });
});

describe('what came back', () => {
  const loss = lossBetween(before, account(mailbox('INBOX', [message(2)])));
  const compare = (after: AccountReading, expected = {}) =>
    compareReadings(before, after, loss, { ...nothingNew, ...expected });

  it('is everything when the readings are equal', () => {
    const result = compare(before);
    assert.deepEqual(result, { messages: 2, uidsKept: 2, uidValidityKept: true, differences: [] });
  });

  const work = mailbox('Work', [message(3)]);
  const inbox = mailbox('INBOX', [message(1), message(2)]);
  const cases: Record<string, [AccountReading, RegExp]> = {
    'a missing mailbox': [account(inbox), /^mailbox Work: missing$/],
    'a missing message': [account(mailbox('INBOX', [message(2)]), work), /UID 1: missing/],
    'other bytes': [
      account(mailbox('INBOX', [message(1, { sha256: 'x', messageId: '' }), message(2)]), work),
      /UID 1: missing/,
    ],
    'other flags': [account(mailbox('INBOX', [message(1, { flags: [] }), message(2)]), work), /flags was/],
    'another date': [
      account(mailbox('INBOX', [message(1, { internalDate: '' }), message(2)]), work),
      /INTERNALDATE/,
    ],
    'another UID': [
      account(mailbox('INBOX', [message(5, { sha256: 'bytes 1' }), message(2)]), work),
      /UID was 1, is 5/,
    ],
    'another UIDVALIDITY': [
      account(inbox, mailbox('Work', [message(3)], { uidValidity: 8 })),
      /UIDVALIDITY was 7, is 8/,
    ],
    'a lower UIDNEXT': [account(inbox, mailbox('Work', [message(3)], { uidNext: 4 })), /UIDNEXT/],
    'a lost subscription': [
      account(inbox, mailbox('Work', [message(3)], { subscribed: false })),
      /subscribed/,
    ],
    'a lost special use': [
      account(inbox, mailbox('Work', [message(3)], { specialUse: '\\Sent' })),
      /special use/,
    ],
    'a message from nowhere': [
      account(mailbox('INBOX', [message(1), message(2), message(9)]), work),
      /UID 9: was not there/,
    ],
    'a mailbox from nowhere': [account(inbox, work, mailbox('Extra', [])), /mailbox Extra: was not there/],
  };
  for (const [name, [after, expected]] of Object.entries(cases)) {
    it(`is not everything with ${name}`, () => {
      const { differences } = compare(after);
      assert.ok(
        differences.some((line) => expected.test(line)),
        differences.join('\n'),
      );
    });
  }

  it('may have a new UID where that is expected', () => {
    const after = account(mailbox('INBOX', [message(11, { sha256: 'bytes 1' }), message(2)]), work);
    const lostOne = lossBetween(before, account(mailbox('INBOX', [message(2)]), work));
    const result = compareReadings(before, after, lostOne, { ...nothingNew, newUids: true });
    assert.deepEqual(result, { messages: 1, uidsKept: 0, uidValidityKept: true, differences: [] });
  });

  it('has the new mail beside it, each once', () => {
    const news = new Set(['<11@old>']);
    const once = account(mailbox('INBOX', [message(1), message(2), message(11)]), work);
    assert.deepEqual(compare(once, { sent: news, acknowledged: news }).differences, []);
    const [missing] = compare(before, { sent: news, acknowledged: news }).differences;
    assert.match(missing ?? '', /new mail <11@old>: missing/);
    const twice = account(
      mailbox('INBOX', [message(1), message(2), message(11)]),
      work,
      mailbox('X', [message(11)]),
    );
    assert.ok(compare(twice, { sent: news }).differences.some((line) => /there 2 times/.test(line)));
  });
});
