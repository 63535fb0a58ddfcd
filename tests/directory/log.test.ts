/**
 * Goal: what a directory says beside its answer reaches the operator. Method: a real slapd with an entry that is kept elsewhere, and the command,
 * which asks it for the accounts of a server; that server need not answer.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { requirePackages } from '../lab/packages.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { run } from '../mail/understudy.ts';
import { startSlapd } from './slapd.ts';

const skip = requirePackages(['slapd', 'ldap-utils', 'openssl']) ?? false;
const HOST = '127.0.0.1';

test('accounts that another directory has are told in the log', { skip }, async (t) => {
  const slapd = await startSlapd({ accounts: 2, mailHost: HOST });
  t.after(() => slapd.stop());
  const dn = slapd.dn('elsewhere');
  slapd.modify(
    `dn: ${dn}\nchangetype: add\nobjectClass: referral\nobjectClass: extensibleObject\nuid: elsewhere\nref: ldap://127.0.0.1:9/${dn}\n`,
  );
  const folder = temporaryDirectory('directory-log', t).path;
  const file = join(folder, 'understudy.yaml');
  const { url, bindDn, bindSecret, baseDn } = slapd.options;
  const directory = { kind: 'ldap', url, bindDn, bindSecret, baseDn };
  // YAML holds JSON.
  const server = {
    workload: 'mail',
    host: HOST,
    imap: { port: 1, security: 'none', masterUser: 'u', masterSecret: 's' },
    accounts: { from: 'directory' },
  };
  writeFileSync(
    file,
    JSON.stringify({
      dataDir: 'data',
      log: { level: 'warn' },
      servers: { 'mail-a': server },
      directories: { corp: directory },
    }),
  );
  const { stderr } = await run(file, ['shadow', 'mail-a', '--once']);
  const line = stderr.split('\n').find((text) => text.includes('accounts in other directories are not seen'));
  assert.ok(line !== undefined, stderr);
  const { elsewhere, server: named } = JSON.parse(line) as { elsewhere: string[]; server: string };
  assert.match(elsewhere.join(), /127\.0\.0\.1:9/);
  assert.equal(named, 'mail-a');
});
