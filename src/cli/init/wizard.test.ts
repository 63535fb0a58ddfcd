import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../config/index.ts';
import type { Answers } from './answers.ts';
import { accountSources, askForServer } from './wizard.ts';
import { withServer } from './write-config.ts';

const GIVEN: Answers = {
  server: 'mail-b',
  host: 'b.example.org',
  port: 1143,
  security: 'starttls',
  masterUser: 'm',
  masterSecret: `\${file:secrets/m}`,
  separator: '*',
  doveadmUrl: 'http://b.example.org:8080/doveadm/v1',
  doveadmKey: `\${file:secrets/k}`,
  accounts: { list: ['alice'] },
  pushMode: 'synchronous',
  site: 'north',
  dataDir: '/srv/data',
  listen: '127.0.0.1:7711',
};

test('what options have answered is not asked, and is written', async () => {
  const answers = await askForServer(true, GIVEN, []);
  assert.deepEqual(answers, GIVEN);
  const config = parseConfig(withServer(undefined, answers), '/etc/understudy.yaml');
  assert.equal(config.site, 'north');
  assert.equal(config.servers['mail-b']?.imap.port, 1143);
  assert.equal(config.servers['mail-b']?.push.mode, 'synchronous');
});

test('accounts are offered from what the file can go by only', () => {
  const directories = (names: readonly string[]) =>
    names.map(
      (name) =>
        `  ${name}: { kind: ldap, url: "ldap://l.example.org", baseDn: "dc=x", bindDn: "cn=u", bindSecret: p }`,
    );
  for (const names of [[], ['one'], ['one', 'two']]) {
    const before = [
      'dataDir: data',
      ...(names.length > 0 ? ['directories:', ...directories(names)] : []),
      'servers: {}',
      '',
    ].join('\n');
    const sources = accountSources(true, names);
    assert.equal(sources.length, 2 + names.length);
    for (const { accounts = { list: ['alice'] } } of sources) {
      parseConfig(withServer(before, { ...GIVEN, accounts }), '/etc/understudy.yaml');
    }
  }
});
