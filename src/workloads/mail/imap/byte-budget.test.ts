import assert from 'node:assert/strict';
import test from 'node:test';
import { ByteBudget } from './byte-budget.ts';

test('bytes are granted in order, up to the limit, and an oversize message alone', async () => {
  const budget = new ByteBudget(100);
  const order: string[] = [];
  assert.equal(budget.acquire(60), undefined);
  const large = budget.acquire(500)?.then(() => order.push('large'));
  const small = budget.acquire(10)?.then(() => order.push('small'));
  assert.ok(large && small, 'the small one does not overtake the large one for ever');
  budget.release(60);
  await large;
  assert.equal(budget.heldBytes, 500);
  assert.deepEqual(order, ['large']);
  budget.release(500);
  await small;
  assert.equal(budget.heldBytes, 10);
});
