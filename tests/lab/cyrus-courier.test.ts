/** Goal: the Cyrus and the Courier of the lab are real ones, and leave nothing behind. Method: as for Dovecot in `dovecot.test.ts`. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';
import { courierMissing, startCourier } from './courier.ts';
import { cyrusMissing, startCyrus } from './cyrus.ts';
import { connectImap, dumpAccount } from './imap-check.ts';
import { groupMembers } from './process-group.ts';

const ACCOUNTS = ['alice', 'bob'];

for (const { name, missing, start, has } of [
  { name: 'Cyrus', missing: cyrusMissing, start: startCyrus, has: 'QRESYNC' },
  { name: 'Courier', missing: courierMissing, start: startCourier, has: 'ACL2=UNION' },
]) {
  it(`${name} serves mail and leaves no process, no file and no mount behind`, {
    skip: missing,
  }, async (t) => {
    const folders = () => readdirSync(tmpdir()).filter((file) => file.includes(name.toLowerCase()));
    const before = new Set(folders());
    const server = await start({ accounts: ACCOUNTS });
    t.after(() => server.stop());
    const [folder] = folders().filter((file) => !before.has(file));
    const loginOf = (user: string) => ({
      host: server.address,
      port: server.imapPort,
      user,
      pass: server.accountPassword(user),
    });
    const client = await connectImap(loginOf('alice'));
    assert.ok(client.capabilities.has(has));
    await client.append('INBOX', Buffer.from('Subject: one\r\n\r\n'), ['$Key'], new Date(1_000_000_000_000));
    await client.logout();
    const dump = await dumpAccount(loginOf('alice'));
    assert.deepEqual(
      dump.get('INBOX')?.messages.map(({ uid, flags }) => [uid, ...flags]),
      [[1, '$Key']],
    );
    assert.deepEqual((await dumpAccount(loginOf('bob'))).get('INBOX')?.messages, []);
    const [pid = 0] = server.processIds();
    assert.ok(pid > 0 && folder !== undefined);
    await server.stop();
    await server.stop();
    assert.deepEqual(groupMembers(pid), []);
    assert.equal(existsSync(`${tmpdir()}/${folder}`), false);
    // Other tests mount things of their own.
    assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), /understudy-lab/);
  });
}

describe('startCyrus', { skip: cyrusMissing }, () => {
  it('says why it does not come up', async () => {
    await assert.rejects(startCyrus({ extraConfig: 'sasl_mech_list:' }), /empty option value/);
  });
});
