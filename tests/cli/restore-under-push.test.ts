/**
 * Goal: with synchronous protection on, the server waits for the service with every change, also with those that a
 * restore makes; they must not wait for each other, and what a deletion told step by step comes back whole.
 * Method: a real Dovecot that pushes to the service, the restore as a command, an independent reading.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { freePort } from '../lab/address.ts';
import { type Dovecot, startDovecot } from '../lab/dovecot.ts';
import { compareDumps, connectImap, dumpAccount } from '../lab/imap-check.ts';
import { connectLmtp } from '../lab/lmtp.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { type Service, startService, understudyJson, writeConfig } from './service.ts';

const PUSH_TIMEOUT_MS = 5_000;

const folder = temporaryDirectory('restore-push');
let dovecot: Dovecot;
let service: Service;

before(async () => {
  const port = await freePort('127.0.0.1');
  dovecot = await startDovecot({
    accounts: ['alice', 'bob'],
    format: 'mdbox',
    push: { url: `http://127.0.0.1:${port}/push/mail-a`, timeoutMs: PUSH_TIMEOUT_MS + 500 },
  });
  writeConfig(folder.path, dovecot, {
    listen: `127.0.0.1:${port}`,
    extra: `    push: { mode: synchronous, timeout: ${PUSH_TIMEOUT_MS}ms }\n`,
  });
  service = await startService(folder.path);
});

after(async () => {
  service?.process.kill('SIGTERM');
  await service?.ended;
  await dovecot?.stop();
  folder.remove();
});

test('a deleted mailbox comes back whole, and the server is not kept waiting', async () => {
  const login = loginOf('alice');
  const client = await connectImap(login);
  await client.mailboxCreate('Work');
  for (const number of [1, 2, 3]) await client.append('Work', mail(number), ['\\Seen']);
  await client.logout();
  const before = await dumpAccount(login);
  const again = await connectImap(login);
  await again.mailboxDelete('Work');
  await again.logout();

  const restored = await understudyJson(
    folder.path,
    'restore',
    'mail-a',
    '--account',
    'alice',
    '--mailbox',
    'Work',
  );
  assert.equal(restored.status, 0, restored.stderr);
  assert.equal(restored.output.messagesRestored, 3);
  assert.ok(restored.output.elapsedMs < PUSH_TIMEOUT_MS, `${restored.output.elapsedMs} ms`);
  assert.deepEqual(compareDumps(before, await dumpAccount(login), { ignore: ['uidNext'] }), []);
});

test('a message comes back without the mark with which it was deleted', async () => {
  const login = loginOf('bob');
  const lmtp = await connectLmtp({ host: dovecot.address, port: dovecot.lmtpPort });
  await lmtp.deliver(mail(1), ['bob']);
  await lmtp.close();
  const client = await connectImap(login);
  await client.mailboxOpen('INBOX');
  await client.messageFlagsAdd('1', ['\\Flagged']);
  await client.messageDelete('1');
  await client.logout();

  const args = ['--account', 'bob', '--mailbox', 'INBOX', '--uid', '1'];
  const restored = await understudyJson(folder.path, 'restore', 'mail-a', ...args);
  assert.equal(restored.status, 0, restored.stderr);
  assert.ok(restored.output.elapsedMs < PUSH_TIMEOUT_MS, `${restored.output.elapsedMs} ms`);
  const messages = (await dumpAccount(login)).get('INBOX')?.messages ?? [];
  assert.deepEqual(
    messages.map(({ flags }) => flags),
    [['\\Flagged']],
  );
});

function mail(number: number): Buffer {
  return Buffer.from(`Message-ID: <${number}@restore>\r\nSubject: number ${number}\r\n\r\nyes\r\n`);
}

function loginOf(account: string) {
  return {
    host: dovecot.address,
    port: dovecot.imapPort,
    user: account,
    pass: dovecot.accountPassword(account),
  };
}
