import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MailboxRow } from '../../../catalog/index.ts';
import type { MailboxId } from '../../../journal/index.ts';
import { compareTrees, type ListedMailbox } from './tree.ts';

const listed = (name: string, more: Partial<ListedMailbox> = {}): ListedMailbox => ({
  name,
  delimiter: '/',
  uidValidity: 1,
  uidNext: 1,
  highestModSeq: '1',
  messages: 0,
  guid: `guid-${name}`,
  specialUse: [],
  subscribed: false,
  ...more,
});

const known = (id: number, name: string, more: Partial<MailboxRow> = {}): MailboxRow => ({
  id: id as MailboxId,
  account: 'alice',
  name,
  delimiter: '/',
  uidValidity: 1,
  uidNext: 1,
  highestModSeq: '1',
  guid: `guid-${name}`,
  specialUse: [],
  subscribed: false,
  complete: true,
  ...more,
});

function compare(before: MailboxRow[], now: ListedMailbox[], setBack: number[] = []) {
  let id = 100;
  return compareTrees('alice', before, now, () => id++ as MailboxId, new Set(setBack as MailboxId[]));
}

describe('the mailbox tree of the server against the one of the replica', () => {
  it('is no change when both are the same', () => {
    const changes = compare([known(1, 'INBOX')], [listed('INBOX')]);
    assert.deepEqual(changes.structure, []);
    assert.deepEqual(changes.gone, []);
    assert.equal(changes.followed[0]?.id, 1);
  });

  it('keeps the mailbox through a rename, found by the server’s own id', () => {
    const changes = compare([known(1, 'Old')], [listed('New', { guid: 'guid-Old' })]);
    assert.deepEqual(changes.structure, [{ t: 'mailbox-change', id: 1, name: 'New' }]);
    assert.deepEqual(changes.gone, []);
  });

  it('keeps both mailboxes when two names are swapped', () => {
    const changes = compare(
      [known(1, 'A'), known(2, 'B')],
      [listed('A', { guid: 'guid-B' }), listed('B', { guid: 'guid-A' })],
    );
    assert.deepEqual(changes.structure, [
      { t: 'mailbox-change', id: 2, name: 'A' },
      { t: 'mailbox-change', id: 1, name: 'B' },
    ]);
  });

  it('ends the old incarnation before the new one begins when UIDVALIDITY changed', () => {
    const changes = compare([known(1, 'INBOX')], [listed('INBOX', { uidValidity: 2 })]);
    assert.deepEqual(
      changes.structure.map((record) => [record.t, 'id' in record ? record.id : undefined]),
      [
        ['mailbox-gone', 1],
        ['mailbox', 100],
      ],
    );
    assert.equal(changes.followed[0]?.known, undefined);
  });

  it('treats a deleted and re-created mailbox as another one, even with the same UIDVALIDITY', () => {
    const changes = compare([known(1, 'Work')], [listed('Work', { guid: 'other' })]);
    assert.deepEqual(
      changes.structure.map((record) => record.t),
      ['mailbox-gone', 'mailbox'],
    );
  });

  it('begins anew with a mailbox that was set back in time, though its ids are the same', () => {
    const changes = compare([known(1, 'INBOX')], [listed('INBOX')], [1]);
    assert.deepEqual(
      changes.structure.map((record) => [record.t, 'id' in record ? record.id : undefined]),
      [
        ['mailbox-gone', 1],
        ['mailbox', 100],
      ],
    );
  });

  it('leaves a deletion for the end, so that what was moved out is never absent', () => {
    const changes = compare([known(1, 'INBOX'), known(2, 'Work')], [listed('INBOX')]);
    assert.deepEqual(changes.structure, []);
    assert.deepEqual(
      changes.gone.map((row) => row.name),
      ['Work'],
    );
  });

  it('frees a name in the same step when another mailbox takes it', () => {
    const changes = compare([known(1, 'A'), known(2, 'B')], [listed('B', { guid: 'guid-A' })]);
    assert.deepEqual(changes.structure, [
      { t: 'mailbox-gone', id: 2 },
      { t: 'mailbox-change', id: 1, name: 'B' },
    ]);
  });

  it('finds mailboxes by name on a server without ids of its own', () => {
    const { guid: _a, ...row } = known(1, 'INBOX');
    const { guid: _b, ...box } = listed('INBOX', { subscribed: true });
    assert.deepEqual(compare([row], [box]).structure, [{ t: 'mailbox-change', id: 1, subscribed: true }]);
  });

  it('learns the id of a mailbox that was known by name alone', () => {
    const { guid: _, ...row } = known(1, 'INBOX');
    assert.deepEqual(compare([row], [listed('INBOX')]).structure, [
      { t: 'mailbox-change', id: 1, guid: 'guid-INBOX' },
    ]);
  });
});
