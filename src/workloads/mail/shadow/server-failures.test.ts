/** Goal: log-ins that nobody can be served are the server's failure. Method: a port that answers each log-in with one code, as no server does when told to. */
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { silentLog, systemClock } from '../../../lib/index.ts';
import type { MailDeps } from '../types.ts';
import { ConnectionPool } from './connection-pool.ts';
import { ServerFailures } from './server-failures.ts';

async function refusal(t: TestContext, code: string): Promise<unknown> {
  const server = createServer((socket) => {
    socket.write('* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n');
    socket.on('error', () => {});
    socket.on('data', (line) => socket.write(`${String(line).split(' ')[0]} NO [${code}] not now\r\n`));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const secret = { reveal: () => 'x' };
  const config = {
    host: '127.0.0.1',
    imap: {
      port: (server.address() as AddressInfo).port,
      security: 'none',
      timeout: 2_000,
      masterUser: 'm',
      masterSecret: secret,
      separator: '*',
    },
    accounts: { list: [] },
    shadow: { connections: 1 },
  };
  const deps = { server: 'mail-a', config, clock: systemClock, log: silentLog } as unknown as MailDeps;
  const pool = new ConnectionPool(deps, { keepWarm: 0 });
  t.after(() => {
    pool.close();
    server.close();
  });
  return pool
    .use('alice', async () => undefined)
    .then(
      () => assert.fail('it was let in'),
      (error: unknown) => error,
    );
}

for (const [code, stalls] of [
  ['UNAVAILABLE', true],
  ['SERVERBUG', true],
  ['INUSE', false],
] as const) {
  test(`twenty log-ins in a row refused with ${code}, after others were let in`, async (t) => {
    const error = await refusal(t, code);
    const failures = new ServerFailures();
    failures.well();
    const said = Array.from({ length: 20 }, (_, at) => failures.failed(`user${at}`, error));
    assert.deepEqual([said.slice(0, 19).includes(true), said[19]], [false, stalls]);
  });
}
