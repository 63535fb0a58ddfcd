/**
 * A real Dovecot for the demo, tests and benches: its own folder, its own loopback address, its own process group.
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
import { join } from 'node:path';
import { systemClock } from '../../lib/index.ts';
import { pushScript } from '../../workloads/mail/push/index.ts';
import { freePort, freshLoopbackAddress } from './address.ts';
import { answerToLogin } from './answer-to-login.ts';
import {
  type ConfigurationOptions,
  configuration,
  MAIL_GID,
  MAIL_UID,
  makeCertificate,
  type Ports,
  storeFolder,
} from './configuration.ts';
import { type ProcessGroup, startProcessGroup } from './process-group.ts';
import { temporaryDirectory } from './temp.ts';

export type StoreFormat = 'maildir' | 'mdbox' | 'sdbox';

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
   * Posts every change to `url` with the lua driver and waits up to `timeoutMs` (2,000) for the answer.
   * `script` replaces the lua script that `understudy init` prints (its text, used as it is).
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
  /** Its folder, made where it is missing, kept at `stop`. Default: a temporary folder that goes with the server. */
  folder?: string;
  /** Homes of the accounts, kept at `stop` when given. Default: below its folder. */
  mailRoot?: string;
  /** Most processes of each service. Default: 2500. */
  processLimit?: number;
  /** Default: the one that is installed, a 2.3. */
  release?: DovecotRelease;
}

/** A release of Dovecot that lies elsewhere than the installed one, or is configured otherwise. */
export interface DovecotRelease {
  /** The text of dovecot.conf. */
  configuration(options: ConfigurationOptions): string;
  /** `program` (`dovecot`, `doveadm`) of this release with `args`, for `spawn`. */
  command(program: string, args: readonly string[]): readonly [command: string, args: readonly string[]];
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
  /** Graceful, then removes the server's temporary folder. May be repeated. */
  stop(): Promise<void>;
  /** SIGKILL to all its processes at once. `restart` brings it back with all that is on disk. */
  kill9(): Promise<void>;
  /** Starts again (gracefully stopped first when it runs): same address, ports, accounts, mail. */
  restart(): Promise<void>;
  /** dovecot.log so far. */
  log(): string;
}

const INSTALLED: DovecotRelease = { configuration, command: (program, args) => [program, args] };

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
  const directory =
    options.folder === undefined ? temporaryDirectory('dovecot') : { path: options.folder, remove: () => {} };
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
  const release = options.release ?? INSTALLED;
  const mailRoot = options.mailRoot ?? join(directory, 'mail');
  const masterUser = options.masterUser ?? 'understudy';
  const masterSecret = 'master-secret';
  const doveadmKey = 'doveadm-key';
  const accounts: string[] = [];
  const configFile = join(directory, 'dovecot.conf');
  const usersFile = join(directory, 'users');
  const logFile = join(directory, 'dovecot.log');
  const caFile = options.ssl ? join(directory, 'ca.pem') : undefined;

  mkdirSync(directory, { recursive: true });
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
      options.push.script ??
        pushScript({ url: options.push.url, timeoutMs: options.push.timeoutMs ?? 2_000 }),
    );
  }
  writeFileSync(
    configFile,
    release.configuration({ ...options, address, ports, format, directory, mailRoot, doveadmKey, logFile }),
  );

  let group: ProcessGroup | undefined;
  const log = () => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '');
  const launch = async () => {
    // Sockets that a killed instance left would make the new one ask whether the old one still runs.
    rmSync(join(directory, 'run'), { recursive: true, force: true });
    mkdirSync(join(directory, 'run'));
    group = startProcessGroup(...release.command('dovecot', ['-F', '-c', configFile]), { cwd: directory });
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
      await systemClock.sleep(1_050);
    },
    processIds: () => group?.members() ?? [],
    doveadm: (...args) =>
      execFileSync(...release.command('doveadm', ['-c', configFile, ...args]), {
        encoding: 'utf8',
        maxBuffer: 1 << 28,
      }),
    stop: async () => {
      await stopGroup();
      remove();
    },
    kill9: async () => {
      await group?.kill9();
      removeDotlocks(mailRoot);
    },
    restart: async () => {
      await stopGroup();
      await launch();
    },
    log,
  };
}

/**
 * A dotlock names the process that holds it, and Dovecot waits for it, for up to two minutes, where that number seems to live on: as a zombie that
 * nobody has waited for, or in another process. A machine that was lost comes up without either.
 */
function removeDotlocks(mailRoot: string): void {
  const notThoseOfMail = ['-type', 'd', '(', '-name', 'cur', '-o', '-name', 'new', ')', '-prune'];
  const remove = ['-type', 'f', '-name', '*.lock', '-exec', 'rm', '-f', '{}', '+'];
  execFileSync('find', [mailRoot, ...notThoseOfMail, '-o', ...remove]);
}

/**
 * Resolves to nothing once the server answers a LOGIN, to the reason when it ended or stayed silent for 20 s.
 * The login is of a name that has a password but may not log in: the answer proves that the authentication
 * service works, comes without the delay of a wrong password, and no mailbox is made by it.
 */
async function waitForLogin(address: string, port: number, group: ProcessGroup): Promise<string | undefined> {
  const start = systemClock.monotonicMs();
  while (systemClock.monotonicMs() - start < 20_000) {
    const ended = group.ended();
    if (ended !== undefined) return `it ended with ${ended}`;
    if (await answerToLogin(address, port, 'readiness', 'readiness')) return undefined;
    await systemClock.sleep(5);
  }
  return 'no answer to LOGIN within 20 s';
}
