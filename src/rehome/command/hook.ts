/** Runs a command of the operator: no shell, a few variables in its environment, a limit of time. */
import { spawn } from 'node:child_process';
import type { Config, PairConfig } from '../../config/index.ts';
import { serverNamed } from '../../config/index.ts';
import type { Clock, Log } from '../../lib/index.ts';
import { rehomeErrors } from '../errors.ts';

/** A command with what asks for it and takes it back, as `rehome` and `fence` have it. */
export type CommandHook = Pick<PairConfig['fence'][number], 'run' | 'isDone' | 'undo' | 'timeout'>;

export interface HookDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
}

/** Which move it is about; names of servers. */
export interface HookMove {
  readonly pair: string;
  readonly from: string;
  readonly to: string;
  /** Empty where no plan runs. */
  readonly plan: string;
}

/** What is kept of the output; its end says why a program failed. */
const OUTPUT_KEPT = 4_096;
/** After its time a program is asked to end, and then made to. */
const GRACE_MS = 2_000;
/** How long the output is read on after a program has ended. */
const LAST_WORDS_MS = 200;

export function hookEnvironment(config: Config, move: HookMove): Readonly<Record<string, string>> {
  return {
    UNDERSTUDY_PAIR: move.pair,
    UNDERSTUDY_FROM: move.from,
    UNDERSTUDY_TO: move.to,
    UNDERSTUDY_FROM_HOST: serverNamed(config, move.from).host,
    UNDERSTUDY_TO_HOST: serverNamed(config, move.to).host,
    UNDERSTUDY_PLAN: move.plan,
  };
}

/** Must end with status 0. @throws REHOME_HOOK_FAILED, REHOME_HOOK_TIMEOUT, REHOME_HOOK_ABSENT, the signal's reason */
export async function runHook(
  program: readonly string[],
  timeoutMs: number,
  variables: Readonly<Record<string, string>>,
  deps: HookDeps,
): Promise<void> {
  const end = await execute(program, timeoutMs, variables, deps);
  if (end.status !== 0) throw failed(program, end, variables);
}

/** Status 0 is yes, 1 is no. @throws as `runHook`, for any other end */
export async function askHook(
  program: readonly string[],
  timeoutMs: number,
  variables: Readonly<Record<string, string>>,
  deps: HookDeps,
): Promise<boolean> {
  const end = await execute(program, timeoutMs, variables, deps);
  if (end.status === 0 || end.status === 1) return end.status === 0;
  throw failed(program, end, variables);
}

interface End {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

async function execute(
  program: readonly string[],
  timeoutMs: number,
  variables: Readonly<Record<string, string>>,
  { clock, log, signal }: HookDeps,
): Promise<End> {
  signal?.throwIfAborted();
  const start = clock.monotonicMs();
  const [name = '', ...args] = program;
  const over = new AbortController();
  // A group of its own, so that what it starts ends with it.
  const child = spawn(name, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...variables },
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-OUTPUT_KEPT);
    });
  }
  const ended = new Promise<Omit<End, 'output'>>((resolve, reject) => {
    child.once('error', (error) => reject(absent(program, error)));
    // Not `close`: a program that it left in the background may keep the output open for ever.
    child.once('exit', (status, killedBy) => resolve({ status, signal: killedBy }));
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let timedOut = false;
  const kill = async () => {
    killGroup(child.pid, 'SIGTERM');
    await clock.sleep(GRACE_MS, over.signal).then(
      () => killGroup(child.pid, 'SIGKILL'),
      () => {}, // it ended in time
    );
  };
  clock.sleep(timeoutMs, over.signal).then(
    () => {
      timedOut = true;
      return kill();
    },
    () => {}, // it ended in time
  );
  const abort = () => void kill();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    const end = await ended;
    // What was written just before the end is still in the pipes.
    await Promise.race([closed, clock.sleep(LAST_WORDS_MS, over.signal)]);
    const elapsedMs = Math.round(clock.monotonicMs() - start);
    log.info({ program, ...end, elapsedMs }, 'a command of the configuration ended');
    signal?.throwIfAborted();
    if (timedOut) throw timeout(program, timeoutMs, output, variables);
    return { ...end, output: output.trim() };
  } finally {
    over.abort();
    signal?.removeEventListener('abort', abort);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // All of it has ended.
  }
}

function failed(program: readonly string[], end: End, variables: Readonly<Record<string, string>>) {
  const how = end.signal === null ? `status ${end.status}` : `signal ${end.signal}`;
  return rehomeErrors.make(
    'REHOME_HOOK_FAILED',
    `\`${program.join(' ')}\` ended with ${how}${end.output === '' ? '' : `: ${end.output}`}`,
    { details: { program, variables, status: end.status, signal: end.signal, output: end.output } },
  );
}

function timeout(
  program: readonly string[],
  timeoutMs: number,
  output: string,
  variables: Readonly<Record<string, string>>,
) {
  const said = output.trim();
  return rehomeErrors.make(
    'REHOME_HOOK_TIMEOUT',
    `\`${program.join(' ')}\` did not end within ${timeoutMs / 1000} s${said === '' ? '' : `: ${said}`}`,
    { details: { program, variables, timeoutMs, output: said } },
  );
}

function absent(program: readonly string[], error: Error) {
  return rehomeErrors.make('REHOME_HOOK_ABSENT', `cannot start \`${program[0]}\`: ${error.message}`, {
    cause: error,
    details: { program },
  });
}
