/** The near-line service: one thread per shadowed server, one that reads, and the HTTP interface in the main one. */
import type { ControlView } from '../../control/index.ts';
import type { Core } from '../core.ts';
import { apiErrors } from '../errors.ts';
import { followedServers, warmPairs } from '../followed.ts';
import { startHttp } from '../http/index.ts';
import { type CoreParts, inProcessCore } from '../in-process.ts';
import type { Operation, OperationContext } from '../operation.ts';
import { type OpenPlans, openPlans, planActionsOf, resumeInterrupted } from '../plans.ts';
import type { ThreadStart } from '../threads.ts';
import { UnprotectedEvents } from '../unprotected.ts';
import { DataDir } from './data-dir.ts';
import { type FrontDoors, keepFrontDoors } from './front-doors.ts';
import { keepSearchIndexed } from './search-keeper.ts';
import { ThreadHost } from './thread-host.ts';
import { VaultHosts } from './vault-hosts.ts';
import { WarmHosts } from './warm-hosts.ts';

export interface RunningService {
  /** Where it answers: `http://127.0.0.1:7700`. */
  readonly url: string;
  /** Ends what runs, finishes commits, closes vaults, lets the data folder go. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts the service. `entry` is the module that a thread begins with.
 * @throws API_SERVICE_RUNNING, API_ADDRESS_IN_USE, API_DATA_DIR_UNUSABLE, and what keeps a vault closed for good
 */
export async function startService(parts: CoreParts, entry: URL): Promise<RunningService> {
  const { config, log } = parts;
  const dataDir = DataDir.take(config.dataDir);
  const threads: ThreadHost[] = [];
  const startThread = async (what: Omit<ThreadStart, 'configFile'> = {}) => {
    const start = { configFile: config.file, ...what };
    const thread = await ThreadHost.start({ entry, start, clock: parts.adapters.clock, log });
    threads.push(thread);
    return thread;
  };
  let plans: OpenPlans | undefined;
  let doors: FrontDoors | undefined;
  const stopThreads = () => Promise.all(threads.map((thread) => thread.stop()));

  try {
    const token = dataDir.token();
    const hosts = new VaultHosts((followed) => startThread(followed));
    const vaults = hosts.threads;
    const readers = lazily(() => startThread());
    const warm = new WarmHosts((pair) => startThread({ warm: pair }));
    const unprotected = new UnprotectedEvents(parts.adapters.clock);
    const core = mainThreadCore({ parts, vaults, warm, unprotected, plans: () => plans });
    const followRoles = async (control: ControlView) => {
      await hosts.follow(followedServers(config, control));
      await warm.keep(warmPairs(config, control));
    };
    // Held for as long as the service runs, so that no command works on a plan beside it.
    if (Object.keys(config.pairs).length > 0) {
      plans = await openPlans(parts, core, { threads: vaults, followRoles });
    }
    await followRoles(plans?.journal ?? { entries: () => [] });
    doors = await keepFrontDoors({ config, clock: parts.adapters.clock, log, entry });
    const indexing = keepSearchIndexed({ vaults, readers, clock: parts.adapters.clock, log });
    const http = await startHttp({
      config,
      log,
      clock: parts.adapters.clock,
      token,
      unprotected,
      threads: {
        vaults,
        warmMetrics: () => warm.metrics(),
        operate: (...call) => operate({ core, vaults, readers, warm }, ...call),
      },
    });
    dataDir.announce(http.url);
    log.info({ url: http.url, servers: [...vaults.keys()] }, 'the service is up');
    if (plans !== undefined) void resumeInterrupted(plans, log);
    const stop = lazily(async () => {
      await http.stop();
      await plans?.close();
      await doors?.stop();
      await indexing.stop();
      await warm.stop();
      await stopThreads();
      dataDir.release();
      log.info({}, 'the service has stopped');
    });
    return { url: http.url, stop };
  } catch (error) {
    await plans?.close();
    await doors?.stop();
    await stopThreads();
    dataDir.release();
    throw error;
  }
}

interface Places {
  readonly core: Core;
  readonly vaults: ReadonlyMap<string, ThreadHost>;
  readonly readers: () => Promise<ThreadHost>;
  readonly warm: WarmHosts;
}

async function operate(
  places: Places,
  operation: Operation,
  input: unknown,
  context: OperationContext,
): Promise<unknown> {
  if (operation.placement === 'live' || operation.placement === 'main')
    return operation.handler(places.core, input as never, context);
  const server = (input as { server?: string }).server;
  const vault = server === undefined ? undefined : places.vaults.get(server);
  const thread =
    operation.placement === 'needs-vault-writer' && vault !== undefined ? vault : await places.readers();
  const call = () => thread.call('operate', { name: operation.name, input }, context);
  const { to, at, dryRun } = input as { to?: string; at?: string; dryRun?: boolean };
  // A restore onto another server; what keeps that one warm must not write there too.
  if (operation.name !== 'restore' || to === undefined || dryRun) return call();
  if (at !== undefined && places.warm.keepsOn(to)) {
    throw apiErrors.make(
      'API_TARGET_BUSY',
      `${to} is kept warm, and would be brought from ${at} to the newest state again`,
    );
  }
  return places.warm.whileResting(to, call);
}

/** For operations about the service itself: reads beside the threads and asks them how it goes. */
function mainThreadCore({
  parts,
  vaults,
  warm,
  unprotected,
  plans,
}: {
  readonly parts: CoreParts;
  readonly vaults: ReadonlyMap<string, ThreadHost>;
  readonly warm: WarmHosts;
  readonly unprotected: UnprotectedEvents;
  readonly plans: () => OpenPlans | undefined;
}): Core {
  const base = inProcessCore(parts);
  const elsewhere = () =>
    Promise.reject(apiErrors.make('API_DEFECT', 'the main thread does no work on a server'));
  return {
    ...base,
    withVaultWriter: elsewhere,
    mail: {
      shadowOnce: elsewhere,
      restore: elsewhere,
      verify: elsewhere,
      bringUp: elsewhere,
      addMissing: elsewhere,
      verifyAgainst: elsewhere,
      status: async (server) => vaults.get(server)?.status(),
      unprotected: (server, lastPass) => unprotected.count(server, lastPass),
    },
    warm: {
      status: (pair) => warm.status(pair),
      caughtUp: (...call) => warm.caughtUp(...call),
      look: (...call) => warm.look(...call),
      held: (pair) => base.warm.held(pair),
      // Of one that rests, what is held is on the disk.
      accept: (pair, account) => (warm.keeps(pair) ? warm : base.warm).accept(pair, account),
      pause: (pair) => warm.pause(pair),
      keep: (pairs) => warm.keep(pairs),
    },
    get plans() {
      const open = plans();
      return open === undefined ? base.plans : planActionsOf(open);
    },
  };
}

/** Calls `make` at the first call and gives its one result to all; a failure is not kept. */
function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
