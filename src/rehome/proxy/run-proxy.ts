/** The front door as a process: `understudy proxy PAIR`. */
import { readFileSync } from 'node:fs';
import { type Config, pairNamed } from '../../config/index.ts';
import type { Clock, Log } from '../../lib/index.ts';
import { rehomeErrors } from '../errors.ts';
import type { DoorState, ProxyStats } from '../types.ts';
import { askProxy, type ControlRequest, serveControl } from './control.ts';
import {
  type DoorFiles,
  doorFiles,
  doorStateFrom,
  makeDoorsFolder,
  rememberedState,
  rememberState,
  takeLock,
} from './doors-folder.ts';
import { someProxyEntries, targetsOf } from './entries.ts';
import { FrontDoor, type Targets } from './front-door.ts';
import { type DoorLimits, doorLimits } from './limits.ts';

export interface RunProxyOptions {
  readonly config: Config;
  readonly pair: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends it: clients are drained, then cut. What it remembers stays. */
  readonly signal: AbortSignal;
  /**
   * Which server has the pair's accounts, and whether a plan that has not ended may have taken people off it. Asked where no state was
   * written down. Default: the live server of the configuration.
   */
  readonly whoActs?: () => Promise<{ readonly server: string; readonly isMoving: boolean }>;
  /** Default: `doorLimits`; for tests. */
  readonly limits?: Partial<DoorLimits>;
}

/**
 * Runs until the signal or a `stop`. Begins in the state that was last written down; where there is none open to the server that
 * acts, or held where a plan has begun to move people. A state that names a server which is not configured any more begins held.
 *
 * @throws REHOME_NO_PROXY, REHOME_PROXY_RUNNING, REHOME_STATE_DAMAGED, REHOME_PORT_IN_USE, REHOME_PORT_DENIED,
 * REHOME_ADDRESS_ABSENT, REHOME_LISTEN_FAILED, CONFIG_UNKNOWN_PAIR, and what `whoActs` throws
 */
export async function runProxy(options: RunProxyOptions): Promise<void> {
  const { config, pair, clock, signal } = options;
  const log = options.log.child({ pair });
  const entries = someProxyEntries(config, pair);
  const files = doorFiles(config.dataDir, pair);
  // The control socket is made with the rights that are left by this.
  process.umask(0o077);
  const lock = await takeDoor(files, pair, clock);
  try {
    const initial = configured(config, rememberedState(files) ?? (await stateOfRoles(options, log)), log);
    const door = new FrontDoor({
      entries,
      limits: { ...doorLimits, ...options.limits },
      clock,
      log,
      initial,
      targets: initial.mode === 'open' ? targetsOf(config, pair, initial.server) : {},
      remember: (state) => rememberState(files, state),
    });
    await door.listen();
    const stopping = new AbortController();
    const control = await serveControl(files.socket, (request) => {
      if ((request as ControlRequest).do === 'stop') stopping.abort();
      return answer(door, request as ControlRequest);
    });
    warnOfFewDescriptors(entries, log);
    const { listeners } = door.stats();
    log.info(
      { state: initial, listen: listeners.map(({ to, listen }) => ({ to, ...listen })) },
      'front door open',
    );
    await aborted(AbortSignal.any([signal, stopping.signal]));
    log.info({}, 'stopping: clients are drained');
    const tally = await door.drain();
    await control.close();
    log.info({ ...tally }, 'front door gone');
  } finally {
    lock.release();
  }
}

async function answer(door: FrontDoor, request: ControlRequest): Promise<unknown> {
  switch (request.do) {
    case 'stats':
      return { pid: process.pid, state: door.state, ...door.stats() } satisfies ProxyStats;
    case 'outages':
      return door.outages(request.since, request.before);
    case 'set': {
      const state = doorStateFrom(request.state);
      if (state === undefined) {
        throw rehomeErrors.make('REHOME_PROXY_REFUSED', 'the front door does not know this state');
      }
      checkTargets(door, state, request.targets);
      return door.set(state, request.targets);
    }
    case 'stop':
      return { pid: process.pid };
    default:
      throw rehomeErrors.make('REHOME_PROXY_REFUSED', 'the front door does not know this request');
  }
}

/** Every listener must know where to lead; the caller may have another version of the configuration. */
function checkTargets(door: FrontDoor, state: DoorState, targets: Targets | undefined): void {
  if (state.mode !== 'open') return;
  for (const { to } of door.stats().listeners) {
    const target = targets?.[to];
    if (typeof target?.host === 'string' && Number.isInteger(target.port)) continue;
    throw rehomeErrors.make(
      'REHOME_PROXY_REFUSED',
      `the front door listens for ${to} and was not told where ${to} of ${state.server} answers`,
      { details: { service: to, server: state.server } },
    );
  }
}

/** @throws REHOME_PROXY_RUNNING */
async function takeDoor(files: DoorFiles, pair: string, clock: Clock): Promise<{ release(): void }> {
  makeDoorsFolder(files);
  const lock = takeLock(files);
  if (lock !== undefined) return lock;
  const running = await askProxy(files.socket, { do: 'stats' }, { clock, withinMs: 1_000 }).catch(
    () => undefined, // it is starting or ending; its process id only makes the message better
  );
  const who = running === undefined ? 'another process' : `process ${running.pid}`;
  throw rehomeErrors.make('REHOME_PROXY_RUNNING', `the front door of \`${pair}\` runs already, in ${who}`, {
    remedy: `Use that one, or end it first: understudy proxy ${pair} --stop`,
    details: { pair, ...(running === undefined ? {} : { pid: running.pid }) },
  });
}

/** A door that is new, or has lost its memory, must not lead to a server that a plan has left. */
async function stateOfRoles({ config, pair, whoActs }: RunProxyOptions, log: Log): Promise<DoorState> {
  if (whoActs === undefined) return { mode: 'open', server: pairNamed(config, pair).live };
  const { server, isMoving } = await whoActs();
  if (!isMoving) return { mode: 'open', server };
  log.warn(
    { pair, server },
    `a plan of this pair has not ended, and may have left ${server}: clients wait. End it (understudy plan list); a front door that holds them still is to be started anew`,
  );
  return { mode: 'hold', server };
}

function configured(config: Config, state: DoorState, log: Log): DoorState {
  if (state.mode === 'closed' || Object.hasOwn(config.servers, state.server)) return state;
  // To guess could lead to a server that is fenced; to end would refuse clients without a word.
  log.error(
    { state },
    'the remembered server is not configured any more; clients wait until a plan names another',
  );
  return { mode: 'hold', server: state.server };
}

/** Each client needs two descriptors. */
function warnOfFewDescriptors(entries: readonly { readonly maxConnections: number }[], log: Log): void {
  const wanted = 2 * entries.reduce((total, { maxConnections }) => total + maxConnections, 0) + 100;
  const limit = descriptorLimit();
  if (limit === undefined || limit >= wanted) return;
  log.warn({ limit, wanted }, 'fewer open files are allowed than maxConnections needs; raise LimitNOFILE');
}

function descriptorLimit(): number | undefined {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return line === null ? undefined : Number(line[1]);
  } catch {
    // No /proc on this system: nothing is known about the limit.
    return undefined;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
