import assert from 'node:assert/strict';
import test from 'node:test';
import { silentLog, systemClock } from '../../lib/index.ts';
import type { ThreadStart } from '../threads.ts';
import { ThreadHost } from './thread-host.ts';

/** Takes a moment to be ready; dies of any call but `stop`. */
const THREAD = `
import { parentPort } from 'node:worker_threads';
setTimeout(() => {
  parentPort.on('message', ({ id, method }) => {
    if (method !== 'stop') process.exit(1);
    parentPort.postMessage({ id, result: undefined });
    parentPort.close();
  });
  parentPort.postMessage({ ready: true });
}, 300);
`;

test('stopping ends a thread too that is just being started again', { timeout: 10_000 }, async () => {
  const restarting = Promise.withResolvers<void>();
  const host = await ThreadHost.start({
    entry: new URL(`data:text/javascript,${encodeURIComponent(THREAD)}`),
    start: {} as ThreadStart,
    clock: {
      ...systemClock,
      sleep: async () => restarting.resolve(),
    },
    log: silentLog,
  });
  await assert.rejects(host.call('status', undefined), { code: 'API_VAULT_UNAVAILABLE' });
  await restarting.promise;
  await host.stop();
  await host.stop();
});
