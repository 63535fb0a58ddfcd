/** Goal: what a report measures is of the way that was gone, not of one that was given up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlanRecord } from '../index.ts';
import { begunOf, wasCompared } from './report.ts';

const DAY = 86_400_000;
const run = (at: number, direction: string) => ({ at, direction, by: 'x' });
const record = (direction: string, steps: readonly object[]) =>
  ({
    direction,
    steps: [{ direction: 'forward', startedAt: 1 }, ...steps],
    runs: [run(1, 'forward'), run(DAY, 'back'), run(3 * DAY, 'back'), run(3 * DAY + 9, 'back')],
  }) as unknown as PlanRecord;

test('a rollback begins with its own steps, which each one has anew; one that undoes steps with whoever asked for it', () => {
  const steps = [
    { direction: 'back', startedAt: 3 * DAY + 1 },
    { direction: 'back', startedAt: 3 * DAY + 5 },
    { direction: 'back' },
  ];
  assert.equal(begunOf(record('back', steps)), 3 * DAY + 1);
  assert.equal(begunOf(record('back', [])), DAY);
  assert.equal(begunOf(record('forward', [])), undefined);
});

test('where nothing could be carried back the comparison of the move is none of the rollback', () => {
  const steps = [{ name: 'rehome', direction: 'forward', state: 'done', attempts: 1 }];
  const back = { state: 'rolled-back', steps } as unknown as PlanRecord;
  const compared = (carriedTail: object) =>
    wasCompared(back, (key) => (key === 'carriedTail' ? carriedTail : undefined) as never);
  assert.equal(compared({ at: 7 }), false);
  assert.equal(compared({ at: 7, accounts: 2 }), true);
});
