import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { TestClock } from '../lib/index.ts';
import { mailErrors } from '../workloads/mail/errors.ts';
import { UnprotectedEvents } from './unprotected.ts';

test('an event is open until its look ends well, or a pass that began after it has ended', async () => {
  const clock = new TestClock();
  const events = new UnprotectedEvents(clock);
  const look = Promise.withResolvers<void>();
  const began = clock.wallMs();
  events.note('mail-a', 'bob', look.promise);
  events.note('mail-a', 'bob', Promise.reject(new Error('refused')));
  events.note('mail-a', 'bob', Promise.resolve());
  await turn();
  assert.equal(events.count('mail-a', undefined), 2);
  assert.equal(events.count('mail-b', undefined), 0);
  look.resolve();
  await turn();
  const pass = { beganAt: began, unread: [] };
  assert.equal(events.count('mail-a', pass), 1, 'such a pass may have looked at the account before');
  assert.equal(events.count('mail-a', { ...pass, beganAt: began + 1 }), 0);
});

test('an event stays open while passes cannot read its account', async () => {
  const events = new UnprotectedEvents(new TestClock(0));
  events.note('mail-a', 'amy', Promise.reject(new Error('refused')));
  events.note('mail-a', 'bob', Promise.reject(new Error('refused')));
  events.note('mail-a', 'bob', new Promise(() => {}));
  await turn();
  assert.equal(events.count('mail-a', { beganAt: 1, unread: ['bob'] }), 2);
  assert.equal(events.count('mail-a', { beganAt: 2, unread: [] }), 0);
});

test('an event of an account that is not followed is not one that was to be protected', async () => {
  const events = new UnprotectedEvents(new TestClock());
  events.note('mail-a', 'bob', Promise.reject(mailErrors.make('MAIL_ACCOUNT_NOT_FOLLOWED', 'nobody')));
  await turn();
  assert.equal(events.count('mail-a', undefined), 0);
});

test('however long nobody asks, every event that failed is counted, and not held one by one', async () => {
  const clock = new TestClock();
  const events = new UnprotectedEvents(clock);
  const days = 3;
  for (let minute = 0; minute < days * 1_440; minute += 1) {
    for (let number = 0; number < 3; number += 1)
      events.note('mail-a', 'bob', Promise.reject(new Error('refused')));
    await turn();
    clock.advance(60_000);
  }
  assert.equal(events.count('mail-a', undefined), days * 1_440 * 3);
  // A pass of half an hour ago has found all but those that came since.
  assert.equal(events.count('mail-a', { beganAt: clock.wallMs() - 1_800_000, unread: [] }), 30 * 3);
  assert.equal(events.count('mail-a', { beganAt: clock.wallMs(), unread: [] }), 0);
});
