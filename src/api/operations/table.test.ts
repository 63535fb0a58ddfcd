/** Goal: the table of operations is consistent, for everything else is derived from it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allOperations, operationNames } from './index.ts';

test('operations are listed under their own names', async () => {
  assert.deepEqual(
    (await allOperations()).map((operation) => operation.name),
    [...operationNames],
  );
});

test('positional arguments are inputs, and every input says what it is for', async () => {
  for (const operation of await allOperations()) {
    const keys = Object.keys(operation.input.shape);
    for (const key of operation.positional) assert.ok(keys.includes(key), `${operation.name}: ${key}`);
    for (const [key, schema] of Object.entries(operation.input.shape)) {
      assert.ok(describes(schema), `${operation.name}: ${key} has a description`);
    }
    assert.match(operation.summary, /\.$/);
  }
});

function describes(schema: unknown): boolean {
  const { description, def } = schema as { description?: string; def: { innerType?: unknown } };
  return description !== undefined || (def.innerType !== undefined && describes(def.innerType));
}
