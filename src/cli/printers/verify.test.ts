/** Goal: the first line of a comparison says no more than was compared. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printVerify } from './verify.ts';

type Output = Parameters<typeof printVerify>[0];

function firstLine(more: Partial<Output>): string | undefined {
  return printVerify({
    server: 'mail-a',
    equal: false,
    certificate: {
      server: 'mail-a',
      journalId: 'j',
      lsn: 7,
      asOf: '2026-11-24T03:00:00.000Z',
      comparedAt: '2026-11-24T03:00:00.000Z',
      accounts: 1,
      mailboxes: 1,
      messages: 1,
      bodiesCompared: 1,
      bodies: 'all',
      digest: 'd',
    },
    differences: [],
    differenceCount: 0,
    problems: [],
    ...more,
  }).split('\n')[0];
}

const problem = { account: 'bob', code: 'MAIL_AUTH_FAILED', message: 'no', remedy: 'look' };
const difference = { account: 'bob', mailbox: 'INBOX', uid: 1, what: 'flags' };

test('equal, different, or not compared as a whole', () => {
  assert.equal(firstLine({ equal: true }), 'mail-a equals its replica');
  const different = { differences: [difference], differenceCount: 1 };
  assert.equal(firstLine(different), 'mail-a differs from its replica in 1 place');
  assert.equal(
    firstLine({ ...different, problems: [problem] }),
    'mail-a differs from its replica in 1 place',
  );
  assert.equal(
    firstLine({ problems: [problem], against: 'mail-b' }),
    'mail-b could not be compared with the replica of mail-a as a whole; no difference in what was compared',
  );
});
