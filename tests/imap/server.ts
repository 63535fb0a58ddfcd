/** What the tests of this folder share: one connection to the lab's Dovecot, ended with the test. */
import type { TestContext } from 'node:test';
import { ImapConnection, type ImapConnectOptions } from '../../src/workloads/mail/imap/index.ts';
import type { Dovecot } from '../lab/dovecot.ts';

export async function logIn(
  t: TestContext,
  dovecot: Dovecot,
  account: string,
  options: Partial<ImapConnectOptions> = {},
): Promise<ImapConnection> {
  const connection = await ImapConnection.connect({
    host: dovecot.address,
    port: dovecot.imapPort,
    security: 'none',
    auth: { account, authUser: dovecot.masterUser, secret: dovecot.masterSecret },
    timeouts: { connectMs: 5_000, greetingMs: 5_000, idleMs: 10_000 },
    ...options,
  });
  t.after(() => connection.close());
  return connection;
}
