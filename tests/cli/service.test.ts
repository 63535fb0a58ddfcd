/**
 * Goal: the service as operators run it: it starts, answers, is refused twice on one folder, protects deliveries in
 * synchronous mode with the script that `init` prints, is used by the commands, and ends cleanly.
 * Method: a real Dovecot and the command as a process of its own.
 */
import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../lab/address.ts';
import { type Dovecot, startDovecot } from '../lab/dovecot.ts';
import { connectLmtp } from '../lab/lmtp.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { type Service, startService, understudy, understudyJson, writeConfig } from './service.ts';

const folder = temporaryDirectory('service');
let dovecot: Dovecot;
let service: Service;
let port: number;

before(async () => {
  // The script that Dovecot runs is the one `init` prints, so the configuration comes first.
  port = (await freePort('127.0.0.1')) as number;
  const first = await startDovecot({ accounts: ['alice', 'bob'] });
  writeConfig(folder.path, first, {
    listen: `127.0.0.1:${port}`,
    extra: '    push: { mode: synchronous }\n',
  });
  await first.stop();
  const { stdout: script } = await understudy(folder.path, 'init', '--print-push', 'mail-a');
  dovecot = await startDovecot({
    accounts: ['alice', 'bob'],
    push: { url: `http://127.0.0.1:${port}/push/mail-a`, script },
  });
  writeConfig(folder.path, dovecot, {
    listen: `127.0.0.1:${port}`,
    extra: '    push: { mode: synchronous }\n',
  });
  service = await startService(folder.path);
});

after(async () => {
  service.process.kill('SIGKILL');
  await service.ended;
  await dovecot.stop();
  folder.remove();
});

const message = (subject: string) =>
  Buffer.from(
    `From: a@example.org\r\nSubject: ${subject}\r\nMessage-ID: <${subject}@x>\r\n\r\n${subject}\r\n`,
  );

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${service.url}/metrics`)).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(name));
  return line === undefined ? 0 : Number(line.split(' ').at(-1));
}

test('it is ready, and its token is for its owner alone', async () => {
  assert.equal((await fetch(`${service.url}/readyz`)).status, 200);
  assert.equal(statSync(join(folder.path, 'data', 'api-token')).mode & 0o077, 0);
});

test('a delivery is in the journal when it is acknowledged', async () => {
  const lmtp = await connectLmtp({ host: dovecot.address, port: dovecot.lmtpPort });
  await lmtp.deliver(message('protected'), ['alice']);
  const { output } = await understudyJson(
    folder.path,
    'history',
    'mail-a',
    '--account',
    'alice',
    '--mailbox',
    'INBOX',
  );
  await lmtp.close();
  assert.deepEqual(
    output.messages.map((row: { subject: string }) => row.subject),
    ['protected'],
  );
  assert.equal(
    await metric('understudy_push_requests_total{server="mail-a",mode="synchronous",outcome="protected"}'),
    1,
  );
  assert.equal(await metric('understudy_push_fail_open_total'), 0);
  assert.doesNotMatch(dovecot.log(), /lua|understudy: a change/);
});

test('flags, mailboxes and odd names are told too', async () => {
  dovecot.doveadm('mailbox', 'create', '-u', 'alice', 'Entw\u00fcrfe "neu" \\ \u65e5\u672c');
  dovecot.doveadm('flags', 'add', '-u', 'alice', '\\Seen', 'mailbox', 'INBOX', 'all');
  const { output } = await understudyJson(folder.path, 'history', 'mail-a', '--account', 'alice');
  assert.ok(
    output.mailboxes.some((row: { name: string }) => row.name === 'Entw\u00fcrfe "neu" \\ \u65e5\u672c'),
  );
  const inbox = await understudyJson(
    folder.path,
    'history',
    'mail-a',
    '--account',
    'alice',
    '--mailbox',
    'INBOX',
  );
  assert.deepEqual(inbox.output.messages[0].flags, ['\\Seen']);
  assert.doesNotMatch(dovecot.log(), /understudy: a change/);
});

test('commands are done by the service, and so is a checkpoint', async () => {
  const status = await understudyJson(folder.path, 'status');
  assert.equal(status.output.running, true);
  assert.equal(status.output.servers[0].state, 'following');
  const checkpoint = await understudyJson(folder.path, 'checkpoint', 'mail-a', '--label', 'monday');
  assert.equal(checkpoint.status, 0);
  const at = await understudyJson(folder.path, 'history', 'mail-a', '--at', 'monday');
  assert.equal(at.output.at.lsn, checkpoint.output.lsn);
  const again = await understudyJson(folder.path, 'checkpoint', 'mail-a', '--label', 'monday');
  assert.deepEqual([again.status, again.output.error.code], [2, 'API_LABEL_UNUSABLE']);
  const pass = await understudyJson(folder.path, 'shadow', 'mail-a', '--once');
  assert.deepEqual([pass.status, pass.output.messagesAdded], [0, 0]);
});

test('a second service, and a rebuild of the catalog, are refused', async () => {
  const second = await understudy(folder.path, 'run');
  assert.equal(second.status, 3);
  assert.match(second.stderr, /error API_SERVICE_RUNNING: .*process \d+/);
  const rebuild = await understudyJson(folder.path, 'catalog', 'rebuild', 'mail-a');
  assert.deepEqual([rebuild.status, rebuild.output.error.code], [3, 'CATALOG_VAULT_LOCKED']);
});

test('after SIGKILL the next command works, and so does the next service', async () => {
  service.process.kill('SIGKILL');
  await service.ended;
  assert.ok(existsSync(join(folder.path, 'data', 'service.json')));
  const history = await understudyJson(
    folder.path,
    'history',
    'mail-a',
    '--account',
    'alice',
    '--mailbox',
    'INBOX',
  );
  assert.deepEqual([history.status, history.output.messages.length], [0, 1]);
  const lmtp = await connectLmtp({ host: dovecot.address, port: dovecot.lmtpPort });
  // Nobody listens: mail flows, unprotected.
  await lmtp.deliver(message('meanwhile'), ['alice']);
  await lmtp.close();
  service = await startService(folder.path);
  let found: string[] = [];
  for (let tries = 0; tries < 40 && found.length < 2; tries += 1) {
    await delay(100);
    const { output } = await understudyJson(
      folder.path,
      'history',
      'mail-a',
      '--account',
      'alice',
      '--mailbox',
      'INBOX',
    );
    found = output.messages.map((row: { subject: string }) => row.subject);
  }
  assert.deepEqual(found, ['protected', 'meanwhile']);
});

test('SIGTERM ends it within seconds with exit status 0, and nothing is left that says it runs', async () => {
  service.process.kill('SIGTERM');
  const result = await Promise.race([service.ended, delay(10_000, 'still running' as const)]);
  assert.ok(result !== 'still running');
  assert.equal(result.status, 0, result.stderr);
  assert.ok(!existsSync(join(folder.path, 'data', 'service.json')));
  const status = await understudyJson(folder.path, 'status');
  assert.deepEqual(
    [status.status, status.output.running, status.output.servers[0].state],
    [0, false, 'at-rest'],
  );
  const journal = await understudyJson(folder.path, 'journal', 'verify', 'mail-a');
  assert.deepEqual([journal.status, journal.output.ok], [0, true]);
});
