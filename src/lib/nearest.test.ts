import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from './nearest.ts';

test('a misspelt name finds the one that was meant', () => {
  const names = ['alice', 'bob', 'carol', 'INBOX', 'Projects/2020'];
  assert.equal(nearest('alcie', names), 'alice');
  assert.equal(nearest('ALICE', names), 'alice');
  assert.equal(nearest('bobb', names), 'bob');
  assert.equal(nearest('inbx', names), 'INBOX');
  assert.equal(nearest('Projects', names), 'Projects/2020');
});

test('no name is better than a far one', () => {
  assert.equal(nearest('zebra', ['alice', 'bob']), undefined);
  assert.equal(nearest('x', []), undefined);
  assert.equal(nearest('', ['alice']), undefined);
});
