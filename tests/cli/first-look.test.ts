/**
 * Goal: opening an account for the first time makes its INBOX, which the server tells; the service's own look must
 * not wait for the answer to that. Method: accounts that nobody has opened, synchronous protection, the status.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../lab/address.ts';
import { startDovecot } from '../lab/dovecot.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { startService, understudyJson, writeConfig } from './service.ts';

const PUSH_TIMEOUT_MS = 20_000;

test('the first pass over accounts that nobody opened does not wait for itself', async (t) => {
  const folder = temporaryDirectory('first-look', t).path;
  const port = await freePort('127.0.0.1');
  const dovecot = await startDovecot({
    accounts: 8,
    format: 'sdbox',
    push: { url: `http://127.0.0.1:${port}/push/mail-a`, timeoutMs: PUSH_TIMEOUT_MS + 500 },
  });
  t.after(() => dovecot.stop());
  writeConfig(folder, dovecot, {
    listen: `127.0.0.1:${port}`,
    extra: `    push: { mode: synchronous, timeout: ${PUSH_TIMEOUT_MS}ms }\n`,
  });
  const service = await startService(folder);
  t.after(async () => {
    service.process.kill('SIGTERM');
    await service.ended;
  });
  const began = performance.now();
  for (;;) {
    const { output } = await understudyJson(folder, 'status');
    if (output.servers[0].state === 'following') break;
    assert.ok(performance.now() - began < PUSH_TIMEOUT_MS / 2, JSON.stringify(output));
    await delay(100);
  }
});
