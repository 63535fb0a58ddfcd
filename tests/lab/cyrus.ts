/**
 * A real Cyrus, as Debian 12 has it, in a world of its own: its package would remove Dovecot's. An account is made by its first
 * log-in. `proxyUser` with `proxySecret` logs in as any of them by SASL PLAIN's authorization identity, and may do nothing else.
 */
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freshLoopbackAddress } from './address.ts';
import { type Debian12, debian12 } from './debian12.ts';
import { letsIn } from './imap-login.ts';
import type { ProcessGroup } from './process-group.ts';
import { listenSyslog } from './syslog.ts';
import { temporaryDirectory } from './temp.ts';

const found = debian12(
  ['cyrus-imapd', 'sasl2-bin', 'libeatmydata1'],
  // Of no use without the packages' scripts, and not what serves IMAP.
  [
    'mail-transport-agent',
    'debconf',
    'debconf-2.0',
    'perl',
    'perl:any',
    'adduser',
    'gawk',
    'e2fsprogs',
    'lsb-base',
    'db-util',
    'netbase',
    'libclamav12',
    'init-system-helpers',
    'sysvinit-utils',
  ],
);

/** The reason to skip where it cannot be had, else false: made for the `skip` option of a test. */
export const cyrusMissing: string | false = typeof found === 'string' ? found : false;

export interface CyrusOptions {
  /** Default: `user0001`. */
  accounts?: readonly string[];
  /** Mailboxes beside INBOX rather than below it, as Cyrus has it by itself since 3.0. Default: true. */
  altNamespace?: boolean;
  /** `/` between levels rather than `.`, as Cyrus has it by itself since 3.0. Default: true. */
  unixHierarchySeparator?: boolean;
  /** Lines of imapd.conf. */
  extraConfig?: string;
}

export interface Cyrus {
  readonly address: string;
  readonly imapPort: number;
  readonly accounts: readonly string[];
  readonly admin: string;
  readonly adminSecret: string;
  readonly proxyUser: string;
  readonly proxySecret: string;
  accountPassword(account: string): string;
  processIds(): number[];
  /** What it told syslog. */
  log(): string;
  /** Removes its folder too. May be repeated. */
  stop(): Promise<void>;
}

/** Debian's `mail`, by number: that world has no users but those we name. */
const UID = 8;
const DOMAIN = 'cyrus.lab';
const ADMIN = 'cyrus';
const PROXY_USER = 'understudy';
const PORT = 143;

/** Starts a server and resolves when it answers. Throws where `cyrusMissing`, rejects with its words when it does not come up. */
export async function startCyrus(options: CyrusOptions = {}): Promise<Cyrus> {
  if (typeof found === 'string') throw new Error(found);
  const directory = temporaryDirectory('cyrus');
  const folder = directory.path;
  const address = await freshLoopbackAddress([PORT]);
  if (address === undefined) throw new Error('no loopback address is free');
  const accounts = options.accounts ?? ['user0001'];
  const accountPassword = (name: string) => `secret-of-${name}`;
  const syslog = await listenSyslog(join(folder, 'syslog'));
  let group: ProcessGroup | undefined;
  const stop = async () => {
    await group?.stop();
    await syslog.close();
    directory.remove();
  };
  try {
    chmodSync(folder, 0o755);
    chmodSync(join(folder, 'syslog'), 0o666);
    layOut(folder, options, address);
    for (const name of [ADMIN, PROXY_USER, ...accounts])
      addPassword(found, folder, name, accountPassword(name));
    chownSync(join(folder, 'sasldb2'), UID, UID);
    group = found.start(
      folder,
      [
        {
          run: [
            '/usr/lib/cyrus/bin/master',
            '-C',
            '/lab/imapd.conf',
            '-M',
            '/lab/cyrus.conf',
            '-p',
            '/run/master.pid',
          ],
        },
      ],
      { CYRUS_USER: 'cyrus' },
    );
    if (!(await letsIn({ address, port: PORT, user: ADMIN, pass: accountPassword(ADMIN) }, group))) {
      throw new Error(
        `Cyrus did not come up on ${address}: ${group.ended() ?? ''}\n${group.stderr()}${syslog.text()}`,
      );
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const { members } = group;
  return {
    address,
    imapPort: PORT,
    accounts,
    admin: ADMIN,
    adminSecret: accountPassword(ADMIN),
    proxyUser: PROXY_USER,
    proxySecret: accountPassword(PROXY_USER),
    accountPassword,
    processIds: members,
    log: syslog.text,
    stop,
  };
}

function layOut(folder: string, options: CyrusOptions, address: string): void {
  const parts = 'db socket proc lock log msg ptclient quota sieve sync user backup'.split(' ');
  const own = ['lib', 'spool', ...parts.map((part) => join('lib', part))];
  for (const name of [...own, 'etc', 'run', 'tmp']) {
    mkdirSync(join(folder, name), { recursive: true });
    chownSync(join(folder, name), UID, UID);
  }
  writeFileSync(join(folder, 'etc/passwd'), `root:x:0:0::/:\ncyrus:x:${UID}:${UID}::/:\n`);
  writeFileSync(join(folder, 'etc/group'), `root:x:0:\nmail:x:${UID}:\n`);
  // It has no switch for its fsync, which takes half a minute for the corpus; nothing here cuts its power.
  writeFileSync(join(folder, 'etc/ld.so.preload'), 'libeatmydata.so\n');
  writeFileSync(join(folder, 'imapd.conf'), `${imapdConf(options)}\n`);
  writeFileSync(join(folder, 'cyrus.conf'), cyrusConf(address));
}

function imapdConf(options: CyrusOptions): string {
  const yes = (value = true) => (value ? 'yes' : 'no');
  return `configdirectory: /lab/lib
defaultpartition: default
partition-default: /lab/spool
admins: ${ADMIN}
proxyservers: ${PROXY_USER}
servername: ${DOMAIN}
altnamespace: ${yes(options.altNamespace)}
unixhierarchysep: ${yes(options.unixHierarchySeparator)}
virtdomains: off
hashimapspool: yes
allowplaintext: yes
autocreate_quota: 0
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: /lab/sasldb2
sasl_mech_list: PLAIN LOGIN
${options.extraConfig ?? ''}`;
}

function cyrusConf(address: string): string {
  const configured = '-C /lab/imapd.conf';
  return `START {
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb ${configured} -r"
}
SERVICES {
  imap cmd="/usr/lib/cyrus/bin/imapd ${configured}" listen="${address}:${PORT}" prefork=1
}
DAEMON {
  idled cmd="/usr/lib/cyrus/bin/idled ${configured}"
}
EVENTS {
}
`;
}

function addPassword(world: Debian12, folder: string, account: string, secret: string): void {
  world.run(
    folder,
    ['/usr/sbin/saslpasswd2', '-p', '-f', '/lab/sasldb2', '-u', DOMAIN, '-c', account],
    secret,
  );
}
