/** Goal: the doveadm HTTP API of a real Dovecot tells users and mailboxes, and every failure has its code. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test, { after, before } from 'node:test';
import { hasCode } from '../../src/lib/index.ts';
import { DoveadmClient } from '../../src/workloads/mail/doveadm/index.ts';
import { freePort } from '../lab/address.ts';
import { type Dovecot, startDovecot } from '../lab/dovecot.ts';
import { logIn } from './server.ts';

let dovecot: Dovecot;
before(async () => {
  dovecot = await startDovecot({ accounts: 3, format: 'mdbox' });
});
after(() => dovecot.stop());

test('users and mailboxes are those that IMAP shows', async (t) => {
  const doveadm = new DoveadmClient({ url: dovecot.doveadmUrl, apiKey: dovecot.doveadmKey });
  t.after(() => doveadm.close());
  await doveadm.check();
  assert.deepEqual((await doveadm.listUsers()).sort(), dovecot.accounts);
  for (const account of ['user0001', 'user0003']) {
    const connection = await logIn(t, dovecot, account);
    await connection.create('Entwürfe & "x"');
    await connection.append('Entwürfe & "x"', [{ body: Buffer.from('A: b\r\n\r\n'), flags: ['$Kw'] }]);
    await connection.examine('INBOX');
  }
  const everyone = await doveadm.mailboxStatusOfAll();
  assert.deepEqual([...new Set(everyone.map(({ user }) => user))].sort(), ['user0001', 'user0003']);
  const connection = await logIn(t, dovecot, 'user0003');
  for (const mailbox of await connection.listMailboxes()) {
    const told = everyone.find(({ user, mailbox: name }) => user === 'user0003' && name === mailbox.name);
    assert.deepEqual(
      { ...mailbox.status },
      {
        messages: told?.messages,
        uidNext: told?.uidNext,
        uidValidity: told?.uidValidity,
        highestModSeq: told?.highestModSeq,
        guid: told?.guid,
      },
    );
  }
  assert.deepEqual(
    await doveadm.mailboxStatus('user0003'),
    everyone.filter(({ user }) => user === 'user0003'),
  );
});

test('a command that fails says which, and does not stop the others', async (t) => {
  const doveadm = new DoveadmClient({ url: dovecot.doveadmUrl, apiKey: dovecot.doveadmKey });
  t.after(() => doveadm.close());
  await assert.rejects(doveadm.mailboxStatus('nobody'), (error) => {
    return hasCode(error, 'MAIL_DOVEADM_FAILED') && error.details['exitCode'] === 67;
  });
  const results = await doveadm.run([
    { name: 'mailboxStatus', parameters: { user: 'user0001', mailboxMask: ['INBOX'], field: ['uidnext'] } },
    { name: 'mailboxUpdate', parameters: { user: 'user0001', mailbox: 'no such', minNextUid: '9' } },
    { name: 'mailboxStatus', parameters: { user: 'user0001', mailboxMask: ['INBOX'], field: ['uidnext'] } },
  ]);
  assert.deepEqual(
    results.map(({ ok }) => ok),
    [true, false, true],
  );
  await assert.rejects(
    doveadm.pinMailboxes([{ user: 'user0001', mailbox: 'no such', minNextUid: 9 }]),
    (error) => hasCode(error, 'MAIL_DOVEADM_FAILED') && error.details['exitCode'] === 68,
  );
});

test('no server, a wrong key, and something else at the URL have their codes', async (t) => {
  const strange = createServer((_, response) => response.end('<html>'));
  const silent = createServer(() => {});
  const ports = await Promise.all(
    [strange, silent].map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  t.after(() => {
    for (const server of [strange, silent]) {
      server.close();
      server.closeAllConnections();
    }
  });
  const cases = [
    [`http://127.0.0.1:${await freePort()}/doveadm/v1`, dovecot.doveadmKey, 'MAIL_DOVEADM_UNREACHABLE'],
    [`http://127.0.0.1:${ports[1]}/doveadm/v1`, dovecot.doveadmKey, 'MAIL_DOVEADM_UNREACHABLE'],
    [dovecot.doveadmUrl, 'wrong', 'MAIL_DOVEADM_REFUSED'],
    [`http://127.0.0.1:${ports[0]}/doveadm/v1`, dovecot.doveadmKey, 'MAIL_DOVEADM_PROTOCOL_ERROR'],
    [dovecot.doveadmUrl.replace('v1', 'v9'), dovecot.doveadmKey, 'MAIL_DOVEADM_PROTOCOL_ERROR'],
  ] as const;
  for (const [url, apiKey, code] of cases) {
    const doveadm = new DoveadmClient({ url, apiKey, timeoutMs: 200 });
    await assert.rejects(doveadm.check(), (error) => hasCode(error, code), url);
    doveadm.close();
  }
});
