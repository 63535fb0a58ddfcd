/**
 * A real OpenLDAP server: its own folder, ports and process group. `cn=writer` may change `mailHost` and `mailLocalAddress`
 * below `ou=people`, unless `access` says otherwise; `cn=admin` is the rootdn, as which the tests look and meddle.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { LdapOptions } from '../../src/directory/index.ts';
import { freePort } from '../lab/address.ts';
import { type ProcessGroup, startProcessGroup } from '../lab/process-group.ts';
import { temporaryDirectory } from '../lab/temp.ts';

export const SUFFIX = 'dc=example,dc=org';
export const PEOPLE = `ou=people,${SUFFIX}`;
export const WRITER = `cn=writer,${SUFFIX}`;

export interface SlapdOptions {
  /** `u00000`, `u00001`…, or these. */
  readonly accounts: number | readonly string[];
  readonly mailHost: string;
  /** Lines of the database's configuration before the access rules. */
  readonly database?: string;
  /** Access rules before the usual ones. */
  readonly access?: string;
  /** LDIF of more entries. */
  readonly more?: string;
  /** Waits for the disk with every change, as installations do. Default: not. */
  readonly durable?: boolean;
  /** Attributes of each account's entry. */
  readonly perAccount?: (account: string) => string;
}

export interface Slapd {
  readonly port: number;
  readonly url: string;
  readonly secureUrl: string;
  /** Its certificate, for 127.0.0.1 and no other name; its own authority. */
  readonly certificate: string;
  /** As `cn=writer`. */
  readonly options: LdapOptions;
  dn(account: string): string;
  /** Values as `ldapsearch` shows them. */
  read(account: string, attribute?: string): string[];
  /** Replaces the values with `ldapmodify`. */
  set(account: string, values: readonly string[], attribute?: string): void;
  /** Runs `ldapmodify` as cn=admin with this LDIF. */
  modify(ldif: string): void;
  kill9(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startSlapd(options: SlapdOptions): Promise<Slapd> {
  const home = temporaryDirectory('slapd');
  const file = (name: string) => join(home.path, name);
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '30'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem'];
  execFileSync('openssl', ['req', '-x509', ...key, '-out', 'cert.pem', ...subject], {
    cwd: home.path,
    stdio: 'pipe',
  });
  mkdirSync(file('db'));
  writeFileSync(file('slapd.conf'), configuration(home.path, options), { mode: 0o600 });
  writeFileSync(file('data.ldif'), entries(options));
  execFileSync('/usr/sbin/slapadd', ['-q', '-f', file('slapd.conf'), '-l', file('data.ldif')], {
    stdio: 'pipe',
  });

  let group: ProcessGroup;
  const ports = async () => [await freePort('127.0.0.1'), await freePort('127.0.0.1')] as const;
  const launch = async ([plain, secure]: readonly [number, number]) => {
    const urls = `ldap://127.0.0.1:${plain} ldaps://127.0.0.1:${secure}`;
    group = startProcessGroup('slapd', ['-d', '0', '-h', urls, '-f', file('slapd.conf')]);
    await listening(plain, group);
  };
  let taken = await ports();
  // Another test may take a port that was free a moment ago.
  await launch(taken).catch(async () => {
    taken = await ports();
    await launch(taken);
  });
  const [port, securePort] = taken;
  const url = `ldap://127.0.0.1:${port}`;
  const secureUrl = `ldaps://127.0.0.1:${securePort}`;

  const admin = ['-x', '-H', url, '-D', `cn=admin,${SUFFIX}`, '-w', 'secret'];
  const dn = (account: string) => `uid=${account},${PEOPLE}`;
  const modify = (ldif: string) => {
    execFileSync('ldapmodify', admin, { input: ldif, stdio: ['pipe', 'pipe', 'pipe'] });
  };
  return {
    port,
    url,
    secureUrl,
    certificate: file('cert.pem'),
    options: {
      url,
      bindDn: WRITER,
      bindSecret: 'writer',
      baseDn: PEOPLE,
      accountFilter: '(objectClass=inetLocalMailRecipient)',
      accountAttribute: 'uid',
      serverAttribute: 'mailHost',
      timeoutMs: 10_000,
    },
    dn,
    read: (account, attribute = 'mailHost') => {
      const args = [...admin, '-LLL', '-o', 'ldif-wrap=no', '-b', dn(account), '-s', 'base', attribute];
      const lines = execFileSync('ldapsearch', args, { encoding: 'utf8' }).split('\n');
      return lines
        .filter((line) => line.startsWith(`${attribute}: `))
        .map((line) => line.slice(attribute.length + 2));
    },
    set: (account, values, attribute = 'mailHost') => {
      const lines = values.map((value) => `${attribute}: ${value}\n`).join('');
      modify(`dn: ${dn(account)}\nchangetype: modify\nreplace: ${attribute}\n${lines}-\n`);
    },
    modify,
    kill9: async () => {
      await group?.kill9();
    },
    restart: async () => {
      await group?.kill9();
      await launch(taken);
    },
    stop: async () => {
      await group?.stop();
      home.remove();
    },
  };
}

function configuration(home: string, { database = '', access = '', durable = false }: SlapdOptions): string {
  return `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
TLSCertificateFile ${home}/cert.pem
TLSCertificateKeyFile ${home}/key.pem
pidfile ${home}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb.la
moduleload syncprov.la
database mdb
suffix "${SUFFIX}"
rootdn "cn=admin,${SUFFIX}"
rootpw secret
directory ${home}/db
maxsize 1073741824
index objectClass,uid,mailHost eq
${durable ? '' : 'dbnosync\n'}${database}
access to attrs=userPassword by anonymous auth by * none
${access}
access to dn.subtree="${PEOPLE}" attrs=mailHost,mailLocalAddress by dn.exact="${WRITER}" write by * read
access to * by * read
`;
}

export function accountNames(accounts: number | readonly string[]): string[] {
  if (typeof accounts !== 'number') return [...accounts];
  return Array.from({ length: accounts }, (_, index) => `u${String(index).padStart(5, '0')}`);
}

function entries({ accounts, mailHost, more = '', perAccount = () => '' }: SlapdOptions): string {
  return [
    `dn: ${SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example\n`,
    `dn: ${PEOPLE}\nobjectClass: organizationalUnit\nou: people\n`,
    `dn: ${WRITER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: writer\nuserPassword: writer\n`,
    ...accountNames(accounts).map(
      (uid) =>
        `dn: uid=${uid},${PEOPLE}\nobjectClass: inetOrgPerson\nobjectClass: inetLocalMailRecipient\nuid: ${uid}\ncn: ${uid}\nsn: x\nmailHost: ${mailHost}\n${perAccount(uid)}`,
    ),
    more,
  ].join('\n');
}

async function listening(port: number, group: ProcessGroup): Promise<void> {
  for (let tries = 0; tries < 500 && group.ended() === undefined; tries += 1) {
    const up = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      }).on('error', () => resolve(false));
    });
    if (up) return;
    await delay(20);
  }
  throw new Error(`slapd does not listen: ${group.ended()} ${group.stderr()}`);
}
