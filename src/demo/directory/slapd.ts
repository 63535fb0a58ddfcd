/**
 * An OpenLDAP directory of its own: folder, loopback address, process group. Each account is an entry of class
 * inetLocalMailRecipient (RFC draft-lachman-laser-ldap-mail-routing) whose `mailHost` names its server.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../../lib/index.ts';
import { freePort, freshLoopbackAddress, startProcessGroup } from '../dovecot/index.ts';

export interface SlapdOptions {
  /** Made where it is missing; it is not removed at `stop`. */
  readonly folder: string;
  readonly accounts: readonly string[];
  /** What `mailHost` says at first. */
  readonly mailHost: string;
}

export interface Slapd {
  readonly address: string;
  /** `ldap://ADDRESS:389`, or another port where something on this machine holds that one on all addresses. */
  readonly url: string;
  readonly baseDn: string;
  readonly bindDn: string;
  readonly bindSecret: string;
  /** May be repeated. */
  stop(): Promise<void>;
}

const SUFFIX = 'dc=example,dc=org';
const USUAL_PORT = 389;
const UP_WITHIN_MS = 15_000;

/** Starts it and resolves when it listens. Rejects with its own words when it does not come up. */
export async function startSlapd(options: SlapdOptions): Promise<Slapd> {
  const { folder } = options;
  const database = join(folder, 'db');
  mkdirSync(database, { recursive: true });
  const config = join(folder, 'slapd.conf');
  const bindDn = `cn=admin,${SUFFIX}`;
  const bindSecret = 'directory-secret';
  const baseDn = `ou=people,${SUFFIX}`;
  writeFileSync(
    config,
    `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
pidfile ${join(folder, 'slapd.pid')}
modulepath /usr/lib/ldap
moduleload back_mdb.la
database mdb
suffix "${SUFFIX}"
rootdn "${bindDn}"
rootpw ${bindSecret}
directory ${database}
maxsize 1073741824
index objectClass,uid,mailHost eq
`,
    { mode: 0o600 },
  );
  writeFileSync(join(folder, 'data.ldif'), entries(baseDn, options));
  // Both lie in /usr/sbin, which is not in everybody's PATH.
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` };
  execFileSync('slapadd', ['-q', '-f', config, '-l', join(folder, 'data.ldif')], { env, stdio: 'pipe' });
  const fresh = await freshLoopbackAddress([USUAL_PORT]);
  const address = fresh ?? '127.0.0.1';
  const port = fresh === undefined ? await freePort(address) : USUAL_PORT;
  const url = `ldap://${address}:${port}`;
  const group = startProcessGroup('/usr/sbin/slapd', ['-d', '0', '-h', url, '-f', config], {
    logFile: join(folder, 'slapd.log'),
  });
  const began = systemClock.monotonicMs();
  while (!(await listens(address, port))) {
    const ended = group.ended();
    if (ended !== undefined || systemClock.monotonicMs() - began > UP_WITHIN_MS) {
      await group.kill9();
      throw new Error(`slapd did not come up: ${ended ?? 'it does not listen'}\n${group.stderr()}`);
    }
    await systemClock.sleep(20);
  }
  return { address, url, baseDn, bindDn, bindSecret, stop: () => group.stop() };
}

function entries(baseDn: string, { accounts, mailHost }: SlapdOptions): string {
  return [
    `dn: ${SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n`,
    `dn: ${baseDn}\nobjectClass: organizationalUnit\nou: people\n`,
    ...accounts.map(
      (account) =>
        `dn: uid=${account},${baseDn}\nobjectClass: inetOrgPerson\nobjectClass: inetLocalMailRecipient\nuid: ${account}\ncn: ${account}\nsn: ${account}\nmail: ${account}@example.org\nmailHost: ${mailHost}\n`,
    ),
  ].join('\n');
}

/** Whether something accepts connections there. */
export function listens(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
