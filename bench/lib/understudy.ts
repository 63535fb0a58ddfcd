/** The product as an operator has it: `./understudy` with a configuration file, in a process of its own. */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Dovecot } from '../../tests/lab/dovecot.ts';
import { ended, type Finished, type RunOptions, run, startProgram, until } from './processes.ts';

const COMMAND = resolve(import.meta.dirname, '../../understudy');
/** Name of the protected server in every configuration here. */
export const SERVER = 'mail-a';

export interface SetupOptions {
  /** Configures the doveadm HTTP API. */
  readonly doveadm?: boolean;
  /** Default: a free port. */
  readonly listen?: string;
  /** Further lines of the server, not indented. Default: none, so that the product's defaults count. */
  readonly serverLines?: readonly string[];
  readonly accounts?: readonly string[];
}

/** A configuration in a folder, and the commands run there. */
export class Setup {
  readonly folder: string;
  readonly vaultDir: string;

  /** Writes the configuration for a server into `folder`, which must exist. */
  constructor(folder: string, dovecot: Dovecot, options: SetupOptions = {}) {
    this.folder = folder;
    this.vaultDir = join(folder, 'data', SERVER);
    writeFileSync(join(folder, 'master'), `${dovecot.masterSecret}\n`, { mode: 0o600 });
    writeFileSync(join(folder, 'doveadm-key'), `${dovecot.doveadmKey}\n`, { mode: 0o600 });
    const lines = [
      'workload: mail',
      `host: ${dovecot.address}`,
      'imap:',
      `  port: ${dovecot.imapPort}`,
      '  security: none',
      `  masterUser: ${dovecot.masterUser}`,
      `  masterSecret: "\${file:master}"`,
      '  separator: "*"',
      ...(options.doveadm
        ? [`doveadm: { url: "${dovecot.doveadmUrl}", apiKey: "\${file:doveadm-key}" }`]
        : []),
      `accounts: { list: [${(options.accounts ?? dovecot.accounts).join(', ')}] }`,
      ...(options.serverLines ?? []),
    ];
    writeFileSync(
      join(folder, 'understudy.yaml'),
      `site: bench
dataDir: data
api: { listen: "${options.listen ?? '127.0.0.1:0'}" }
log: { level: warn }
servers:
  ${SERVER}:
${lines.map((line) => `    ${line}\n`).join('')}`,
    );
  }

  /** Runs a command as a whole process. Rejects unless it ends with 0 or a status of `good`. */
  command(args: readonly string[], options: Omit<RunOptions, 'cwd'> = {}): Promise<Finished> {
    return run(COMMAND, args, { cwd: this.folder, ...options });
  }

  /** The JSON document of a command. */
  async json(args: readonly string[], options: Omit<RunOptions, 'cwd'> = {}): Promise<Record<string, never>> {
    return JSON.parse((await this.command([...args, '--json'], options)).stdout);
  }

  /** Starts a command without waiting for it. */
  start(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    return startProgram(COMMAND, args, { cwd: this.folder, env });
  }

  /** Forgets everything that was shadowed. */
  reset(): void {
    rmSync(join(this.folder, 'data'), { recursive: true, force: true });
  }

  /** Bytes of a file of the vault; 0 when it is absent. */
  bytesOf(name: 'catalog.sqlite' | 'search.sqlite'): number {
    const file = join(this.vaultDir, name);
    return existsSync(file) ? statSync(file).size : 0;
  }

  /** Starts `understudy run`; resolves when it answers. */
  async service(env: NodeJS.ProcessEnv = {}): Promise<Service> {
    const child = this.start(['run'], env);
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-16_384);
    });
    child.stdout?.resume();
    const end = ended(child);
    const note = join(this.folder, 'data', 'service.json');
    const url = await until('the service answers', () => {
      if (child.exitCode !== null) throw new Error(`the service ended with ${child.exitCode}\n${said}`);
      if (!existsSync(note)) return undefined;
      const text = readFileSync(note, 'utf8');
      if (text === '') return undefined;
      const { pid, url } = JSON.parse(text) as { pid: number; url: string };
      return pid === child.pid ? url : undefined;
    });
    const token = readFileSync(join(this.folder, 'data', 'api-token'), 'utf8').trim();
    const pid = child.pid as number;
    return {
      pid,
      url,
      said: () => said,
      call: async (operation, input) => {
        const response = await fetch(`${url}/api/v1/${operation}`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify(input),
        });
        const answer = await response.json();
        if (!response.ok) throw new Error(`${operation}: ${JSON.stringify(answer)}`);
        return answer as Record<string, never>;
      },
      metrics: async () => readMetrics(await (await fetch(`${url}/metrics`)).text()),
      stop: async () => {
        child.kill('SIGTERM');
        await end;
      },
      kill9: async () => {
        child.kill('SIGKILL');
        await end;
      },
    };
  }
}

export interface Service {
  readonly pid: number;
  readonly url: string;
  /** The end of what it logged. */
  said(): string;
  call(operation: string, input: object): Promise<Record<string, never>>;
  /** Samples by name, summed over their labels. */
  metrics(): Promise<ReadonlyMap<string, number>>;
  stop(): Promise<void>;
  kill9(): Promise<void>;
}

function readMetrics(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+)(\{[^}]*\})? (\S+)$/.exec(line);
    if (match?.[1]) values.set(match[1], (values.get(match[1]) ?? 0) + Number(match[3]));
  }
  return values;
}
