/** Runs the command as operators do: a process of its own, with a configuration file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Dovecot } from '../lab/dovecot.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');

export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end in `cwd`. */
export async function understudy(cwd: string, ...args: string[]): Promise<Finished> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  return finished(child);
}

/** The same with `--json`, its document parsed. */
export async function understudyJson(cwd: string, ...args: string[]) {
  const { status, stdout, stderr } = await understudy(cwd, ...args, '--json');
  return { status, stderr, output: JSON.parse(stdout) };
}

export interface Service {
  readonly url: string;
  readonly token: string;
  readonly process: ChildProcess;
  readonly ended: Promise<Finished>;
}

/** Starts `understudy run` and resolves when it answers. */
export async function startService(cwd: string): Promise<Service> {
  const child = spawn(process.execPath, [MAIN, 'run'], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = finished(child);
  const note = join(cwd, 'data', 'service.json');
  for (let waited = 0; waited < 30_000; waited += 50) {
    if (child.exitCode !== null) throw new Error(`the service ended: ${(await ended).stderr}`);
    if (existsSync(note)) {
      const { pid, url } = JSON.parse(readFileSync(note, 'utf8'));
      if (pid === child.pid) {
        return {
          url,
          token: readFileSync(join(cwd, 'data', 'api-token'), 'utf8').trim(),
          process: child,
          ended,
        };
      }
    }
    await delay(50);
  }
  child.kill('SIGKILL');
  throw new Error(`the service did not come up: ${(await ended).stderr}`);
}

function finished(child: ChildProcess): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, stdout, stderr })));
}

/** A configuration with the server `mail-a` in `cwd`; secrets lie in files beside it. */
export function writeConfig(
  cwd: string,
  dovecot: Dovecot,
  options: { listen?: string; extra?: string } = {},
): void {
  writeFileSync(join(cwd, 'master'), `${dovecot.masterSecret}\n`, { mode: 0o600 });
  writeFileSync(join(cwd, 'doveadm-key'), `${dovecot.doveadmKey}\n`, { mode: 0o600 });
  writeFileSync(
    join(cwd, 'understudy.yaml'),
    `site: lab
dataDir: data
api: { listen: "${options.listen ?? '127.0.0.1:0'}" }
servers:
  mail-a:
    workload: mail
    host: ${dovecot.address}
    imap:
      port: ${dovecot.imapPort}
      security: none
      masterUser: ${dovecot.masterUser}
      masterSecret: "\${file:master}"
      separator: "*"
    doveadm: { url: "${dovecot.doveadmUrl}", apiKey: "\${file:doveadm-key}" }
    accounts: { list: [${dovecot.accounts.join(', ')}] }
${options.extra ?? ''}`,
  );
}
