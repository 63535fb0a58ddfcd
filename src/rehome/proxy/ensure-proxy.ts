/**
 * Makes sure that a pair's front door runs. One that does not is started in the background, as a process of its own: it
 * outlives who started it. (Under systemd it would still end with the unit that started it: there it has a unit of
 * its own.)
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync, renameSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Config, pairNamed } from '../../config/index.ts';
import {
  type Clock,
  hasCode,
  type Log,
  reviveError,
  type SerializedError,
  type UnderstudyError,
} from '../../lib/index.ts';
import { rehomeErrors } from '../errors.ts';
import type { ClientOutages, ProxyStats, RehomeDeps } from '../types.ts';
import { askProxy, brokeOff, type ControlAnswers, type ControlRequest } from './control.ts';
import { type DoorFiles, doorFiles, makeDoorsFolder } from './doors-folder.ts';

/** A healthy proxy answers in a few milliseconds, one with thousands of clients in some more. */
const ANSWER_MS = 5_000;
const ASKED_MOST = 5;
const START_MS = 15_000;
const LOOK_EVERY_MS = 20;
const STOP_MS = 30_000;
/** The log of a proxy in the background is set aside at this size when it is started. */
const LOG_BYTES_MOST = 8 * 1024 * 1024;
/** What a proxy needs of the environment; passwords may be in the rest. */
const ENVIRONMENT = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'UNDERSTUDY_LOG', 'UNDERSTUDY_CRASH_AT'];

export type ProxyDeps = Pick<RehomeDeps, 'clock' | 'log' | 'entry' | 'signal'>;

/** What the pair's proxy says; nothing when none runs. @throws REHOME_PROXY_SILENT */
export function proxyStats(config: Config, pair: string, deps: AskDeps): Promise<ProxyStats | undefined> {
  return ask(config, pair, { do: 'stats' }, deps);
}

/**
 * Outages of clients of the pair's proxy that ended since `since` and had begun at `before`, wall times in ms; nothing when none runs.
 * @throws REHOME_PROXY_SILENT; REHOME_PROXY_REFUSED by one of an earlier version
 */
export function proxyOutages(
  config: Config,
  pair: string,
  span: { readonly since: number; readonly before: number },
  deps: AskDeps,
): Promise<ClientOutages | undefined> {
  return ask(config, pair, { do: 'outages', ...span }, deps);
}

interface AskDeps {
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

async function ask<K extends ControlRequest['do']>(
  config: Config,
  pair: string,
  request: ControlRequest & { readonly do: K },
  { clock, signal }: AskDeps,
): Promise<ControlAnswers[K] | undefined> {
  const { socket } = doorFiles(config.dataDir, pair);
  for (let asked = 1; ; asked += 1) {
    try {
      return await askProxy<K>(socket, request, { clock, withinMs: ANSWER_MS, signal });
    } catch (error) {
      if (hasCode(error, 'REHOME_PROXY_NOT_RUNNING')) return undefined;
      // Killed just now: the next question finds nobody, or its successor.
      if (!brokeOff(error) || asked === ASKED_MOST) throw error;
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
  }
}

/**
 * Starts the pair's proxy where none runs, and resolves when it answers. May be repeated, and by several at once.
 * @throws what `runProxy` throws in the new process; REHOME_PROXY_NOT_STARTED, REHOME_PROXY_SILENT
 */
export async function ensureProxy(
  config: Config,
  pair: string,
  deps: ProxyDeps,
): Promise<{ readonly pid: number; readonly started: boolean }> {
  pairNamed(config, pair);
  const running = await proxyStats(config, pair, deps);
  if (running !== undefined) return { pid: running.pid, started: false };
  const files = doorFiles(config.dataDir, pair);
  makeDoorsFolder(files);
  const { child, logFrom } = start(config, pair, files, deps.entry);
  deps.log.info({ pair, pid: child.pid, logFile: files.log }, 'the front door did not run; it is started');
  const deadline = deps.clock.monotonicMs() + START_MS;
  const ended = endOf(child);
  while (deps.clock.monotonicMs() < deadline) {
    await deps.clock.sleep(LOOK_EVERY_MS, deps.signal);
    const stats = await proxyStats(config, pair, deps);
    if (stats !== undefined) return { pid: stats.pid, started: stats.pid === child.pid };
    if (ended.how !== undefined) {
      const error = lastError(files, logFrom, pair, ended.how);
      // Somebody else started it at the same moment; that one answers soon.
      if (!hasCode(error, 'REHOME_PROXY_RUNNING')) throw error;
    }
  }
  throw rehomeErrors.make(
    'REHOME_PROXY_NOT_STARTED',
    `the front door of \`${pair}\` did not answer within ${START_MS / 1000} s after its start; see ${files.log}`,
    { details: { pair, logFile: files.log, pid: child.pid } },
  );
}

/**
 * Ends the pair's proxy in an orderly way; resolves when it is gone. Gives its process id, nothing when none runs. What it remembers stays.
 * @throws REHOME_PROXY_SILENT
 */
export async function stopProxy(
  config: Config,
  pair: string,
  deps: { readonly clock: Clock; readonly log: Log; readonly signal?: AbortSignal },
): Promise<number | undefined> {
  pairNamed(config, pair);
  const { socket } = doorFiles(config.dataDir, pair);
  const { clock, signal } = deps;
  let pid: number;
  try {
    ({ pid } = await askProxy(socket, { do: 'stop' }, { clock, withinMs: ANSWER_MS, signal }));
  } catch (error) {
    if (hasCode(error, 'REHOME_PROXY_NOT_RUNNING') || brokeOff(error)) return undefined;
    throw error;
  }
  const deadline = clock.monotonicMs() + STOP_MS;
  while (runs(pid)) {
    if (clock.monotonicMs() > deadline) {
      throw rehomeErrors.make(
        'REHOME_PROXY_SILENT',
        `the front door of \`${pair}\`, process ${pid}, does not end`,
        {
          details: { pair, pid },
        },
      );
    }
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
  return pid;
}

function start(
  config: Config,
  pair: string,
  files: DoorFiles,
  entry: URL,
): { child: ChildProcess; logFrom: number } {
  const log = openLog(files);
  try {
    const logFrom = fstatSync(log).size;
    const env = Object.fromEntries(
      ENVIRONMENT.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    );
    const child = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        fileURLToPath(entry),
        'proxy',
        pair,
        '--config',
        config.file,
        '--json',
      ],
      { detached: true, stdio: ['ignore', log, log], env, cwd: '/' },
    );
    child.unref();
    return { child, logFrom };
  } finally {
    closeSync(log);
  }
}

function openLog(files: DoorFiles): number {
  const log = openSync(files.log, 'a', 0o600);
  if (fstatSync(log).size < LOG_BYTES_MOST) return log;
  closeSync(log);
  renameSync(files.log, `${files.log}.1`);
  return openSync(files.log, 'a', 0o600);
}

function endOf(child: ChildProcess): { how: string | undefined } {
  const end: { how: string | undefined } = { how: undefined };
  child.once('error', (error) => {
    end.how = error.message;
  });
  child.once('exit', (code, signal) => {
    end.how = signal ?? `status ${code}`;
  });
  return end;
}

/** With --json the command's error is one line. */
function lastError(files: DoorFiles, from: number, pair: string, how: string): UnderstudyError {
  const said = readFileSync(files.log).subarray(from).toString('utf8').trim();
  for (const line of said.split('\n').reverse()) {
    const error = errorIn(line);
    if (error !== undefined) return reviveError(error);
  }
  return rehomeErrors.make(
    'REHOME_PROXY_NOT_STARTED',
    `the front door of \`${pair}\` ended at once with ${how}: ${said.slice(-1_000)}`,
    { details: { pair, logFile: files.log } },
  );
}

function errorIn(line: string): SerializedError | undefined {
  try {
    return (JSON.parse(line) as { error?: SerializedError }).error;
  } catch {
    // Not JSON: something that Node.js said.
    return undefined;
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch {
    return false;
  }
}

/** Our own child, which has ended and whose end Node.js has not taken yet. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    // It ended meanwhile, or there is no /proc.
    return false;
  }
}
