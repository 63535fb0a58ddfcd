import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MailboxRow, MessageRow } from '../../../catalog/index.ts';
import type { Lsn, MailboxId } from '../../../journal/index.ts';
import { chooseTarget, planMessages, splitIntoRuns } from './plan.ts';

const message = (uid: number, body = uid, size = 100): MessageRow => ({
  mailboxId: 1 as MailboxId,
  uid,
  bodyLsn: body as Lsn,
  hash: new Uint8Array(32),
  size,
  flags: [],
  date: '01-Jan-2026 00:00:00 +0000',
});

const mailbox = (id: number, name: string, more: Partial<MailboxRow> = {}): MailboxRow => ({
  id: id as MailboxId,
  account: 'alice',
  name,
  delimiter: '/',
  uidValidity: 7,
  specialUse: [],
  subscribed: false,
  uidNext: 10,
  complete: true,
  ...more,
});

const uids = (messages: readonly MessageRow[]) => messages.map(({ uid }) => uid);

describe('what a restore in place has to bring back', () => {
  it('is nothing when every message is there', () => {
    const plan = planMessages([message(1), message(2)], [message(1), message(2)], true);
    assert.deepEqual([plan.wanted, plan.present, plan.missing, plan.inPlace], [2, 2, [], [1, 2]]);
  });

  it('is what is gone, whatever came since', () => {
    const plan = planMessages([message(1), message(2)], [message(2), message(3)], true);
    assert.deepEqual(uids(plan.missing), [1]);
  });

  it('is nothing more when an earlier restore brought the bytes back under a new UID', () => {
    const plan = planMessages([message(1), message(2)], [message(2), message(9, 1)], true);
    assert.deepEqual([plan.present, plan.missing], [2, []]);
  });

  it('brings back two equal mails as two', () => {
    const plan = planMessages([message(1, 5), message(2, 5)], [message(9, 5)], true);
    assert.deepEqual(uids(plan.missing), [2]);
  });

  it('does not take another message under the same UID for the wanted one', () => {
    const plan = planMessages([message(1, 5)], [message(1, 6)], true);
    assert.deepEqual(uids(plan.missing), [1]);
  });

  it('compares bytes alone when the target has another identity', () => {
    const plan = planMessages([message(1, 5), message(2, 6)], [message(1, 6), message(2, 99)], false);
    assert.deepEqual(uids(plan.missing), [1]);
  });
});

describe('where it goes', () => {
  it('is the same mailbox under its present name', () => {
    const now = [mailbox(1, 'Renamed')];
    assert.deepEqual(chooseTarget(mailbox(1, 'Old'), now, { canPin: true }), {
      kind: 'existing',
      mailbox: now[0],
      sameIdentity: true,
    });
  });

  it('is a mailbox made anew when the name is free', () => {
    assert.deepEqual(chooseTarget(mailbox(1, 'Work'), [], { canPin: true }), {
      kind: 'created',
      name: 'Work',
    });
  });

  it('gives its identity to an INBOX that the server made anew and nothing was ever in', () => {
    const now = [mailbox(2, 'INBOX', { uidValidity: 9, uidNext: 1 })];
    assert.equal(chooseTarget(mailbox(1, 'INBOX'), now, { canPin: true }).kind, 'pristine');
    assert.equal(chooseTarget(mailbox(1, 'INBOX'), now, { canPin: false }).kind, 'existing');
  });

  it('lets a mailbox that was made anew and used since step aside only when it may', () => {
    const now = [mailbox(2, 'INBOX', { uidValidity: 9, uidNext: 4 })];
    const wanted = mailbox(1, 'INBOX');
    assert.equal(chooseTarget(wanted, now, { canPin: true, mayStepAside: true }).kind, 'aside');
    assert.equal(chooseTarget(wanted, now, { canPin: true }).kind, 'existing');
    assert.equal(chooseTarget(wanted, now, { canPin: false, mayStepAside: true }).kind, 'existing');
  });

  it('goes on in the mailbox in which a restore was interrupted, whatever was delivered since', () => {
    const now = [mailbox(2, 'Work', { uidValidity: 9, uidNext: 4 })];
    const target = chooseTarget(mailbox(1, 'Work'), now, { canPin: true, leftAside: true });
    assert.deepEqual(target, { kind: 'resumed', mailbox: now[0] });
  });

  it('is a mailbox that came back before', () => {
    const now = [mailbox(2, 'Work', { uidNext: 4 })];
    assert.deepEqual(chooseTarget(mailbox(1, 'Work'), now, { canPin: true }), {
      kind: 'existing',
      mailbox: now[0],
      sameIdentity: true,
    });
  });
});

describe('runs of appends', () => {
  it('keep consecutive UIDs together and pin each gap once', () => {
    const missing = [message(1), message(2), message(5), message(6), message(9)];
    const { pinned, floating } = splitIntoRuns(missing, { uidNext: 1, canPin: true });
    assert.deepEqual(
      pinned.map((run) => uids(run.messages)),
      [[1, 2], [5, 6], [9]],
    );
    assert.deepEqual(floating, []);
  });

  it('leave new UIDs to the server for messages whose UID is in the past', () => {
    const { pinned, floating } = splitIntoRuns([message(3), message(12)], { uidNext: 10, canPin: true });
    assert.deepEqual(
      [pinned, floating].map((runs) => runs.map((run) => uids(run.messages))),
      [[[12]], [[3]]],
    );
  });

  it('are bounded in bytes', () => {
    const big = 12 * 1024 * 1024;
    const missing = [message(1, 1, big), message(2, 2, big)];
    assert.equal(splitIntoRuns(missing, { uidNext: 1, canPin: true }).pinned.length, 2);
    assert.equal(splitIntoRuns(missing, { uidNext: 1, canPin: false }).floating.length, 2);
  });
});
