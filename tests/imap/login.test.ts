/** Goal: every way in works against a real Dovecot, and every refusal has its own code. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import test, { after, before } from 'node:test';
import { hasCode } from '../../src/lib/index.ts';
import { ImapConnection } from '../../src/workloads/mail/imap/index.ts';
import { freePort } from '../lab/address.ts';
import { type Dovecot, startDovecot } from '../lab/dovecot.ts';
import { startFaultyProxy } from '../lab/faulty-proxy.ts';
import { logIn } from './server.ts';

let dovecot: Dovecot;
before(async () => {
  dovecot = await startDovecot({ accounts: 2, ssl: true });
});
after(() => dovecot.stop());

const refused = (code: string) => (error: unknown) => hasCode(error, code) && error.remedy !== '';

test('a master user acts for an account by authorization identity, by separator, and by LOGIN', async (t) => {
  const master = { account: 'user0002', authUser: dovecot.masterUser, secret: dovecot.masterSecret };
  const byIdentity = await logIn(t, dovecot, 'user0002');
  await byIdentity.create('Only in 2');
  const bySeparator = await logIn(t, dovecot, 'user0002', { auth: { ...master, separator: '*' } });
  const noPlain = await startFaultyProxy(
    { host: dovecot.address, port: dovecot.imapPort },
    { rewrites: [{ from: 'AUTH=PLAIN', to: 'AUTH=XXXXX' }] },
  );
  t.after(() => noPlain.close());
  const byLogin = await logIn(t, dovecot, 'user0002', { host: noPlain.host, port: noPlain.port });
  const noInitialResponse = await startFaultyProxy(
    { host: dovecot.address, port: dovecot.imapPort },
    { rewrites: [{ from: ' SASL-IR ', to: ' XXXX-XX ' }] },
  );
  t.after(() => noInitialResponse.close());
  const inTwoSteps = await logIn(t, dovecot, 'user0002', {
    host: noInitialResponse.host,
    port: noInitialResponse.port,
  });
  for (const connection of [byIdentity, bySeparator, byLogin, inTwoSteps]) {
    const names = (await connection.listMailboxes({ status: false })).map(({ name }) => name);
    assert.ok(names.includes('Only in 2'), names.join());
    assert.ok(connection.has('QRESYNC'), 'capabilities are those after the login');
  }
  assert.ok(noPlain.struck > 0 && noInitialResponse.struck > 0);
});

test('an account logs in with its own password', async (t) => {
  const auth = { account: 'user0001', secret: dovecot.accountPassword('user0001') };
  await (await logIn(t, dovecot, 'user0001', { auth })).noop();
});

test('TLS and STARTTLS verify against a private authority', async (t) => {
  const tls = { caFile: dovecot.caFile as string };
  await (await logIn(t, dovecot, 'user0001', { security: 'starttls', tls })).noop();
  await (await logIn(t, dovecot, 'user0001', { security: 'tls', port: dovecot.imapsPort, tls })).noop();
  const named = { ...tls, servername: 'localhost' };
  await (await logIn(t, dovecot, 'user0001', { security: 'starttls', tls: named })).noop();
});

test('a certificate that does not verify is refused, unless the configuration says otherwise', async (t) => {
  const starttls = { security: 'starttls' as const };
  await assert.rejects(logIn(t, dovecot, 'user0001', starttls), refused('MAIL_TLS_UNVERIFIED'));
  await assert.rejects(
    logIn(t, dovecot, 'user0001', { security: 'tls', port: dovecot.imapsPort }),
    refused('MAIL_TLS_UNVERIFIED'),
  );
  const wrongName = { caFile: dovecot.caFile as string, servername: 'other.example' };
  await assert.rejects(
    logIn(t, dovecot, 'user0001', { ...starttls, tls: wrongName }),
    refused('MAIL_TLS_UNVERIFIED'),
  );
  await (await logIn(t, dovecot, 'user0001', { ...starttls, tls: { insecure: true } })).noop();
});

test('refusals have their codes', async (t) => {
  const master = { authUser: dovecot.masterUser, secret: dovecot.masterSecret };
  await assert.rejects(
    logIn(t, dovecot, 'user0001', { auth: { ...master, account: 'user0001', secret: 'wrong' } }),
    refused('MAIL_AUTH_FAILED'),
  );
  await assert.rejects(
    logIn(t, dovecot, 'x', { auth: { ...master, account: 'nobody' } }),
    refused('MAIL_ACCOUNT_REFUSED'),
  );
  await assert.rejects(
    logIn(t, dovecot, 'user0001', { port: await freePort(dovecot.address) }),
    refused('MAIL_UNREACHABLE'),
  );
  await assert.rejects(
    logIn(t, dovecot, 'user0001', { host: 'no.such.host.invalid' }),
    refused('MAIL_UNREACHABLE'),
  );
  await assert.rejects(
    logIn(t, dovecot, 'user0001', { security: 'tls', port: dovecot.imapPort }),
    refused('MAIL_TLS_FAILED'),
  );
  await assert.rejects(
    logIn(t, dovecot, 'user0001', { port: dovecot.lmtpPort }),
    refused('MAIL_PROTOCOL_ERROR'),
  );
  const noStartTls = await startFaultyProxy(
    { host: dovecot.address, port: dovecot.imapPort },
    { rewrites: [{ from: 'STARTTLS', to: 'XXXXXXXX' }] },
  );
  t.after(() => noStartTls.close());
  await assert.rejects(
    logIn(t, dovecot, 'user0001', {
      host: noStartTls.host,
      port: noStartTls.port,
      security: 'starttls',
    }),
    refused('MAIL_TLS_NOT_OFFERED'),
  );
  const disabled = await startFaultyProxy(
    { host: dovecot.address, port: dovecot.imapPort },
    { rewrites: [{ from: 'STARTTLS AUTH=PLAIN', to: 'LOGINDISABLED XXXXX' }] },
  );
  t.after(() => disabled.close());
  await assert.rejects(
    logIn(t, dovecot, 'user0001', { host: disabled.host, port: disabled.port }),
    refused('MAIL_LOGIN_DISABLED'),
  );
});

test('a server that does not greet, or says goodbye, is told apart from one that is not there', async (t) => {
  const servers = ['', '* BYE too many\r\n'].map((greeting) =>
    createServer((socket) => {
      socket.on('error', () => {});
      socket.write(greeting);
    }),
  );
  const [silent, bye] = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  t.after(() => {
    for (const server of servers) server.close();
  });
  const place = { host: '127.0.0.1', timeouts: { greetingMs: 150 } };
  await assert.rejects(
    logIn(t, dovecot, 'x', { ...place, port: silent as number }),
    refused('MAIL_NO_ANSWER'),
  );
  await assert.rejects(logIn(t, dovecot, 'x', { ...place, port: bye as number }), (error) => {
    return hasCode(error, 'MAIL_UNAVAILABLE') && error.message.includes('too many');
  });
});

test('an abort ends a connection at any time', async (t) => {
  const abort = new AbortController();
  const connection = await logIn(t, dovecot, 'user0001', { signal: abort.signal });
  const idle = await connection.idle();
  abort.abort(new Error('shutting down'));
  assert.ok(hasCode(await idle.ended, 'MAIL_CONNECTION_LOST'));
  await assert.rejects(connection.noop(), refused('MAIL_CONNECTION_LOST'));
  await assert.rejects(
    ImapConnection.connect({
      host: dovecot.address,
      port: dovecot.imapPort,
      security: 'none',
      auth: { account: 'user0001', secret: 'x' },
      signal: abort.signal,
    }),
    /shutting down/,
  );
});
