/** Goal: what `init` prints for a Dovecot 2.4 is what it needs. Method: printed lines go into the configuration of a real one, and are used. */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { DoveadmClient } from '../../src/workloads/mail/doveadm/index.ts';
import { anewProblem } from '../../src/workloads/mail/standby/index.ts';
import { startDovecot } from '../lab/dovecot.ts';
import { dovecot24, dovecot24Missing } from '../lab/dovecot24.ts';
import { connectImap } from '../lab/imap-check.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { run } from '../mail/understudy.ts';

test('a Dovecot 2.4 with the printed lines lets us in, and tells what changes', {
  skip: dovecot24Missing,
}, async (t) => {
  const folder = temporaryDirectory('init', t).path;
  const told: string[] = [];
  const endpoint = createServer((request, response) => {
    request.resume().on('end', () => {
      told.push(request.url ?? '');
      response.end();
    });
  });
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
  t.after(() => endpoint.close());
  const { port } = endpoint.address() as AddressInfo;
  const file = join(folder, 'understudy.yaml');
  const reference = (name: string) => `\${env:${name}}`;
  const printed = async (...args: string[]) => {
    const { status, stdout, stderr } = await run(file, args);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  await printed(
    ...[
      'init',
      '--yes',
      '--dovecot',
      '2.4',
      '--server',
      'mail-b',
      '--host',
      '127.0.0.1',
      '--security',
      'none',
    ],
    ...[
      '--master-user',
      'reader',
      '--master-secret',
      reference('MASTER'),
      '--separator',
      '*',
      '--accounts',
      'doveadm',
    ],
    ...['--doveadm-url', 'http://127.0.0.1:8080/doveadm/v1', '--doveadm-key', reference('KEY')],
    ...['--listen', `127.0.0.1:${port}`],
  );
  const [masters, script] = [join(folder, 'masters'), join(folder, 'push.lua')];
  const lines = (await printed('init', '--dovecot', '2.4', '--print-server', 'mail-b'))
    .replace('doveadm_api_key = …', 'doveadm_api_key = its-key')
    .replaceAll('/etc/dovecot/understudy-master', masters)
    .replaceAll('/etc/dovecot/understudy-push.lua', script);
  writeFileSync(masters, 'reader:{PLAIN}its-secret\n');
  writeFileSync(script, await printed('init', '--print-push', 'mail-b'));
  // Processes that serve mail read the script.
  chmodSync(folder, 0o755);
  const release = dovecot24({ files: false });
  const dovecot = await startDovecot({ accounts: ['alice'], release, extraConfig: lines });
  t.after(() => dovecot.stop());

  const place = { host: dovecot.address, port: dovecot.imapPort };
  const client = await connectImap({ ...place, user: 'alice*reader', pass: 'its-secret' });
  await client.append('INBOX', 'Subject: hello\r\n\r\nhello\r\n');
  await client.mailboxOpen('INBOX');
  await client.logout();
  assert.deepEqual([...new Set(told)], ['/push/mail-b']);

  const doveadm = new DoveadmClient({ url: dovecot.doveadmUrl, apiKey: 'its-key' });
  t.after(() => doveadm.close());
  assert.deepEqual(await doveadm.listUsers(), ['alice']);
  assert.equal(await doveadm.series(), '2.4');
  assert.equal(await anewProblem(doveadm, 'alice'), undefined);
});

test('another release than those that are known is a usage error', async (t) => {
  const file = join(temporaryDirectory('init', t).path, 'understudy.yaml');
  const { status, stderr } = await run(file, ['init', '--yes', '--dovecot', '2.2']);
  assert.equal(status, 2);
  assert.match(stderr, /2\.3 or 2\.4, not 2\.2/);
});
