/**
 * A real Dovecot for tests and benches: its own folder, its own loopback address, its own process group.
 *
 * Accounts are numbered `user0001`… or named; all belong to one numeric uid that needs no entry in /etc/passwd.
 * Every account's password is `accountPassword(account)`; `account*masterUser` with `masterSecret` logs in as any of them.
 */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, freshLoopbackAddress } from './address.ts';
import { type ProcessGroup, startProcessGroup } from './process-group.ts';
import { temporaryDirectory } from './temp.ts';

export type StoreFormat = 'maildir' | 'mdbox' | 'sdbox';

/** Owner of all mail. A number is enough for Dovecot; nothing is added to the machine's users. */
export const MAIL_UID = 5000;
export const MAIL_GID = 5000;

/** What a server without CONDSTORE and its relatives announces: the plain path of a client. */
export const PLAIN_CAPABILITY =
  'IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ CHILDREN NAMESPACE UIDPLUS UNSELECT';

export interface DovecotOptions {
  /** Names, or how many of `user0001`, `user0002`… Default: 3. */
  accounts?: readonly string[] | number;
  /** Default: maildir. */
  format?: StoreFormat;
  /**
   * Default: a fresh address of 127.0.0.0/8. Ports are 143, 993, 24 (LMTP) and 8080 (doveadm HTTP API), or free
   * ones where something on this machine holds those on all addresses.
   */
  address?: string;
  /** Announces `PLAIN_CAPABILITY` only. */
  hideCondstore?: boolean;
  /** Announces exactly this instead of Dovecot's own list. */
  capability?: string;
  /**
   * Posts every change to `url` with the lua driver and waits up to `timeoutMs` for the answer.
   * `script` replaces the lab's own lua script (its text, used as it is).
   */
  push?: { url: string; timeoutMs?: number; script?: string };
  /** Own CA and a certificate for the address; IMAPS on 993, STARTTLS on 143. */
  ssl?: boolean;
  /** Default: understudy. */
  masterUser?: string;
  /** Default: Dovecot's own (`optimized`). `never` for benches that measure reading. */
  fsync?: 'never' | 'optimized' | 'always';
  /** INBOX alone exists at first; with this, Drafts, Sent, Trash and Junk appear by themselves too. */
  autoMailboxes?: boolean;
  /** Appended to dovecot.conf. `mail_plugins` belongs in `mailPlugins`: included later, it does not reach protocol blocks. */
  extraConfig?: string;
  mailPlugins?: readonly string[];
  /** Homes of the accounts, kept at `stop` when given. Default: a folder that goes with the server. */
  mailRoot?: string;
  /** Most processes of each service. Default: 2500. */
  processLimit?: number;
}

export interface Dovecot {
  readonly address: string;
  readonly imapPort: number;
  readonly imapsPort: number;
  readonly lmtpPort: number;
  /** `http://…:8080/doveadm/v1` */
  readonly doveadmUrl: string;
  readonly doveadmKey: string;
  readonly masterUser: string;
  readonly masterSecret: string;
  readonly accounts: readonly string[];
  /** PEM file of the CA that signed the certificate; with `ssl` only. */
  readonly caFile: string | undefined;
  readonly format: StoreFormat;
  readonly mailRoot: string;
  readonly configFile: string;
  accountPassword(account: string): string;
  /** The user name that logs in as `account` with `masterSecret`. */
  masterLogin(account: string): string;
  /** Home of an account; its store lies in it. */
  home(account: string): string;
  /** The account's store on disk (`Maildir`, `mdbox`, `sdbox`); absent until the account was used. */
  storePath(account: string): string;
  /** Resolves when the server knows them (up to a second: it looks at its passwd-file once a second). */
  addAccounts(names: readonly string[]): Promise<void>;
  /** Process ids of the server; none when it does not run. */
  processIds(): number[];
  /** Runs `doveadm -c … args` and returns its stdout. */
  doveadm(...args: string[]): string;
  /** Graceful, then removes the server's folder. May be repeated. */
  stop(): Promise<void>;
  /** SIGKILL to all its processes at once. `restart` brings it back with all that is on disk. */
  kill9(): Promise<void>;
  /** Starts again (gracefully stopped first when it runs): same address, ports, accounts, mail. */
  restart(): Promise<void>;
  /** dovecot.log so far. */
  log(): string;
}

interface Ports {
  imap: number;
  imaps: number;
  lmtp: number;
  doveadm: number;
}

const usualPorts: Ports = { imap: 143, imaps: 993, lmtp: 24, doveadm: 8080 };

async function chooseAddress(): Promise<{ address: string; ports: Ports }> {
  const address = await freshLoopbackAddress(Object.values(usualPorts));
  if (address !== undefined) return { address, ports: usualPorts };
  const [imap, imaps, lmtp, doveadm] = await Promise.all(
    Array.from({ length: 4 }, () => freePort('127.0.0.1')),
  );
  if (!imap || !imaps || !lmtp || !doveadm) throw new Error('no free ports on 127.0.0.1');
  return { address: '127.0.0.1', ports: { imap, imaps, lmtp, doveadm } };
}

/** Names of `accounts` as `startDovecot` makes them from a number. */
export function accountNames(accounts: readonly string[] | number): string[] {
  if (typeof accounts !== 'number') return [...accounts];
  return Array.from({ length: accounts }, (_, index) => `user${String(index + 1).padStart(4, '0')}`);
}

/** Starts a server and resolves when it answers a login. Rejects with Dovecot's own words when it does not come up. */
export async function startDovecot(options: DovecotOptions = {}): Promise<Dovecot> {
  const directory = temporaryDirectory('dovecot');
  try {
    return await start(options, directory.path, directory.remove);
  } catch (error) {
    directory.remove();
    throw error;
  }
}

async function start(options: DovecotOptions, directory: string, remove: () => void): Promise<Dovecot> {
  const { address, ports } = options.address
    ? { address: options.address, ports: usualPorts }
    : await chooseAddress();
  const format = options.format ?? 'maildir';
  const mailRoot = options.mailRoot ?? join(directory, 'mail');
  const masterUser = options.masterUser ?? 'understudy';
  const masterSecret = 'master-secret';
  const doveadmKey = 'doveadm-key';
  const accounts: string[] = [];
  const configFile = join(directory, 'dovecot.conf');
  const usersFile = join(directory, 'users');
  const logFile = join(directory, 'dovecot.log');
  const caFile = options.ssl ? join(directory, 'ca.pem') : undefined;

  chmodSync(directory, 0o755);
  for (const path of [mailRoot, join(directory, 'state')]) mkdirSync(path, { recursive: true });
  chownSync(mailRoot, MAIL_UID, MAIL_GID);
  const accountPassword = (account: string) => `secret-of-${account}`;
  const home = (account: string) => join(mailRoot, account);
  const writeAccounts = (names: readonly string[]) => {
    appendFileSync(
      usersFile,
      names
        .map((name) => `${name}:{PLAIN}${accountPassword(name)}:${MAIL_UID}:${MAIL_GID}::${home(name)}::\n`)
        .join(''),
    );
    accounts.push(...names);
  };
  writeAccounts(accountNames(options.accounts ?? 3));
  writeFileSync(join(directory, 'readiness'), 'readiness:{PLAIN}readiness::::::nologin\n');
  writeFileSync(join(directory, 'masters'), `${masterUser}:{PLAIN}${masterSecret}\n`);
  if (options.ssl) makeCertificate(directory, address);
  if (options.push) {
    writeFileSync(
      join(directory, 'push.lua'),
      options.push.script ?? pushScript(options.push.url, options.push.timeoutMs ?? 2000),
    );
  }
  writeFileSync(
    configFile,
    configuration({ ...options, address, ports, format, directory, mailRoot, doveadmKey, logFile }),
  );

  let group: ProcessGroup | undefined;
  const log = () => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '');
  const launch = async () => {
    // Sockets that a killed instance left would make the new one ask whether the old one still runs.
    rmSync(join(directory, 'run'), { recursive: true, force: true });
    mkdirSync(join(directory, 'run'));
    group = startProcessGroup('dovecot', ['-F', '-c', configFile], { cwd: directory });
    const failure = await waitForLogin(address, ports.imap, group);
    if (failure !== undefined) {
      const said = `${group.stderr()}${log()}`;
      await group.kill9();
      throw new Error(`Dovecot did not come up on ${address}: ${failure}\n${said}`);
    }
  };
  await launch();
  // Dovecot's master and its log process linger for a second after all that serve mail have ended.
  const stopGroup = async () => group?.stop({ idleLast: 2 });

  return {
    address,
    imapPort: ports.imap,
    imapsPort: ports.imaps,
    lmtpPort: ports.lmtp,
    doveadmUrl: `http://${address}:${ports.doveadm}/doveadm/v1`,
    doveadmKey,
    masterUser,
    masterSecret,
    accounts,
    caFile,
    format,
    mailRoot,
    configFile,
    accountPassword,
    masterLogin: (account) => `${account}*${masterUser}`,
    home,
    storePath: (account) => join(home(account), storeFolder[format]),
    addAccounts: async (names) => {
      writeAccounts(names);
      await delay(1_050);
    },
    processIds: () => group?.members() ?? [],
    doveadm: (...args) =>
      execFileSync('doveadm', ['-c', configFile, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 }),
    stop: async () => {
      await stopGroup();
      remove();
    },
    kill9: async () => {
      await group?.kill9();
    },
    restart: async () => {
      await stopGroup();
      await launch();
    },
    log,
  };
}

const storeFolder: Record<StoreFormat, string> = { maildir: 'Maildir', mdbox: 'mdbox', sdbox: 'sdbox' };

/**
 * Resolves to nothing once the server answers a LOGIN, to the reason when it ended or stayed silent for 20 s.
 * The login is of a name that has a password but may not log in: the answer proves that the authentication
 * service works, comes without the delay of a wrong password, and no mailbox is made by it.
 */
async function waitForLogin(address: string, port: number, group: ProcessGroup): Promise<string | undefined> {
  const start = performance.now();
  while (performance.now() - start < 20_000) {
    const ended = group.ended();
    if (ended !== undefined) return `it ended with ${ended}`;
    if (await answersLogin(address, port)) return undefined;
    await delay(5);
  }
  return 'no answer to LOGIN within 20 s';
}

function answersLogin(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    let text = '';
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(2_000, () => end(false));
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
    socket.on('data', (chunk) => {
      const before = text;
      text += chunk.toString('latin1');
      if (before === '' && text.startsWith('* OK')) socket.write('a LOGIN readiness readiness\r\n');
      if (/^a (OK|NO|BAD)/m.test(text)) end(true);
    });
  });
}

function configuration(
  o: DovecotOptions & {
    address: string;
    ports: Ports;
    format: StoreFormat;
    directory: string;
    mailRoot: string;
    doveadmKey: string;
    logFile: string;
  },
): string {
  const plugins = [
    ...(o.mailPlugins ?? []),
    ...(o.push ? ['notify', 'push_notification', 'mail_lua', 'push_notification_lua'] : []),
  ];
  const capability = o.capability ?? (o.hideCondstore ? PLAIN_CAPABILITY : undefined);
  const auto = o.autoMailboxes ? 'auto = subscribe\n    ' : '';
  const processLimit = o.processLimit ?? 2500;
  // One login process serves all connections, as large installations have it.
  const loginService = 'service_count = 0\n  client_limit = 10000\n  process_min_avail = 1';
  return `base_dir = ${o.directory}/run
state_dir = ${o.directory}/state
instance_name = ${o.address}
listen = ${o.address}
protocols = imap lmtp
log_path = ${o.logFile}
log_timestamp = "%Y-%m-%d %H:%M:%S.%{usecs} "
auth_verbose = yes
${o.ssl ? `ssl = yes\nssl_cert = <${o.directory}/cert.pem\nssl_key = <${o.directory}/key.pem` : 'ssl = no'}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_master_user_separator = *
auth_username_format = %u
auth_failure_delay = 0
default_vsz_limit = 1G
default_process_limit = ${processLimit}
default_client_limit = 20000
passdb {
  driver = passwd-file
  master = yes
  args = ${o.directory}/masters
  result_success = continue
}
passdb {
  driver = passwd-file
  args = username_format=%u ${o.directory}/users
}
passdb {
  driver = passwd-file
  args = username_format=%u ${o.directory}/readiness
}
userdb {
  driver = passwd-file
  args = username_format=%u ${o.directory}/users
}
first_valid_uid = ${MAIL_UID}
mail_location = ${o.format}:~/${storeFolder[o.format]}
mail_attribute_dict = file:%h/dovecot-attributes
mail_max_userip_connections = 0
${o.fsync ? `mail_fsync = ${o.fsync}\n` : ''}mail_plugins = ${plugins.join(' ')}
namespace inbox {
  type = private
  separator = /
  prefix =
  inbox = yes
  mailbox Drafts {
    ${auto}special_use = \\Drafts
  }
  mailbox Sent {
    ${auto}special_use = \\Sent
  }
  mailbox Trash {
    ${auto}special_use = \\Trash
  }
  mailbox Junk {
    ${auto}special_use = \\Junk
  }
}
${capability ? `imap_capability = ${capability}\n` : ''}protocol imap {
  imap_metadata = yes
}
protocol lmtp {
  postmaster_address = postmaster@example.test
}
doveadm_api_key = ${o.doveadmKey}
service doveadm {
  inet_listener http {
    address = ${o.address}
    port = ${o.ports.doveadm}
  }
}
service imap-login {
  ${loginService}
  inet_listener imap {
    port = ${o.ports.imap}
  }
  inet_listener imaps {
    port = ${o.ssl ? o.ports.imaps : 0}
  }
}
service imap {
  process_limit = ${processLimit}
}
service lmtp {
  inet_listener lmtp {
    address = ${o.address}
    port = ${o.ports.lmtp}
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
${o.push ? `plugin {\n  push_notification_driver = lua:file=${o.directory}/push.lua\n}\n` : ''}${o.extraConfig ?? ''}
`;
}

/** A CA of its own and a certificate for the address and for `localhost`. */
function makeCertificate(directory: string, address: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];
  openssl('req', '-x509', ...newKey, '-keyout', 'ca-key.pem', '-out', 'ca.pem', '-subj', '/CN=Test CA');
  writeFileSync(join(directory, 'san'), `subjectAltName=IP:${address},DNS:localhost\n`);
  openssl('req', ...newKey, '-keyout', 'key.pem', '-out', 'request.pem', '-subj', `/CN=${address}`);
  const sign = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '30', '-extfile', 'san'];
  openssl('x509', '-req', '-in', 'request.pem', ...sign, '-out', 'cert.pem');
}

/** One POST per transaction: `{"user", "success", "events": [{name, mailbox, uid, …}]}`; numbers arrive as text ("2.0"). */
function pushScript(url: string, timeoutMs: number): string {
  const kinds = [
    'message_new',
    'message_append',
    'message_expunge',
    'message_read',
    'message_trash',
    'flags_set',
    'flags_clear',
    'mailbox_create',
    'mailbox_delete',
    'mailbox_rename',
    'mailbox_subscribe',
    'mailbox_unsubscribe',
  ];
  return `local client = nil
function script_init()
  client = dovecot.http.client({request_timeout_msecs = ${timeoutMs}, request_absolute_timeout_msecs = ${timeoutMs}, connect_timeout_msecs = ${timeoutMs}, max_attempts = 1})
  return 0
end
local function quoted(value)
  return '"' .. tostring(value):gsub('[%c"\\\\]', function(c) return string.format('\\\\u%04x', c:byte()) end) .. '"'
end
local function object(fields)
  local out = {}
  for key, value in pairs(fields) do
    out[#out + 1] = quoted(key) .. ':' .. (type(value) == 'table' and object(value) or quoted(value))
  end
  return '{' .. table.concat(out, ',') .. '}'
end
function dovecot_lua_notify_begin_txn(user) return {user = user, events = {}} end
local function add(context, event) context.events[#context.events + 1] = object(event) end
${kinds.map((kind) => `function dovecot_lua_notify_event_${kind}(context, event) add(context, event) end`).join('\n')}
function dovecot_lua_notify_end_txn(context, success)
  local request = client:request({url = '${url}', method = 'POST'})
  request:add_header('Content-Type', 'application/json')
  request:set_payload('{"user":' .. quoted(context.user.username) .. ',"success":' .. tostring(success) .. ',"events":[' .. table.concat(context.events, ',') .. ']}')
  pcall(function() return request:submit() end)
end
`;
}
