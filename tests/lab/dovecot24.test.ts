/** Goal: the Dovecot 2.4 of the lab is one, serves, and leaves nothing behind. Method: as for the 2.3 in `dovecot.test.ts`. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, it } from 'node:test';
import { startDovecot } from './dovecot.ts';
import { dovecot24, dovecot24Missing } from './dovecot24.ts';
import { connectImap, dumpAccount } from './imap-check.ts';
import { connectLmtp } from './lmtp.ts';
import { groupMembers } from './process-group.ts';

describe('startDovecot with a 2.4', { skip: dovecot24Missing }, () => {
  for (const format of ['maildir', 'mdbox', 'sdbox'] as const) {
    it(`serves mail from ${format} and leaves no process, no file and no mount behind`, async (t) => {
      const dovecot = await startDovecot({
        format,
        accounts: ['alice', 'Bob@example.org'],
        release: dovecot24(),
      });
      t.after(() => dovecot.stop());
      assert.match(readFileSync(dovecot.configFile, 'utf8'), /^dovecot_config_version = 2\.4/);
      const lmtp = await connectLmtp({ host: dovecot.address, port: dovecot.lmtpPort });
      await lmtp.deliver(Buffer.from('Subject: one\r\n\r\n.dot\r\nend'), ['alice', 'Bob@example.org']);
      await lmtp.close();
      const client = await connectImap({
        host: dovecot.address,
        port: dovecot.imapPort,
        user: 'alice',
        pass: dovecot.accountPassword('alice'),
      });
      assert.ok(client.capabilities.has('QRESYNC'));
      await client.append(
        'INBOX',
        Buffer.from('Subject: two\r\n\r\n'),
        ['$Key'],
        new Date('2001-09-09T01:46:40Z'),
      );
      await client.logout();
      const dump = await dumpAccount({
        host: dovecot.address,
        port: dovecot.imapPort,
        user: dovecot.masterLogin('alice'),
        pass: dovecot.masterSecret,
      });
      const messages = dump.get('INBOX')?.messages ?? [];
      assert.deepEqual(
        messages.map(({ uid, flags }) => [uid, ...flags]),
        [[1], [2, '$Key']],
      );
      assert.ok(existsSync(dovecot.storePath('Bob@example.org')));
      await dovecot.kill9();
      await dovecot.restart();
      const [pid = 0] = dovecot.processIds();
      await dovecot.stop();
      assert.deepEqual(groupMembers(pid), []);
      assert.equal(existsSync(dirname(dovecot.configFile)), false);
      // Other tests mount things of their own.
      assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), /understudy-lab/);
    });
  }

  it('hides CONDSTORE when asked, and says why it does not come up', async (t) => {
    const dovecot = await startDovecot({ accounts: 1, hideCondstore: true, release: dovecot24() });
    t.after(() => dovecot.stop());
    const client = await connectImap({
      host: dovecot.address,
      port: dovecot.imapPort,
      user: 'user0001',
      pass: dovecot.accountPassword('user0001'),
    });
    await client.logout();
    assert.equal(client.capabilities.has('CONDSTORE'), false);
    await assert.rejects(
      startDovecot({ extraConfig: 'no_such_setting = yes', release: dovecot24() }),
      /no_such_setting/,
    );
  });
});
