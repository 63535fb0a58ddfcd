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
  events.note('mail-a', look.promise);
  events.note('mail-a', Promise.reject(new Error('refused')));
  events.note('mail-a', Promise.resolve());
  await turn();
  assert.equal(events.count('mail-a', undefined), 2);
  assert.equal(events.count('mail-b', undefined), 0);
  look.resolve();
  await turn();
  assert.equal(events.count('mail-a', began + 60_000), 1, 'such a pass may have begun before');
  assert.equal(events.count('mail-a', began + 60_001), 0);
});

test('an event of an account that is not followed is not one that was to be protected', async () => {
  const events = new UnprotectedEvents(new TestClock());
  events.note('mail-a', Promise.reject(mailErrors.make('MAIL_ACCOUNT_NOT_FOLLOWED', 'nobody')));
  await turn();
  assert.equal(events.count('mail-a', undefined), 0);
});

test('however long nobody asks, every event that failed is counted, and not held one by one', async () => {
  const clock = new TestClock();
  const events = new UnprotectedEvents(clock);
  const days = 3;
  for (let minute = 0; minute < days * 1_440; minute += 1) {
    for (let number = 0; number < 3; number += 1) events.note('mail-a', Promise.reject(new Error('refused')));
    await turn();
    clock.advance(60_000);
  }
  assert.equal(events.count('mail-a', undefined), days * 1_440 * 3);
  // A pass of an hour ago has found all but those of the last hour.
  assert.equal(events.count('mail-a', clock.wallMs() - 3_600_000), 61 * 3);
  assert.equal(events.count('mail-a', clock.wallMs() + 60_001), 0);
});
