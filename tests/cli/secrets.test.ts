/**
 * Goal: a secret that a failover will need is missed when the service starts, not on the day. Method: the command, with a configuration whose
 * secrets of the standby and of the directory are not there; nothing has to answer for that.
 */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { temporaryDirectory } from '../lab/temp.ts';
import { run } from '../mail/understudy.ts';

const CONFIGURATION = `dataDir: data
api: { listen: "127.0.0.1:0" }
servers:
  mail-a:
    workload: mail
    host: 127.0.0.1
    imap: { port: 1, security: none, masterUser: u, masterSecret: live }
    accounts: { list: [alice] }
  mail-b:
    workload: mail
    host: 127.0.0.2
    imap: { port: 1, security: none, masterUser: u, masterSecret: "\${file:standby-secret}" }
directories:
  corp: { kind: ldap, url: "ldap://127.0.0.1:1", bindDn: "cn=admin", bindSecret: "\${file:directory-secret}", baseDn: "dc=example" }
pairs:
  mail: { live: mail-a, standby: mail-b, directory: corp }
`;

test('a missing secret of the standby or of the directory is said at the start, with its remedy', async (t) => {
  const folder = temporaryDirectory('secrets', t).path;
  const file = join(folder, 'understudy.yaml');
  writeFileSync(file, CONFIGURATION);
  for (const { secret, key } of [
    { secret: 'standby-secret', key: 'servers.mail-b.imap.masterSecret' },
    { secret: 'directory-secret', key: 'directories.corp.bindSecret' },
  ]) {
    for (const command of [['run'], ['config', 'check']]) {
      const { status, stderr } = await run(file, command);
      assert.equal(status, 2, stderr);
      assert.match(stderr, new RegExp(`CONFIG_SECRET_MISSING.*${key.replaceAll('.', '\\.')}`, 's'));
      assert.match(stderr, new RegExp(`Write the secret into .*/${secret}`));
    }
    assert.ok(!existsSync(join(folder, 'data')), 'nothing was begun');
    writeFileSync(join(folder, secret), 'here', { mode: 0o600 });
  }
  const { status, stderr } = await run(file, ['config', 'check']);
  assert.equal(status, 0, stderr);
});
