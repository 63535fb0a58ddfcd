import assert from 'node:assert/strict';
import test from 'node:test';
import { systemClock } from '../../../lib/index.ts';
import { AccountProblems } from './problems.ts';

test('a problem of an account that is no longer named is forgotten', () => {
  const problems = new AccountProblems(systemClock);
  problems.failed('gone', new Error('refused'));
  problems.failed('stays', new Error('refused'));
  problems.keepOnly(new Set(['stays', 'other']));
  assert.deepEqual(
    problems.list().map(({ account }) => account),
    ['stays'],
  );
});
