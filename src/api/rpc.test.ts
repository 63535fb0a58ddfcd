/** Goal: calls between threads give progress, results and errors in order, can be aborted, and end when the callee does. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import type { Progress } from '../lib/index.ts';
import { apiErrors } from './errors.ts';
import { answerCalls, Caller, type Handlers } from './rpc.ts';

type Calculator = {
  double: { params: number; result: number };
  refuse: { params: undefined; result: undefined };
  wait: { params: undefined; result: string };
};

const handlers: Handlers<Calculator> = {
  double: (value, { progress }) => {
    progress({ phase: 'doubling' });
    return value * 2;
  },
  refuse: () => {
    throw apiErrors.make('API_NOT_FOUND', 'nothing here', { details: { looked: 'everywhere' } });
  },
  wait: async (_, { signal }) => {
    await delay(10_000, undefined, { signal }).catch(() => {});
    throw signal.reason;
  },
};

function connect(t: TestContext): Caller<Calculator> {
  const { port1, port2 } = new MessageChannel();
  answerCalls(port1, handlers);
  t.after(() => port1.close());
  return new Caller<Calculator>(port2);
}

test('a call gives its progress, then its result', async (t) => {
  const seen: Progress[] = [];
  const caller = connect(t);
  assert.deepEqual(
    await Promise.all([
      caller.call('double', 4, { progress: (p) => seen.push(p) }),
      caller.call('double', 5),
    ]),
    [8, 10],
  );
  assert.deepEqual(seen, [{ phase: 'doubling' }]);
});

test('an error keeps code, remedy and details', async (t) => {
  await assert.rejects(connect(t).call('refuse', undefined), {
    name: 'UnderstudyError',
    code: 'API_NOT_FOUND',
    message: 'nothing here',
    remedy: apiErrors.declarations.API_NOT_FOUND.remedy,
    details: { looked: 'everywhere' },
  });
});

test('an abort reaches the callee, whose answer the caller waits for', async (t) => {
  const controller = new AbortController();
  const call = connect(t).call('wait', undefined, { signal: controller.signal });
  controller.abort();
  await assert.rejects(call, { code: 'API_INTERRUPTED' });
});

test('calls under way and later ones are rejected when the callee is gone', async (t) => {
  const caller = connect(t);
  const call = caller.call('wait', undefined);
  caller.close(apiErrors.make('API_VAULT_UNAVAILABLE', 'it has ended'));
  await assert.rejects(call, { code: 'API_VAULT_UNAVAILABLE' });
  await assert.rejects(caller.call('double', 1), { code: 'API_VAULT_UNAVAILABLE' });
});
