/** Goal: a body that was added is never denied. Method: many random hashes. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { SeenBodies } from './seen-bodies.ts';

const hashOf = (text: string) => hash('sha256', text, 'buffer');

test('what was added is always there, and few others are', () => {
  const seen = new SeenBodies();
  for (let count = 0; count < 100_000; count += 1) seen.add(hashOf(`added ${count}`));
  let wrong = 0;
  for (let count = 0; count < 100_000; count += 1) {
    assert.ok(seen.mayHave(hashOf(`added ${count}`)));
    if (seen.mayHave(hashOf(`other ${count}`))) wrong += 1;
  }
  assert.ok(wrong < 10, `${wrong}`);
});
