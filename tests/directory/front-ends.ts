/** Front ends that ask the directory for each user's server: a Dovecot proxy, and a Postfix that delivers by LMTP. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../lab/address.ts';
import { type ProcessGroup, startProcessGroup } from '../lab/process-group.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { PEOPLE, type Slapd } from './slapd.ts';

export interface ImapProxy {
  readonly port: number;
  /** Names of the mailboxes that a login of `account` finds; undefined when the login is refused. */
  mailboxes(account: string, password: string): Promise<string[] | undefined>;
  log(): string;
  stop(): Promise<void>;
}

/** Sends each user to port `imapPort` of the host that `mailHost` names. */
export async function startImapProxy(slapd: Slapd, imapPort: number): Promise<ImapProxy> {
  const home = temporaryDirectory('imap-proxy');
  const file = (name: string) => join(home.path, name);
  const port = await freePort('127.0.0.1');
  for (const name of ['run', 'state']) mkdirSync(file(name));
  chmodSync(home.path, 0o755);
  writeFileSync(
    file('ldap.conf'),
    `uris = ${slapd.url}
ldap_version = 3
base = ${PEOPLE}
auth_bind = yes
pass_filter = (uid=%u)
pass_attrs = uid=user, =proxy=y, mailHost=host, =port=${imapPort}
`,
  );
  writeFileSync(
    file('dovecot.conf'),
    `base_dir = ${file('run')}
state_dir = ${file('state')}
instance_name = ${home.path}
listen = 127.0.0.1
protocols = imap
log_path = ${file('log')}
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
passdb {
  driver = ldap
  args = ${file('ldap.conf')}
}
service imap-login {
  inet_listener imap {
    port = ${port}
  }
  inet_listener imaps {
    port = 0
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
`,
  );
  const group = startProcessGroup('dovecot', ['-F', '-c', file('dovecot.conf')], { cwd: home.path });
  const log = () => (existsSync(file('log')) ? readFileSync(file('log'), 'utf8') : '');
  await greeted(port, group, log);
  return {
    port,
    mailboxes: (account, password) => mailboxesOf(port, account, password),
    log,
    stop: async () => {
      await group.stop({ idleLast: 2 });
      home.remove();
    },
  };
}

async function mailboxesOf(port: number, account: string, password: string): Promise<string[] | undefined> {
  const socket = connect(port, '127.0.0.1');
  try {
    socket.write(`a LOGIN "${account}" "${password}"\r\nb LIST "" "*"\r\nc LOGOUT\r\n`);
    const names: string[] = [];
    for await (const line of createInterface(socket)) {
      if (line.startsWith('a NO')) return undefined;
      const name = /^\* LIST .* (\S+)$/.exec(line)?.[1];
      if (name !== undefined) names.push(name);
      if (line.startsWith('b OK')) return names;
    }
    return undefined;
  } finally {
    socket.destroy();
  }
}

export interface Mta {
  readonly port: number;
  /** Hands it a message by SMTP; resolves when it is accepted, which is: queued. */
  send(to: string, subject: string): Promise<void>;
  /** Messages in the queue. */
  queued(): number;
  log(): string;
  stop(): Promise<void>;
}

/**
 * Delivers mail of example.org to port `lmtpPort` of the host that `mailHost` names; mail of a user without one waits. It
 * tries again every second.
 */
export async function startMta(slapd: Slapd, lmtpPort: number): Promise<Mta> {
  const home = temporaryDirectory('postfix');
  const file = (name: string) => join(home.path, name);
  const port = await freePort('127.0.0.1');
  chmodSync(home.path, 0o755);
  for (const name of ['spool', 'data']) mkdirSync(file(name));
  chownSync(file('data'), Number(idOf('postfix')), 0);
  const query = `server_host = ${slapd.url}\nversion = 3\nbind = no\nsearch_base = ${PEOPLE}\nquery_filter = (uid=%s)\n`;
  writeFileSync(file('accounts.cf'), `${query}result_attribute = uid\n`);
  writeFileSync(
    file('transport.cf'),
    `${query}result_attribute = mailHost\nresult_format = lmtp:inet:[%s]:${lmtpPort}\n`,
  );
  writeFileSync(
    file('main.cf'),
    `compatibility_level = 3.6
queue_directory = ${file('spool')}
data_directory = ${file('data')}
meta_directory = /etc/postfix
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
maillog_file_prefixes = ${home.path}
maillog_file = ${file('log')}
myhostname = mx.example.net
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
virtual_mailbox_domains = example.org
virtual_mailbox_maps = ldap:${file('accounts.cf')}
transport_maps = ldap:${file('transport.cf')}
virtual_transport = retry:4.3.0 no server has this account now
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
transport_retry_time = 1s
smtputf8_enable = no
alias_maps =
alias_database =
`,
  );
  const service = (name: string, how: string) => `${name} ${how}\n`;
  writeFileSync(
    file('master.cf'),
    [
      service(`127.0.0.1:${port}`, 'inet n - n - - smtpd'),
      service('pickup', 'unix n - n 60 1 pickup'),
      service('cleanup', 'unix n - n - 0 cleanup'),
      service('qmgr', 'unix n - n 1 1 qmgr'),
      service('rewrite', 'unix - - n - - trivial-rewrite'),
      ...['bounce', 'defer', 'trace'].map((name) => service(name, 'unix - - n - 0 bounce')),
      service('flush', 'unix n - n 1000? 0 flush'),
      service('proxymap', 'unix - - n - - proxymap'),
      service('lmtp', 'unix - - n - - lmtp'),
      service('smtp', 'unix - - n - - smtp'),
      ...['error', 'retry'].map((name) => service(name, 'unix - - n - - error')),
      service('showq', 'unix n - n - - showq'),
      service('anvil', 'unix - - n - 1 anvil'),
      service('scache', 'unix - - n - 1 scache'),
      service('postlog', 'unix-dgram n - n - 1 postlogd'),
    ].join(''),
  );
  // Makes the folders of the queue.
  execFileSync('postfix', ['-c', home.path, 'check'], { stdio: 'pipe' });
  const group = startProcessGroup('/usr/lib/postfix/sbin/master', ['-c', home.path, '-d']);
  const log = () => (existsSync(file('log')) ? readFileSync(file('log'), 'utf8') : '');
  await greeted(port, group, log);
  return {
    port,
    send: (to, subject) => sendMail(port, to, subject),
    queued: () =>
      execFileSync('postqueue', ['-c', home.path, '-j'], { encoding: 'utf8' }).split('\n').filter(Boolean)
        .length,
    log,
    stop: async () => {
      await group.stop();
      home.remove();
    },
  };
}

async function sendMail(port: number, to: string, subject: string): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  const lines = createInterface(socket)[Symbol.asyncIterator]();
  const expect = async (code: string) => {
    for (;;) {
      const { value = 'end of the connection' } = await lines.next();
      if (!value.startsWith(code)) throw new Error(`SMTP: ${value}`);
      if (value[3] !== '-') return;
    }
  };
  const say = async (text: string, code: string) => {
    socket.write(`${text}\r\n`);
    await expect(code);
  };
  try {
    await expect('220');
    await say('EHLO client.example.net', '250');
    await say('MAIL FROM:<sender@example.net>', '250');
    await say(`RCPT TO:<${to}>`, '250');
    await say('DATA', '354');
    await say(`From: <sender@example.net>\r\nTo: <${to}>\r\nSubject: ${subject}\r\n\r\nhello\r\n.`, '250');
    await say('QUIT', '221');
  } finally {
    socket.destroy();
  }
}

function idOf(user: string): string {
  return execFileSync('id', ['-u', user], { encoding: 'utf8' }).trim();
}

async function greeted(port: number, group: ProcessGroup, log: () => string): Promise<void> {
  for (let tries = 0; tries < 500 && group.ended() === undefined; tries += 1) {
    const up = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      const end = (answer: boolean) => {
        socket.destroy();
        resolve(answer);
      };
      socket.setTimeout(2_000, () => end(false));
      socket.once('data', () => end(true)).once('error', () => end(false));
    });
    if (up) return;
    await delay(20);
  }
  throw new Error(`no greeting on port ${port}: ${group.ended()} ${group.stderr()} ${log()}`);
}
