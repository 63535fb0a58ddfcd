import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from './clock.ts';

test('a sleep of more days than a timer can count does not end at once', async () => {
  const abort = new AbortController();
  let isOver = false;
  const long = systemClock.sleep(30 * 86_400_000, abort.signal).then(
    () => {
      isOver = true;
    },
    () => {},
  );
  await systemClock.sleep(50);
  assert.equal(isOver, false);
  abort.abort();
  await long;
  assert.equal(isOver, false);
});
