/**
 * A real Courier IMAP, as Debian 12 has it, in a world of its own: its package would remove Dovecot's. It knows of no user that may act
 * for another: each account logs in itself.
 */
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { freshLoopbackAddress } from './address.ts';
import { debian12 } from './debian12.ts';
import { MAIL_GID, MAIL_UID } from './dovecot.ts';
import { letsIn } from './imap-login.ts';
import type { ProcessGroup } from './process-group.ts';
import { listenSyslog } from './syslog.ts';
import { temporaryDirectory } from './temp.ts';

const found = debian12(
  ['courier-imap', 'courier-authlib-userdb'],
  // Of no use without the packages' scripts, and not what serves IMAP.
  [
    'mail-transport-agent',
    'debconf',
    'debconf-2.0',
    'perl',
    'adduser',
    'passwd',
    'login',
    'expect',
    'gnutls-bin',
    'libgnutls-dane0',
    'init-d-script',
    'init-system-helpers',
    'lsb-base',
    'sysvinit-utils',
  ],
);

/** The reason to skip where it cannot be had, else false: made for the `skip` option of a test. */
export const courierMissing: string | false = typeof found === 'string' ? found : false;

export interface Courier {
  readonly address: string;
  readonly imapPort: number;
  readonly accounts: readonly string[];
  accountPassword(account: string): string;
  /** The account's Maildir. */
  storePath(account: string): string;
  processIds(): number[];
  /** What it told syslog and stderr. */
  log(): string;
  /** Removes its folder too. May be repeated. */
  stop(): Promise<void>;
}

/** As its `/etc/courier/imapd` comes; `maxPerIp` is what every client of a lab shares. */
const SETTINGS: NodeJS.ProcessEnv = {
  IMAP_CAPABILITY:
    'IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE',
  IMAP_KEYWORDS: '1',
  IMAP_ACL: '1',
  IMAP_IDLE_TIMEOUT: '60',
  IMAP_MAILBOX_SANITY_CHECK: '1',
  IMAP_USELOCKS: '1',
  IMAP_SHAREDINDEXFILE: '/etc/courier/shared/index',
  IMAP_TRASHFOLDERNAME: 'Trash',
  IMAP_EMPTYTRASH: 'Trash:7',
};

/** Of every account: `openssl passwd -1`, quick to check. */
const SECRET = 'courier-secret';
const SECRET_HASH = '$1$lab$AumzfR1LKy8ys126HU8ZV/';
const PORT = 143;

/** Starts a server and resolves when it greets. Throws where `courierMissing`, rejects with its words when it does not come up. */
export async function startCourier({
  accounts = ['user0001'],
}: {
  accounts?: readonly string[];
} = {}): Promise<Courier> {
  if (typeof found === 'string') throw new Error(found);
  const directory = temporaryDirectory('courier');
  const folder = directory.path;
  const address = await freshLoopbackAddress([PORT]);
  if (address === undefined) throw new Error('no loopback address is free');
  const syslog = await listenSyslog(join(folder, 'syslog'));
  let group: ProcessGroup | undefined;
  const stop = async () => {
    await group?.stop();
    await syslog.close();
    directory.remove();
  };
  const log = () => `${syslog.text()}${group?.stderr() ?? ''}`;
  try {
    chmodSync(folder, 0o755);
    chmodSync(join(folder, 'syslog'), 0o666);
    layOut(folder, accounts);
    const database = (name: string, records: readonly string[]) =>
      found.run(
        folder,
        [
          '/usr/lib/courier/courier-authlib/makedatprog',
          '-',
          `/etc/courier/${name}.tmp`,
          `/etc/courier/${name}.dat`,
        ],
        [...records, '.', ''].join('\n'),
      );
    database(
      'userdb',
      accounts.map(
        (name) =>
          `${name}\tuid=${MAIL_UID}|gid=${MAIL_GID}|home=/lab/mail/${name}|mail=/lab/mail/${name}/Maildir|_=`,
      ),
    );
    database(
      'userdbshadow',
      accounts.map((name) => `${name}\tsystempw=${SECRET_HASH}`),
    );
    group = found.start(
      folder,
      [
        { run: ['/usr/lib/courier/courier-authlib/authdaemond'] },
        { run: ['/usr/libexec/gam_server', '--notimeout'], id: MAIL_UID },
        {
          run: [
            '/usr/sbin/couriertcpd',
            `-address=${address}`,
            '-maxprocs=100',
            '-maxperip=100',
            '-nodnslookup',
            '-noidentlookup',
            String(PORT),
            '/usr/lib/courier/courier/imaplogin',
            '/usr/bin/imapd',
            'Maildir',
          ],
        },
      ],
      // Names its socket, which all worlds of this machine share.
      { ...SETTINGS, GAM_CLIENT_ID: basename(folder) },
    );
    if (!(await letsIn({ address, port: PORT, user: accounts[0] ?? '', pass: SECRET }, group))) {
      throw new Error(`Courier did not come up on ${address}: ${group.ended() ?? ''}\n${log()}`);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    address,
    imapPort: PORT,
    accounts,
    accountPassword: () => SECRET,
    storePath: (account) => join(folder, 'mail', account, 'Maildir'),
    processIds: group.members,
    log,
    stop,
  };
}

function layOut(folder: string, accounts: readonly string[]): void {
  for (const name of ['etc/courier/shared', 'run/courier/authdaemon', 'tmp', 'mail']) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  chmodSync(join(folder, 'tmp'), 0o1777);
  writeFileSync(
    join(folder, 'etc/passwd'),
    `root:x:0:0::/:\ncourier:x:1:1::/:\nmail:x:${MAIL_UID}:${MAIL_GID}::/:\n`,
  );
  writeFileSync(join(folder, 'etc/group'), 'root:x:0:\ncourier:x:1:\n');
  writeFileSync(
    join(folder, 'etc/courier/authdaemonrc'),
    'authmodulelist="authuserdb"\nauthmodulelistorig="authuserdb"\ndaemons=2\nauthdaemonvar=/run/courier/authdaemon\n',
  );
  for (const account of accounts) {
    for (const part of ['', 'Maildir', 'Maildir/cur', 'Maildir/new', 'Maildir/tmp']) {
      const path = join(folder, 'mail', account, part);
      mkdirSync(path, { recursive: true });
      chownSync(path, MAIL_UID, MAIL_GID);
    }
  }
}
