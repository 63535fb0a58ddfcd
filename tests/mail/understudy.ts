/** The command as an operator runs it: a process of its own, which a test can kill. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

const main = join(import.meta.dirname, '../../src/main.ts');

export interface Ended {
  /** Exit status; undefined when a signal ended it. */
  readonly status: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** SIGKILL; resolves when the process is gone. */
  kill9(): Promise<Ended>;
  /** SIGTERM; resolves when the process is gone. */
  terminate(): Promise<Ended>;
}

const running = new Set<ChildProcess>();
// A test that throws takes its processes with it.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** `crashAt`: a named point, see src/lib/crash-points.ts. */
export function start(
  configFile: string,
  args: readonly string[],
  options: { crashAt?: string } = {},
): Running {
  const { UNDERSTUDY_CRASH_AT: _, ...env } = process.env;
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', main, '--config', configFile, ...args],
    {
      env: { ...env, ...(options.crashAt === undefined ? {} : { UNDERSTUDY_CRASH_AT: options.crashAt }) },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve) =>
    child.on('close', (code, signal) => {
      running.delete(child);
      resolve({ status: code ?? undefined, signal: signal ?? undefined, stdout, stderr });
    }),
  );
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return { child, ended, kill9: () => end('SIGKILL'), terminate: () => end('SIGTERM') };
}

/** Runs it to its end. */
export function run(
  configFile: string,
  args: readonly string[],
  options: { crashAt?: string } = {},
): Promise<Ended> {
  return start(configFile, args, options).ended;
}
