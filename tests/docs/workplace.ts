/**
 * Where the commands of a page are run: a real Dovecot that takes the configuration which the page shows, a folder
 * that stands for the paths which the page names, the command from this checkout, and `systemctl` for the service.
 *
 * Pages name `mail.example.org`, /etc/understudy, /var/lib/understudy, /etc/dovecot and port 7700; commands and files
 * get what stands for these here, and what a command prints gets the page's names again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Slapd, startSlapd } from '../../src/demo/directory/index.ts';
import { freePort } from '../lab/address.ts';
import { type Dovecot, startDovecot } from '../lab/dovecot.ts';
import { fillDovecot } from '../lab/fill.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { root } from './markdown.ts';

export interface Ran {
  readonly status: number;
  /** stdout and stderr as a terminal shows them, in the page's names. */
  readonly output: string;
}

export interface Workplace {
  /** Runs a command line as typed. `cd` lasts; `understudy run` and `systemctl` start and stop the service. */
  run(command: string): Promise<Ran>;
  writeFile(path: string, text: string): void;
  readFile(path: string): string;
  readonly dovecot: Dovecot;
  stop(): Promise<void>;
}

const FOLDERS = ['/etc/understudy', '/var/lib/understudy', '/etc/dovecot', '/etc/systemd/system', '/srv'];
const UNIT = '/etc/systemd/system/understudy.service';

/** `standby`: with a second server that includes the same configuration; `takeOver`: with a directory too that binds the accounts to the first. */
export async function openWorkplace(
  options: { standby?: boolean; takeOver?: boolean } = {},
): Promise<Workplace> {
  const folder = temporaryDirectory('docs');
  for (const path of [...FOLDERS, '/bin', '/checkout', '/etc/dovecot/conf.d']) {
    mkdirSync(join(folder.path, path), { recursive: true });
  }
  // The mail processes of Dovecot, which are of another user, read below its folder.
  for (const path of ['', '/etc', '/etc/dovecot', '/etc/dovecot/conf.d', '/srv'])
    chmodSync(join(folder.path, path), 0o755);
  const server = {
    accounts: ['alice', 'bob', 'carol'],
    ssl: true,
    // The page makes the master user.
    masterUser: 'nobody-of-the-pages',
    extraConfig: `!include_try ${folder.path}/etc/dovecot/conf.d/*.conf`,
  };
  const dovecot = await startDovecot({ ...server, mailRoot: join(folder.path, 'srv/mail') });
  let others: Others | undefined;
  try {
    if (options.standby || options.takeOver) others = { standby: await startDovecot(server) };
    if (others && options.takeOver) {
      const { accounts, address: mailHost } = dovecot;
      const slapd = await startSlapd({ folder: join(folder.path, 'slapd'), accounts, mailHost });
      others = { ...others, slapd };
    }
    await fillDovecot(dovecot, { messages: 300, seed: 'docs', approxBytes: 8_000 });
    symlinkSync(join(root, 'understudy'), join(folder.path, 'bin/understudy'));
    symlinkSync(join(root, 'understudy'), join(folder.path, 'checkout/understudy'));
    const command = (name: string, script: string) =>
      writeFileSync(join(folder.path, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const standbyToo = others
      ? `if [ "$1" = reload ]; then /usr/bin/doveadm -c ${others.standby.configFile} reload; fi; `
      : '';
    command('doveadm', `${standbyToo}exec /usr/bin/doveadm -c ${dovecot.configFile} "$@"`);
    // The mail servers are this machine.
    command('scp', 'exec cp "$1" "$(echo "$2" | cut -d: -f2-)"');
    if (others) {
      const doveadm = `doveadm() { /usr/bin/doveadm -c ${others.standby.configFile} "$@"; }`;
      command('ssh', `[ "$1" = root@${others.standby.address} ] || exit 255\nshift\n${doveadm}\neval "$*"`);
    }
    const ports = [Number(await freePort('127.0.0.1')), Number(await freePort('127.0.0.1'))] as const;
    return new RealWorkplace(folder, dovecot, others, ports);
  } catch (error) {
    await others?.slapd?.stop();
    await others?.standby.stop();
    await dovecot.stop();
    folder.remove();
    throw error;
  }
}

interface Others {
  readonly standby: Dovecot;
  readonly slapd?: Slapd;
}

class RealWorkplace implements Workplace {
  readonly dovecot: Dovecot;
  readonly #folder: { path: string; remove(): void };
  /** What the page says, and what stands for it here. */
  readonly #names: readonly (readonly [string, string])[];
  readonly #environment: NodeJS.ProcessEnv;
  readonly #others: Others | undefined;
  #directory: string;
  #service: { process: ChildProcess; ended: Promise<number | null>; said: () => string } | undefined;

  constructor(
    folder: { path: string; remove(): void },
    dovecot: Dovecot,
    others: Others | undefined,
    [apiPort, doorPort]: readonly [number, number],
  ) {
    this.#folder = folder;
    this.#others = others;
    this.dovecot = dovecot;
    this.#names = [
      ...FOLDERS.map((path) => [path, join(folder.path, path)] as const),
      ['mail.example.org', dovecot.address],
      ...(others ? [['standby.example.org', others.standby.address] as const] : []),
      ...(others?.slapd ? [['ldap.example.org', others.slapd.address] as const] : []),
      ['127.0.0.1:7700', `127.0.0.1:${apiPort}`],
      ['127.0.0.1:1143', `127.0.0.1:${doorPort}`],
      [':8080', new URL(dovecot.doveadmUrl).port === '' ? '' : `:${new URL(dovecot.doveadmUrl).port}`],
    ];
    this.#directory = join(folder.path, 'checkout');
    this.#environment = {
      ...process.env,
      PATH: [join(folder.path, 'bin'), process.env['PATH']].join(delimiter),
      // Pages trust the system's authorities; the server's certificate is of its own.
      NODE_EXTRA_CA_CERTS: authorities(folder.path, [dovecot, ...(others ? [others.standby] : [])]),
      HOME: folder.path,
    };
  }

  async run(command: string): Promise<Ran> {
    const here = this.#toHere(command);
    if (/^understudy run$/.test(command)) return this.#startService(here);
    const unit = /^systemctl (enable --now|start|restart|stop|daemon-reload) ?(?:understudy)?$/.exec(
      command,
    )?.[1];
    if (unit !== undefined) return this.#systemctl(unit);
    const where = join(this.#folder.path, 'where');
    // `umask` as a careful operator has it; `where` carries a `cd` to the next command.
    const script = `exec 2>&1; umask 022; cd '${this.#directory}' || exit 125\n${here}\nstatus=$?; pwd >'${where}'; exit $status`;
    const child = spawn('bash', ['-c', script], {
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { status, output } = await finished(child);
    if (existsSync(where)) this.#directory = readFileSync(where, 'utf8').trim();
    return { status: status ?? 255, output: this.#toPage(output) };
  }

  writeFile(path: string, text: string): void {
    const file = resolve(this.#directory, this.#toHere(path));
    if (!file.startsWith(this.#folder.path)) {
      throw new Error(`pages may write below ${FOLDERS.join(', ')} only, not to ${path}`);
    }
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${this.#toHere(text)}\n`);
  }

  readFile(path: string): string {
    return this.#toPage(readFileSync(this.#toHere(path), 'utf8'));
  }

  async stop(): Promise<void> {
    try {
      await this.#stopService();
      // The front door outlives the service.
      if (this.#others?.slapd) await this.run('cd /etc/understudy && understudy proxy mail --stop');
    } finally {
      await this.#others?.slapd?.stop();
      await this.#others?.standby.stop();
      await this.dovecot.stop();
      this.#folder.remove();
    }
  }

  async #systemctl(verb: string): Promise<Ran> {
    if (verb === 'daemon-reload') return { status: 0, output: '' };
    if (verb === 'stop' || verb === 'restart') await this.#stopService();
    if (verb === 'stop') return { status: 0, output: '' };
    const unit = readFileSync(join(this.#folder.path, UNIT), 'utf8');
    const started = await this.#startService(
      /^ExecStart=(?:\S*\/)?(understudy .*)$/m.exec(unit)?.[1] ?? 'false',
    );
    // A service's output goes to the log, not to who starts it.
    return { ...started, output: '' };
  }

  async #startService(command: string): Promise<Ran> {
    const child = spawn('bash', ['-c', `exec ${command}`], {
      cwd: this.#directory,
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    const ended = finished(child, (text) => {
      said += text;
    });
    const status = ended.then((run) => run.status);
    for (let waited = 0; waited < 30_000; waited += 50) {
      // One that ends at once, with a reason, is a command like others.
      if (child.exitCode !== null)
        return { status: child.exitCode, output: this.#toPage((await ended).output) };
      if (said.includes('the service is up')) {
        this.#service = { process: child, ended: status, said: () => said };
        return { status: 0, output: this.#toPage(said) };
      }
      await delay(50);
    }
    child.kill('SIGKILL');
    throw new Error(`the service did not come up: ${said}`);
  }

  async #stopService(): Promise<void> {
    const service = this.#service;
    this.#service = undefined;
    if (service === undefined || service.process.exitCode !== null) return;
    service.process.kill('SIGTERM');
    const status = await service.ended;
    if (status !== 0) throw new Error(`the service ended with ${status}: ${service.said()}`);
  }

  #toHere(text: string): string {
    return this.#names.reduce((result, [page, here]) => result.replaceAll(page, here), text);
  }

  #toPage(text: string): string {
    return this.#names.reduce(
      (result, [page, here]) => (here === '' ? result : result.replaceAll(here, page)),
      text,
    );
  }
}

/** One file with the authority of each server. */
function authorities(folder: string, servers: readonly Dovecot[]): string {
  const file = join(folder, 'authorities.pem');
  writeFileSync(file, servers.map(({ caFile = '' }) => readFileSync(caFile, 'utf8')).join('\n'));
  return file;
}

function finished(
  child: ChildProcess,
  listen: (text: string) => void = () => {},
): Promise<{ status: number | null; output: string }> {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      listen(text);
    });
  }
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, output })));
}
