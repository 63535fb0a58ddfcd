/** Goal: a plan takes itself back only where nobody can have worked on the new server, and a rollback brings along what they wrote everywhere else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlanRecord, StepState } from '../index.ts';
import type { TakeOver } from './context.ts';
import { rollbackSteps } from './rollback.ts';
import { isStuck } from './stuck.ts';

const failed = (...steps: readonly (readonly [name: string, state: StepState, attempts: number])[]) =>
  ({
    kind: 'switchover',
    state: 'failed',
    direction: 'forward',
    steps: steps.map(([name, state, attempts]) => ({ name, direction: 'forward', state, attempts })),
  }) as unknown as PlanRecord;

test('a switchover is stuck exactly where its rollback would undo its steps', () => {
  const before = [
    ['drain', 'failed', 1],
    ['rebind', 'pending', 0],
    ['rehome', 'pending', 0],
  ] as const;
  // Without a directory and a front door somebody else leads clients: nothing is rebound, and there is nobody to rehome.
  const led = [
    ['drain', 'done', 1],
    ['rehome', 'already', 0],
    ['protect', 'done', 1],
    ['probe', 'failed', 5],
  ] as const;
  for (const [record, stuck] of [
    [failed(...before), true],
    [failed(...led), false],
    [failed(['drain', 'done', 1], ['rebind', 'failed', 1]), false],
  ] as const) {
    assert.equal(isStuck(record), stuck, JSON.stringify(record.steps));
    assert.equal(rollbackSteps({} as TakeOver, record) === undefined, stuck);
  }
  assert.equal(isStuck({ ...failed(...before), kind: 'failover' }), false, 'it has no server to give back');
});
