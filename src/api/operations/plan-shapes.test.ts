/** Goal: scripts may rely on what a plan amounts to, whichever command ended it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allOperations } from './index.ts';
import { goingOnOutcome, planOutcome } from './plan-shapes.ts';

function ended(
  state: string,
  problems: readonly { step: string }[] = [],
  steps: readonly object[] = [],
  runs: readonly string[] = ['forward'],
) {
  const plan = { state, steps, runs: runs.map((direction) => ({ direction })), report: { problems } };
  return { resumed: false, plan } as never;
}

test('a plan that ends for some accounts only is done in part', () => {
  assert.equal(planOutcome(ended('done')), 'done');
  assert.equal(planOutcome(ended('done', [{ step: 'finish' }])), 'partial');
  assert.equal(planOutcome(ended('failed', [{ step: 'finish' }])), 'failed');
  assert.equal(planOutcome(ended('interrupted')), 'failed');
  assert.equal(planOutcome(ended('committed', [{ step: 'finish' }])), 'done');
});

test('of a plan that was taken back only what the way back left counts', () => {
  const back = [{ direction: 'forward' }, { direction: 'back' }];
  assert.equal(planOutcome(ended('rolled-back', [{ step: 'finish' }, { step: 'quick' }])), 'done');
  assert.equal(planOutcome(ended('rolled-back', [{ step: 'finish' }], back)), 'done');
  assert.equal(planOutcome(ended('rolled-back', [{ step: 'quick' }], back)), 'partial');
});

test('a plan that is not what was asked for has failed, however well it is', () => {
  const taken = (state: string, ...runs: string[]) => ended(state, [], [], runs);
  assert.equal(planOutcome(taken('done', 'forward', 'back')), 'failed', 'its rollback was given up');
  assert.equal(planOutcome(taken('rolled-back', 'forward', 'back')), 'done', 'by whoever took it back');
  assert.equal(goingOnOutcome(taken('rolled-back', 'forward', 'back')), 'failed', 'by itself');
  assert.equal(goingOnOutcome(taken('rolled-back', 'forward', 'forward', 'back')), 'failed');
  assert.equal(goingOnOutcome(taken('rolled-back', 'forward', 'back', 'back')), 'done', 'a rollback went on');
  assert.equal(goingOnOutcome(taken('done', 'forward', 'forward')), 'done');
});

test('a dry run that finds something red says what the plan would', () => {
  const dry = (...states: string[]) =>
    ({ dryRun: true, findings: states.map((state) => ({ state })) }) as never;
  assert.equal(planOutcome(dry('green', 'amber')), 'done');
  assert.equal(planOutcome(dry('amber', 'red')), 'refused');
});

test('every command that moves a plan on, back or to its end asks first', async () => {
  const operations = await allOperations();
  for (const name of ['failover', 'switchover', 'plan resume', 'plan rollback', 'plan commit']) {
    const operation = operations.find((one) => one.name === name);
    assert.equal(operation?.needsAnswer, true, name);
    assert.notEqual(
      operation?.confirmation?.({ id: 'x', pair: 'p', dryRun: false } as never),
      undefined,
      name,
    );
  }
});
