import assert from 'node:assert/strict';
import { test } from 'node:test';
import { progressText } from './progress.ts';

test('progress says what is known', () => {
  assert.equal(
    progressText({
      phase: 'baseline',
      server: 'm',
      accountsDone: 1,
      accountsTotal: 40,
      messagesDone: 8100,
      bytesDone: 2048,
      etaMs: 62_000,
      account: 'alice',
    }),
    'baseline m: 1 of 40 accounts · 8,100 messages · 2.0 KiB · 1 min 2 s left · alice',
  );
});
