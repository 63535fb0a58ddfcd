// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to secrets are written so
/**
 * Goal: whatever is wrong with a configuration file is said with its code, line and remedy, and a right one
 * comes out whole. Method: one table of slips, each made in an otherwise right file.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { UnderstudyError } from '../lib/index.ts';
import { checkSecrets, loadConfig, parseConfig } from './index.ts';

const RIGHT = `site: hq
dataDir: data
servers:
  mail-a:
    workload: mail
    host: 127.0.1.1
    imap: { port: 143, security: none, masterUser: understudy, masterSecret: "\${env:UNDERSTUDY_TEST_SECRET}" }
    accounts: { list: [alice, bob] }
  mail-b:
    workload: mail
    host: 127.0.1.2
    imap: { masterUser: understudy, masterSecret: "\${file:secret}" }
directories:
  corp:
    kind: ldap
    url: ldap://127.0.0.1:389
    baseDn: dc=example,dc=org
pairs:
  mail: { live: mail-a, standby: mail-b, directory: corp }
`;

const slips: { slip: string; from: string; to: string; code: string; says: RegExp }[] = [
  {
    slip: 'a misspelt key',
    from: 'masterUser: understudy, masterSecret: "${env',
    to: 'masterUsr: understudy, masterSecret: "${env',
    code: 'CONFIG_UNKNOWN_KEY',
    says: /understudy\.yaml:7:40: unknown key `masterUsr`.*did you mean `masterUser`\?/,
  },
  {
    slip: 'a misspelt top key',
    from: 'servers:',
    to: 'server:',
    code: 'CONFIG_UNKNOWN_KEY',
    says: /:3:1: unknown key `server`; did you mean `servers`\?/,
  },
  {
    slip: 'a key nothing like ours',
    from: 'site: hq',
    to: 'site: hq\nxyzzy: 1',
    code: 'CONFIG_UNKNOWN_KEY',
    says: /:2:1: unknown key `xyzzy`$/,
  },
  {
    slip: 'a wrong type',
    from: 'port: 143',
    to: 'port: imap',
    code: 'CONFIG_INVALID',
    says: /:7:13: `servers\.mail-a\.imap\.port` must be a number, not text/,
  },
  {
    slip: 'a port out of range',
    from: 'port: 143',
    to: 'port: 70000',
    code: 'CONFIG_INVALID',
    says: /at most 65535/,
  },
  {
    slip: 'a wrong choice',
    from: 'security: none',
    to: 'security: ssl',
    code: 'CONFIG_INVALID',
    says: /must be `tls` or `starttls` or `none`/,
  },
  {
    slip: 'a misspelt choice',
    from: 'security: none',
    to: 'security: startls',
    code: 'CONFIG_INVALID',
    says: /must be `tls` or `starttls` or `none`; did you mean `starttls`\?/,
  },
  {
    slip: 'a way for clients that there is not',
    from: 'directory: corp }',
    to: 'directory: corp, rehome: [{ kind: dns, to: imap }] }',
    code: 'CONFIG_INVALID',
    says: /`pairs\.mail\.rehome\[0\]\.kind` must be `proxy` or `command`$/,
  },
  {
    slip: 'a misspelt way for clients',
    from: 'directory: corp }',
    to: 'directory: corp, rehome: [{ kind: comand, run: [x] }] }',
    code: 'CONFIG_INVALID',
    says: /\.kind` must be `proxy` or `command`; did you mean `command`\?/,
  },
  {
    slip: 'a way for clients without its kind',
    from: 'directory: corp }',
    to: 'directory: corp, rehome: [{ to: imap }] }',
    code: 'CONFIG_INVALID',
    says: /rehome\[0\]\.kind` must be `proxy` or `command`$/,
  },
  {
    slip: 'a missing key',
    from: 'dataDir: data\n',
    to: '',
    code: 'CONFIG_INVALID',
    says: /`dataDir` is required/,
  },
  {
    slip: 'a number as account',
    from: '[alice, bob]',
    to: '[alice, 1001]',
    code: 'CONFIG_INVALID',
    says: /:8:31: .*write it in quotes, as in "1001"/,
  },
  {
    slip: 'a duration without unit',
    from: '{ list: [alice, bob] }',
    to: '{ list: [alice, bob] }\n    shadow: { sweep: "30" }',
    code: 'CONFIG_INVALID',
    says: /`30` is not a duration/,
  },
  {
    slip: 'a size with a wrong unit',
    from: 'site: hq',
    to: 'site: hq\njournal: { segmentSize: 4Mb }',
    code: 'CONFIG_INVALID',
    says: /:2:12: .*`4Mb` is not a size/,
  },
  {
    slip: 'an unknown reference scheme',
    from: '${file:secret}',
    to: '${vault:secret}',
    code: 'CONFIG_INVALID',
    says: /a secret is \$\{file:PATH\} or \$\{env:NAME\}/,
  },
  {
    slip: 'a server name that is no folder name',
    from: 'mail-b:\n',
    to: '../b:\n',
    code: 'CONFIG_INVALID',
    says: /`servers\.\.\.\/b`.*a name has letters/,
  },
  ...['control', 'doors', 'reports', 'Reports', 'api-token', 'service.sqlite'].map((name) => ({
    slip: `a server with the name of what the service has itself: ${name}`,
    from: 'mail-b:\n',
    to: `${name}:\n`,
    code: 'CONFIG_INVALID',
    says: /`servers\..*cannot be called control, doors, reports, api-token or service\.…/,
  })),
  {
    slip: 'a key twice',
    from: 'site: hq',
    to: 'site: hq\nsite: hq',
    code: 'CONFIG_SYNTAX',
    says: /:2:1: Map keys must be unique/,
  },
  {
    slip: 'an unclosed bracket',
    from: '[alice, bob]',
    to: '[alice, bob',
    code: 'CONFIG_SYNTAX',
    says: /understudy\.yaml:\d+:\d+: /,
  },
  {
    slip: 'a pair with an undefined server',
    from: 'standby: mail-b',
    to: 'standby: mail-c',
    code: 'CONFIG_UNKNOWN_REFERENCE',
    says: /`pairs\.mail\.standby` names server `mail-c`.*did you mean/,
  },
  {
    slip: 'a pair of one server',
    from: 'standby: mail-b',
    to: 'standby: mail-a',
    code: 'CONFIG_INVALID',
    says: /same server as live and standby/,
  },
  {
    slip: 'a pair with an undefined directory',
    from: 'directory: corp',
    to: 'directory: crop',
    code: 'CONFIG_UNKNOWN_REFERENCE',
    says: /did you mean `corp`/,
  },
  {
    slip: 'both list and from',
    from: '{ list: [alice, bob] }',
    to: '{ list: [alice], from: doveadm }',
    code: 'CONFIG_INVALID',
    says: /either `list` or `from`/,
  },
  {
    slip: 'accounts from a doveadm that is not there',
    from: '{ list: [alice, bob] }',
    to: '{ from: doveadm }',
    code: 'CONFIG_INVALID',
    says: /has no `doveadm` key/,
  },
  {
    slip: 'no master user and no secrets',
    from: 'port: 143, security: none, masterUser: understudy, masterSecret: "${env:UNDERSTUDY_TEST_SECRET}"',
    to: 'port: 143',
    code: 'CONFIG_INVALID',
    says: /account alice needs a secret/,
  },
  {
    slip: 'a master user without secret',
    from: ', masterSecret: "${file:secret}"',
    to: '',
    code: 'CONFIG_INVALID',
    says: /without `masterSecret`/,
  },
  {
    slip: 'an address without port',
    from: 'site: hq',
    to: 'site: hq\napi: { listen: localhost }',
    code: 'CONFIG_INVALID',
    says: /not an address/,
  },
  {
    slip: 'a list instead of a mapping',
    from: RIGHT,
    to: '- 1\n',
    code: 'CONFIG_INVALID',
    says: /the file must be a mapping of keys, not a list/,
  },
  { slip: 'an empty file', from: RIGHT, to: '', code: 'CONFIG_INVALID', says: /`dataDir` is required/ },
];

for (const { slip, from, to, code, says } of slips) {
  test(`${slip} is refused with ${code}`, () => {
    assert.ok(RIGHT.includes(from));
    assert.throws(
      () =>
        parseConfig(
          RIGHT.replace(from, () => to),
          'understudy.yaml',
        ),
      (error) => {
        assert.ok(error instanceof UnderstudyError, String(error));
        assert.equal(error.code, code, error.message);
        assert.match(error.message, says);
        assert.equal(error.kind, 'usage');
        assert.notEqual(error.remedy, '');
        return true;
      },
    );
  });
}

test('a right file comes out with defaults filled in, units parsed and paths absolute', () => {
  const config = parseConfig(RIGHT, '/etc/understudy/understudy.yaml');
  const server = config.servers['mail-a'];
  assert.equal(config.dataDir, '/etc/understudy/data');
  assert.deepEqual(config.api.listen, { host: '127.0.0.1', port: 7700 });
  assert.equal(config.journal.segmentSize, 256 * 1024 * 1024);
  assert.equal(server?.shadow.sweep, 30_000);
  assert.equal(server?.push.timeout, 2_000);
  assert.deepEqual(server?.accounts?.list, [{ name: 'alice' }, { name: 'bob' }]);
  assert.equal(config.servers['mail-b']?.imap.port, 993, 'tls is the default, with its port');
  assert.deepEqual(config.warnings, []);
});

test('a secret is looked up when used, and one that is missing is told with key and source', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'understudy-test-config-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'understudy.yaml');
  writeFileSync(file, RIGHT);
  const config = loadConfig(file);
  assert.throws(() => checkSecrets(config), {
    code: 'CONFIG_SECRET_MISSING',
    message:
      /servers\.mail-a\.imap\.masterSecret: the environment variable UNDERSTUDY_TEST_SECRET is not set/,
  });
  const secret = config.servers['mail-b']?.imap.masterSecret;
  assert.throws(() => secret?.reveal(), { code: 'CONFIG_SECRET_MISSING', message: /cannot read .*\/secret/ });
  writeFileSync(join(dir, 'secret'), 'two\nlines\n');
  assert.equal(secret?.reveal(), 'two\nlines');
  assert.equal(JSON.stringify({ secret }), '{"secret":"[secret from file:secret]"}');
});

test('a secret written into the file works and is warned about', () => {
  const config = parseConfig(RIGHT.replace('${file:secret}', 'open sesame'), 'understudy.yaml');
  assert.equal(config.servers['mail-b']?.imap.masterSecret?.reveal(), 'open sesame');
  assert.match(config.warnings[0] ?? '', /servers\.mail-b\.imap\.masterSecret holds the secret itself/);
});

test('a failover that should start by itself is warned about: none does', () => {
  const file = RIGHT.replace('directory: corp }', 'failover: { mode: automatic } }');
  assert.match(
    parseConfig(file, 'understudy.yaml').warnings[0] ?? '',
    /pairs\.mail\.failover\.mode .* by itself/,
  );
});

test('an absent file has its own code and names init', () => {
  assert.throws(() => loadConfig('/nonexistent/understudy.yaml'), {
    code: 'CONFIG_NOT_FOUND',
    remedy: /understudy init/,
  });
});

test('no time and no size at all are refused where something is waited for or sent', () => {
  const withLine = (line: string) =>
    RIGHT.replace('servers:\n  mail-a:\n', `servers:\n  mail-a:\n    ${line}\n`);
  for (const line of ['push: { timeout: 0s }', 'shadow: { sweep: 0.2ms }', 'shadow: { bandwidth: 0B }']) {
    assert.throws(
      () => parseConfig(withLine(line), 'understudy.yaml'),
      { code: 'CONFIG_INVALID', message: /at all/ },
      line,
    );
  }
  assert.equal(
    parseConfig(withLine('push: { timeout: 1ms }'), 'understudy.yaml').servers['mail-a']?.push.timeout,
    1,
  );
});
