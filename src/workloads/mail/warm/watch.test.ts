/** Goal: an account that somebody else wrote to is found, and one that cannot be set right is found once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Catalog } from '../../../catalog/index.ts';
import type { Lsn } from '../../../journal/index.ts';
import type { DoveadmMailboxStatus } from '../doveadm/index.ts';
import { StandbyWatch } from './watch.ts';

const AT = 9 as Lsn;

function inbox(change: Partial<DoveadmMailboxStatus> = {}): DoveadmMailboxStatus {
  const whole = { messages: 3, uidNext: 4, uidValidity: 7, highestModSeq: '20', guid: 'g' };
  return { user: 'alice', mailbox: 'INBOX', ...whole, ...change };
}

function watching() {
  const row = {
    account: 'alice',
    name: 'INBOX',
    delimiter: '/',
    uidValidity: 7,
    uidNext: 4,
    highestModSeq: '10',
  };
  const catalog = {
    account: (account: string) => (account === 'alice' ? { account } : undefined),
    mailboxStates: () => [{ row, messages: 3, uidNext: 4 }],
  };
  const watch = new StandbyWatch(catalog as unknown as Catalog);
  watch.learnNames({ separator: '/', prefix: '', isOwn: () => true });
  return {
    touched: () => watch.touched('alice'),
    compared: () => watch.compared('alice'),
    other: (...rows: readonly DoveadmMailboxStatus[]) =>
      [...watch.servedBy(rows)]
        .filter(([account, served]) => watch.isOther(account, served, AT))
        .map(([a]) => a),
  };
}

test('an account that is as it was left is none, whatever we did there meanwhile', () => {
  const { other, touched } = watching();
  assert.deepEqual(other(inbox()), []);
  assert.deepEqual(other(inbox()), []);
  touched();
  assert.deepEqual(other(inbox({ highestModSeq: '25' })), []);
  assert.deepEqual(other(inbox({ highestModSeq: '25' }), { ...inbox(), user: 'stranger' }), []);
});

test('somebody else wrote: a message, flags alone, or everything is gone', () => {
  const { other } = watching();
  assert.deepEqual(other(inbox({ messages: 4, uidNext: 5 })), ['alice'], 'before it was ever seen');
  assert.deepEqual(other(inbox()), ['alice'], 'and once more as it should be');
  assert.deepEqual(other(inbox({ highestModSeq: '21' })), ['alice'], 'flags');
  assert.deepEqual(other(), ['alice'], 'no mailbox left');
});

test('what was just compared as a whole is as it was left, whatever STATUS says of it', () => {
  const { other, touched, compared } = watching();
  touched();
  compared();
  assert.deepEqual(other(inbox({ uidValidity: 8 })), []);
  assert.deepEqual(other(inbox({ uidValidity: 8 })), []);
  assert.deepEqual(other(inbox({ uidValidity: 8, messages: 4 })), ['alice']);
});

test('what a comparison could not set right is found once, until it is over', () => {
  const { other, touched } = watching();
  assert.deepEqual(other(inbox({ uidValidity: 8 })), ['alice']);
  touched();
  assert.deepEqual(other(inbox({ uidValidity: 8, highestModSeq: '22' })), []);
  touched();
  assert.deepEqual(other(inbox()), []);
  touched();
  assert.deepEqual(other(inbox({ uidValidity: 8 })), ['alice']);
});
