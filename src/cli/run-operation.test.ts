import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allOperations } from '../api/index.ts';
import { goesOn } from './run-operation.ts';

test('only a command that moves a plan is said to go on in the service', async () => {
  const going = (dryRun: boolean) =>
    operations.filter((one) => goesOn(one, { id: 'x', pair: 'p', dryRun })).map(({ name }) => name);
  const operations = await allOperations();
  assert.deepEqual(going(false).sort(), [
    'failover',
    'plan commit',
    'plan resume',
    'plan rollback',
    'switchover',
  ]);
  assert.deepEqual(going(true).sort(), ['plan commit', 'plan resume']);
});
