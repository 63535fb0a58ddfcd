/** Goal: accounts come from a real OpenLDAP server, whole and safely, and every failure has its code. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type LdapOptions, ldapDirectory } from '../../src/directory/index.ts';
import { hasCode } from '../../src/lib/index.ts';
import { freePort } from '../lab/address.ts';
import { type ProcessGroup, startProcessGroup } from '../lab/process-group.ts';
import { temporaryDirectory } from '../lab/temp.ts';

const ACCOUNTS = 1_700;
const home = temporaryDirectory('slapd');
let slapd: ProcessGroup;
let options: LdapOptions;
let secureUrl: string;
const certificate = join(home.path, 'cert.pem');

before(async () => {
  const port = await freePort('127.0.0.1');
  const config = join(home.path, 'slapd.conf');
  const database = join(home.path, 'db');
  mkdirSync(database);
  // More accounts than the size limit allows in one answer, but not than it allows in pages.
  writeFileSync(
    config,
    `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
TLSCertificateFile ${certificate}
TLSCertificateKeyFile ${home.path}/key.pem
pidfile ${home.path}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb.la
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw secret
directory ${database}
maxsize 104857600
limits dn.exact="cn=reader,dc=example,dc=org" size.soft=500 size.hard=500 size.pr=500 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=hidden,dc=example,dc=org" by * none
access to * by * read
`,
  );
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '30'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem'];
  execFileSync('openssl', ['req', '-x509', ...key, '-out', certificate, ...subject], {
    cwd: home.path,
    stdio: 'pipe',
  });
  secureUrl = `ldaps://127.0.0.1:${await freePort('127.0.0.1')}`;
  writeFileSync(join(home.path, 'data.ldif'), entries());
  execFileSync('slapadd', ['-q', '-f', config, '-l', join(home.path, 'data.ldif')]);
  slapd = startProcessGroup('slapd', [
    '-d',
    '0',
    '-h',
    `ldap://127.0.0.1:${port} ${secureUrl}`,
    '-f',
    config,
  ]);
  await listening(port);
  options = {
    url: `ldap://127.0.0.1:${port}`,
    bindDn: 'cn=reader,dc=example,dc=org',
    bindSecret: 'reader',
    baseDn: 'ou=people,dc=example,dc=org',
    accountFilter: '(objectClass=inetLocalMailRecipient)',
    accountAttribute: 'UID',
    serverAttribute: 'mailHost',
    timeoutMs: 5_000,
  };
});
after(async () => {
  await slapd?.stop();
  home.remove();
});

const oddName = 'o\\dd*(n)ame, "é"';

function entries(): string {
  const text = [
    'dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example\n',
    'dn: ou=people,dc=example,dc=org\nobjectClass: organizationalUnit\nou: people\n',
    'dn: ou=hidden,dc=example,dc=org\nobjectClass: organizationalUnit\nou: hidden\n',
    'dn: cn=reader,dc=example,dc=org\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\nuserPassword: reader\n',
  ];
  const person = (uid: string, host: string) =>
    `dn: cn=p${text.length},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nobjectClass: inetLocalMailRecipient\ncn: p${text.length}\nsn: x\nuid:: ${Buffer.from(uid).toString('base64')}\nmailHost: ${host}\n`;
  for (let index = 0; index < ACCOUNTS; index++) {
    text.push(person(`u${String(index).padStart(5, '0')}`, 'mail-a.example.org'));
  }
  text.push(person('elsewhere', 'mail-b.example.org'));
  text.push(person(oddName, 'mail-(c)*.example.org'));
  return text.join('\n');
}

async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const up = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      }).on('error', () => resolve(false));
    });
    if (up) return;
    await delay(20);
  }
  throw new Error(`slapd does not listen: ${slapd.stderr()}`);
}

test('all accounts of a server are listed, beyond the size limit, and of no other server', async () => {
  const accounts = await ldapDirectory(options).listAccounts('mail-a.example.org');
  assert.equal(accounts.length, ACCOUNTS);
  assert.deepEqual([accounts[0], accounts.at(-1)], ['u00000', 'u01699']);
  assert.deepEqual(await ldapDirectory(options).listAccounts('MAIL-B.example.org'), ['elsewhere']);
  assert.deepEqual(await ldapDirectory(options).listAccounts('mail-d.example.org'), []);
});

test('a host is data in the filter, and odd names come through', async () => {
  assert.deepEqual(await ldapDirectory(options).listAccounts('mail-(c)*.example.org'), [oddName]);
  assert.deepEqual(await ldapDirectory(options).listAccounts('*'), []);
  assert.deepEqual(await ldapDirectory(options).listAccounts('x)(uid=*'), []);
  const bare = { ...options, accountFilter: 'uid=e*' };
  assert.deepEqual(await ldapDirectory(bare).listAccounts('mail-b.example.org'), ['elsewhere']);
});

test('TLS, by StartTLS and ldaps, verifies against a private authority', async () => {
  for (const secure of [{ startTls: true }, { url: secureUrl }]) {
    const directory = ldapDirectory({ ...options, ...secure, caFile: certificate });
    assert.deepEqual(await directory.listAccounts('mail-b.example.org'), ['elsewhere']);
  }
});

test('every failure has its code', async () => {
  const cases: [Partial<LdapOptions>, string][] = [
    [{ bindSecret: 'wrong' }, 'DIRECTORY_BIND_REFUSED'],
    [{ bindDn: 'no dn' }, 'DIRECTORY_QUERY_INVALID'],
    [{ baseDn: 'ou=nobody,dc=example,dc=org' }, 'DIRECTORY_BASE_ABSENT'],
    [{ accountFilter: '(|(uid=*)' }, 'DIRECTORY_QUERY_INVALID'],
    [{ accountFilter: '(uid)' }, 'DIRECTORY_QUERY_INVALID'],
    [{ serverAttribute: 'a)(b' }, 'DIRECTORY_QUERY_INVALID'],
    [{ url: `ldap://127.0.0.1:${await freePort('127.0.0.1')}` }, 'DIRECTORY_UNREACHABLE'],
    [{ startTls: true }, 'DIRECTORY_TLS_FAILED'],
    [{ url: secureUrl }, 'DIRECTORY_TLS_FAILED'],
    [{ startTls: true, caFile: '/no/such/file' }, 'DIRECTORY_TLS_FAILED'],
  ];
  for (const [wrong, code] of cases) {
    await assert.rejects(
      ldapDirectory({ ...options, ...wrong }).listAccounts('mail-a.example.org'),
      (error) => hasCode(error, code) || assert.fail(`${JSON.stringify(wrong)}: ${error}`),
      JSON.stringify(wrong),
    );
  }
});

test('an abort ends a listing', async () => {
  const abort = new AbortController();
  const listing = ldapDirectory(options).listAccounts('mail-a.example.org', abort.signal);
  abort.abort(new Error('shutting down'));
  await assert.rejects(listing, /shutting down/);
});
