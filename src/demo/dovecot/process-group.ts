/**
 * A server and all processes it forks, as one process group whose leader is our child. Groups are found and
 * ended by their number, never by a name, so nothing that somebody else started can be hit.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { systemClock } from '../../lib/index.ts';

const running = new Set<number>();

// A process that throws, or calls process.exit, takes its servers with it.
process.on('exit', () => {
  for (const pgid of running) signalGroup(pgid, 'SIGKILL');
});

export interface ProcessGroup {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What the leader has written to stderr so far. */
  stderr(): string;
  /** Exit status or signal of the leader, once it has ended. */
  ended(): string | undefined;
  /** Process ids of the group that run now. */
  members(): number[];
  /**
   * Asks the leader with SIGTERM, waits for every process of the group, insists with SIGKILL after `graceMs` (5,000).
   * `idleLast`: this many processes that linger when all others have ended have no work left and may be killed.
   * May be repeated.
   */
  stop(options?: { graceMs?: number; idleLast?: number }): Promise<void>;
  /** SIGKILL to the whole group at once, as a power cut; resolves when none of it runs. May be repeated. */
  kill9(): Promise<void>;
}

export interface ProcessGroupOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** The group writes its stderr to the end of this file. Default: the last 16 KiB are kept in memory. */
  logFile?: string;
}

/**
 * Starts `command` as the leader of a new group. Should this process die without a chance to clean up (SIGKILL),
 * the kernel sends the leader SIGTERM (setpriv's parent-death signal).
 */
export function startProcessGroup(
  command: string,
  args: readonly string[],
  options: ProcessGroupOptions = {},
): ProcessGroup {
  const { logFile, cwd, env = process.env } = options;
  const log = logFile === undefined ? undefined : openSync(logFile, 'a');
  const child = spawn(...dyingWithUs(command, args), {
    ...(cwd === undefined ? {} : { cwd }),
    // Daemons live where a user's PATH need not lead.
    env: { ...env, PATH: `${env['PATH'] ?? ''}:/usr/sbin:/sbin` },
    detached: true,
    stdio: ['ignore', 'ignore', log ?? 'pipe'],
  });
  if (log !== undefined) closeSync(log);
  const pid = child.pid;
  if (pid === undefined) throw new Error(`cannot start setpriv for ${command}`);
  running.add(pid);
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-16_384);
  });
  // The group's other members hold the pipe open; it must not keep this process alive.
  (child.stderr as unknown as { unref?: () => void } | null)?.unref?.();
  let ended: string | undefined;
  child.once('exit', (code, signal) => {
    ended = signal ?? `status ${code}`;
  });

  const gone = async (deadlineMs: number, idleLast = 0): Promise<boolean> => {
    const start = systemClock.monotonicMs();
    for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 2, 50)) {
      const members = groupMembers(pid);
      if (members.length === 0) {
        running.delete(pid);
        return true;
      }
      if (members.length <= idleLast) signalGroup(pid, 'SIGKILL');
      if (systemClock.monotonicMs() - start > deadlineMs) return false;
      await systemClock.sleep(pauseMs);
    }
  };
  const kill9 = async () => {
    signalGroup(pid, 'SIGKILL');
    if (!(await gone(10_000))) throw new Error(`process group ${pid} survives SIGKILL: ${groupMembers(pid)}`);
  };
  return {
    pid,
    child,
    stderr: () => (logFile === undefined ? stderr : readFileSync(logFile, 'utf8').slice(-16_384)),
    ended: () => ended,
    members: () => groupMembers(pid),
    kill9,
    stop: async ({ graceMs = 5_000, idleLast = 0 } = {}) => {
      if (ended === undefined) child.kill('SIGTERM');
      if (!(await gone(graceMs, idleLast))) await kill9();
    },
  };
}

/** `command` and `args` for `spawn`, so that the kernel ends it with SIGTERM when this process dies, however it dies. */
export function dyingWithUs(command: string, args: readonly string[]): [string, string[]] {
  return ['setpriv', ['--pdeathsig', 'TERM', '--', command, ...args]];
}

/** Process ids of the group that still run; zombies do not count, whoever is slow to reap them. */
export function groupMembers(pgid: number): number[] {
  const members: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // pid (comm) state ppid pgrp …; comm may hold spaces and parentheses.
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(group) === pgid && state !== 'Z' && state !== 'X') members.push(Number(name));
    } catch (error) {
      // The process ended while we looked.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ESRCH') throw error;
    }
  }
  return members;
}

function signalGroup(pgid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pgid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
