/**
 * Goal: the lab's servers are what the other tests take them for. Method: start each kind, deliver by LMTP, read
 * with an independent client, end it, look for what is left.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { dirname } from 'node:path';
import { describe, it } from 'node:test';
import { type DovecotOptions, startDovecot } from './dovecot.ts';
import { compareDumps, connectImap, dumpAccount } from './imap-check.ts';
import { connectLmtp } from './lmtp.ts';
import { requirePackages } from './packages.ts';
import { groupMembers } from './process-group.ts';

const skip = requirePackages(['dovecot-imapd', 'dovecot-lmtpd', 'openssl']) ?? false;

describe('startDovecot', { skip }, () => {
  for (const format of ['maildir', 'mdbox', 'sdbox'] as const) {
    it(`serves mail from ${format} and leaves no process and no file behind`, async (t) => {
      const dovecot = await startDovecot({ format, accounts: ['alice', 'bob@example.org'] });
      t.after(() => dovecot.stop());
      const lmtp = await connectLmtp({ host: dovecot.address, port: dovecot.lmtpPort });
      await lmtp.deliver(Buffer.from('Subject: one\r\n\r\n.dot\r\nend'), ['alice', 'bob@example.org']);
      await assert.rejects(lmtp.deliver(Buffer.from('a: b\r\n\r\n'), ['nobody']), /doesn't exist/);
      await lmtp.deliver(Buffer.from('Subject: two\r\n\r\n.\r\n'), ['alice']);
      await lmtp.close();

      const client = await connectImap(loginOf(dovecot, 'alice'));
      const appended = Buffer.from('Subject: \xfc\r\n\r\n8 bits: \xff\x80\r\n', 'latin1');
      await client.mailboxCreate('Entwürfe & mehr/2024');
      await client.mailboxCreate('Sent');
      await client.append('Sent', appended, ['\\Seen', '$Key'], new Date('2001-09-09T01:46:40Z'));
      await client.logout();

      const dump = await dumpAccount({
        host: dovecot.address,
        port: dovecot.imapPort,
        user: dovecot.masterLogin('alice'),
        pass: dovecot.masterSecret,
      });
      assert.deepEqual([...dump.keys()].sort(), ['Entwürfe & mehr', 'Entwürfe & mehr/2024', 'INBOX', 'Sent']);
      assert.deepEqual(
        dump.get('INBOX')?.messages.map(({ uid }) => uid),
        [1, 2],
      );
      assert.equal(dump.get('Sent')?.specialUse, '\\Sent');
      assert.deepEqual(dump.get('Sent')?.messages, [
        {
          uid: 1,
          flags: ['$Key', '\\Seen'],
          internalDate: '09-Sep-2001 01:46:40 +0000',
          size: appended.length,
          bytes: appended.length,
          sha256: createHash('sha256').update(appended).digest('hex'),
        },
      ]);
      assert.ok(existsSync(dovecot.storePath('alice')));
      assert.ok(existsSync(dovecot.storePath('bob@example.org')));

      const [pid = 0] = dovecot.processIds();
      await dovecot.stop();
      assert.deepEqual(groupMembers(pid), []);
      assert.equal(existsSync(dirname(dovecot.configFile)), false);
    });
  }

  it('keeps its mail over SIGKILL of all its processes and a restart', async (t) => {
    const dovecot = await started(t, { accounts: 1 });
    const lmtp = await connectLmtp({ host: dovecot.address, port: dovecot.lmtpPort });
    await lmtp.deliver(Buffer.from('Subject: kept\r\n\r\nyes\r\n'), ['user0001']);
    await lmtp.close();
    const before = await dumpAccount(loginOf(dovecot, 'user0001'));
    await dovecot.kill9();
    assert.deepEqual(dovecot.processIds(), []);
    await assert.rejects(connectImap(loginOf(dovecot, 'user0001')));
    await dovecot.restart();
    assert.deepEqual(compareDumps(before, await dumpAccount(loginOf(dovecot, 'user0001'))), []);
  });

  it('takes new accounts while it runs', async (t) => {
    const dovecot = await started(t, { accounts: 1 });
    await dovecot.addAccounts(['late']);
    assert.deepEqual([...(await dumpAccount(loginOf(dovecot, 'late'))).keys()], ['INBOX']);
    assert.match(dovecot.doveadm('user', '*'), /user0001\nlate/);
  });

  it('hides CONDSTORE and its relatives when asked', async (t) => {
    const rich = await started(t, { accounts: 1 });
    const plain = await started(t, { accounts: 1, hideCondstore: true });
    const capabilities = async (dovecot: typeof rich) => {
      const client = await connectImap(loginOf(dovecot, 'user0001'));
      await client.logout();
      return client.capabilities;
    };
    assert.ok((await capabilities(rich)).has('QRESYNC'));
    const hidden = await capabilities(plain);
    for (const name of ['CONDSTORE', 'QRESYNC', 'NOTIFY', 'MULTIAPPEND', 'LIST-STATUS', 'LIST-EXTENDED']) {
      assert.equal(hidden.has(name), false, name);
    }
  });

  it('speaks TLS with a certificate of its own CA', async (t) => {
    const dovecot = await started(t, { accounts: 1, ssl: true });
    const ca = readFileSync(dovecot.caFile ?? '', 'utf8');
    const login = { ...loginOf(dovecot, 'user0001'), port: dovecot.imapsPort };
    assert.deepEqual([...(await dumpAccount({ ...login, ca })).keys()], ['INBOX']);
    await assert.rejects(dumpAccount({ ...login, ca: '' }), /certificate/);
  });

  it('answers the doveadm HTTP API', async (t) => {
    const dovecot = await started(t, { accounts: 2 });
    // A store that was never opened has no INBOX to report.
    for (const account of dovecot.accounts) {
      const client = await connectImap(loginOf(dovecot, account));
      await client.mailboxOpen('INBOX');
      await client.logout();
    }
    const response = await fetch(dovecot.doveadmUrl, {
      method: 'POST',
      headers: {
        authorization: `X-Dovecot-API ${Buffer.from(dovecot.doveadmKey).toString('base64')}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify([
        ['mailboxStatus', { allUsers: true, field: ['uidnext'], mailboxMask: ['*'] }, 'a'],
      ]),
    });
    const status = (username: string) => ({ username, mailbox: 'INBOX', uidnext: '1' });
    assert.deepEqual(await response.json(), [['doveadmResponse', dovecot.accounts.map(status), 'a']]);
  });

  it('pushes every change and holds the 250 of a delivery until the answer', async (t) => {
    const events: string[] = [];
    let acknowledged = false;
    const held: boolean[] = [];
    const endpoint = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        for (const event of JSON.parse(body).events) events.push(`${event.name} ${event.mailbox}`);
        setTimeout(() => {
          held.push(!acknowledged);
          response.end();
        }, 100);
      });
    });
    await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
    t.after(() => endpoint.close());
    const { port } = endpoint.address() as AddressInfo;
    const dovecot = await started(t, { accounts: 1, push: { url: `http://127.0.0.1:${port}/push` } });
    const lmtp = await connectLmtp({ host: dovecot.address, port: dovecot.lmtpPort });
    await lmtp.deliver(Buffer.from('Subject: pushed\r\n\r\nyes\r\n'), ['user0001']);
    acknowledged = true;
    await lmtp.close();
    const client = await connectImap(loginOf(dovecot, 'user0001'));
    await client.mailboxOpen('INBOX');
    await client.messageFlagsAdd('1', ['\\Seen']);
    await client.logout();
    assert.equal(held[0], true);
    assert.ok(events.includes('MessageNew INBOX'), events.join());
    assert.ok(events.includes('FlagsSet INBOX'), events.join());
  });

  it('says why it does not come up', async () => {
    await assert.rejects(startDovecot({ extraConfig: 'no_such_setting = yes' }), /no_such_setting/);
  });

  it('serves two thousand connections at once', async (t) => {
    const dovecot = await started(t, { accounts: 1 });
    const greeted = Array.from(
      { length: 2000 },
      () =>
        new Promise<ReturnType<typeof connect>>((resolve, reject) => {
          const socket = connect(dovecot.imapPort, dovecot.address);
          socket.once('data', () => resolve(socket));
          socket.once('error', reject);
          socket.once('close', () => reject(new Error('closed')));
        }),
    );
    for (const socket of await Promise.all(greeted)) socket.destroy();
  });
});

async function started(t: { after(cleanUp: () => Promise<void>): void }, options: DovecotOptions) {
  const dovecot = await startDovecot(options);
  t.after(() => dovecot.stop());
  return dovecot;
}

function loginOf(dovecot: Awaited<ReturnType<typeof startDovecot>>, account: string) {
  return {
    host: dovecot.address,
    port: dovecot.imapPort,
    user: account,
    pass: dovecot.accountPassword(account),
  };
}
