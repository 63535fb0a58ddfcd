/** Runs programs and tells what they cost: time, processor, memory. Linux only: it reads /proc. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export interface Finished {
  readonly ms: number;
  /** Of the program and of the children it waited for. Wrong when another child of this process ends meanwhile. */
  readonly cpuSeconds: number;
  /** Most memory it ever had resident, as of a moment (50 ms at most) before its end. */
  readonly peakRssBytes: number;
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Exit statuses that are no failure. Default: 0 alone. */
  readonly good?: readonly number[];
}

/** Runs a program to its end. Rejects, with what it said, when it ends badly. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const cpuBefore = cpuOfEndedChildren();
  const start = performance.now();
  const child = startProgram(command, args, options);
  const texts = collect(child);
  let peakRssBytes = 0;
  const sampler = setInterval(() => {
    peakRssBytes = Math.max(peakRssBytes, memoryOf(child.pid ?? 0).peakRssBytes);
  }, 50);
  try {
    const status = await ended(child);
    const ms = performance.now() - start;
    const finished = { ms, cpuSeconds: cpuOfEndedChildren() - cpuBefore, peakRssBytes, status, ...texts() };
    if (!(options.good ?? [0]).includes(status ?? -1)) {
      throw new Error(
        `${command} ${args.join(' ')} ended with ${status}\n${finished.stdout}${finished.stderr}`,
      );
    }
    return finished;
  } finally {
    clearInterval(sampler);
  }
}

const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Starts a program that does not outlive this process. */
export function startProgram(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): ChildProcess {
  const child = spawn(command, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** Exit status, null after a signal. Rejects when the program cannot be started. */
export function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status));
  });
}

function collect(child: ChildProcess): () => { stdout: string; stderr: string } {
  const stdout: string[] = [];
  const stderr: string[] = [];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => stdout.push(text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => stderr.push(text));
  return () => ({ stdout: stdout.join(''), stderr: stderr.join('') });
}

const TICKS_PER_SECOND = 100;

/** User and system time of a process, and of its children that have ended and were waited for (proc(5), stat). */
export function cpuSecondsOf(pid: number): { own: number; children: number } {
  const stat = readProc(pid, 'stat');
  if (stat === undefined) return { own: 0, children: 0 };
  // After the command's name, which may hold anything but ends with the last parenthesis; state is field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = (field: number) => Number(fields[field - 3]);
  return {
    own: (ticks(14) + ticks(15)) / TICKS_PER_SECOND,
    children: (ticks(16) + ticks(17)) / TICKS_PER_SECOND,
  };
}

/** Of a server's living processes, and of those that ended under one of them. */
export function cpuSecondsOfAll(pids: readonly number[]): number {
  return pids.reduce((total, pid) => {
    const { own, children: waited } = cpuSecondsOf(pid);
    return total + own + waited;
  }, 0);
}

function cpuOfEndedChildren(): number {
  return cpuSecondsOf(process.pid).children;
}

export function memoryOf(pid: number): { rssBytes: number; peakRssBytes: number } {
  const status = readProc(pid, 'status') ?? '';
  const kilobytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return { rssBytes: kilobytes('VmRSS') * 1024, peakRssBytes: kilobytes('VmHWM') * 1024 };
}

/** Undefined when the process has ended. */
function readProc(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

/** Resolves with what `look` gives once it gives something. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  options: { readonly withinMs?: number; readonly everyMs?: number } = {},
): Promise<T> {
  const start = performance.now();
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() - start > (options.withinMs ?? 60_000)) throw new Error(`in vain: ${what}`);
    await delay(options.everyMs ?? 20);
  }
}
