/** The inside of a service's thread: one server's vault, or (without a server) reading in any vault. */
import type { MessagePort } from 'node:worker_threads';
import { type Config, loadConfig } from '../../config/index.ts';
import { createLog } from '../../lib/index.ts';
import type { Adapters } from '../adapters.ts';
import type { Core } from '../core.ts';
import { asOperatingError } from '../defects.ts';
import { apiErrors } from '../errors.ts';
import { asFollowed } from '../followed.ts';
import { addMissingWith, type CoreParts, inProcessCore } from '../in-process.ts';
import { operationNamed } from '../operations/index.ts';
import { answerCalls, type Handlers } from '../rpc.ts';
import { updateSearchIndex } from '../search-index.ts';
import type { ThreadMethods, ThreadReady, ThreadStart } from '../threads.ts';
import { type Following, VaultKeeper } from './vault-keeper.ts';
import { WarmKeeper } from './warm-keeper.ts';

/** Runs until `stop` is called; says on `port` first whether it could start. */
export async function runServiceThread(
  port: MessagePort,
  start: ThreadStart,
  adapters: Adapters,
): Promise<void> {
  const say = (message: ThreadReady) => port.postMessage(message);
  try {
    const config = configOf(start);
    const parts: CoreParts = {
      config,
      adapters,
      log: createLog(config.log.level).child({ site: config.site }),
    };
    const methods = await methodsOf(parts, start, port);
    answerCalls<ThreadMethods>(port, methods);
    say({ ready: true });
  } catch (error) {
    say({ error: asOperatingError(error).toJSON() });
    port.close();
  }
}

/** A server that acts in the place of another has the accounts of that one. */
function configOf({ configFile, server, accounts }: ThreadStart): Config {
  const config = loadConfig(configFile);
  return server === undefined ? config : asFollowed(config, server, accounts);
}

async function methodsOf(
  parts: CoreParts,
  { server, warm }: ThreadStart,
  port: MessagePort,
): Promise<Handlers<ThreadMethods>> {
  if (warm !== undefined) return warmMethods(new WarmKeeper(parts, warm), port);
  if (server === undefined) return readingMethods(parts, port);
  return vaultMethods(parts, server, await VaultKeeper.start(parts, server), port);
}

function warmMethods(keeper: WarmKeeper, port: MessagePort): Handlers<ThreadMethods> {
  const notHere = () => {
    throw apiErrors.make('API_DEFECT', 'the thread of a warm standby has no vault');
  };
  return {
    operate: notHere,
    push: notHere,
    index: notHere,
    status: notHere,
    metrics: notHere,
    warmStatus: () => keeper.status(),
    warmMetrics: () => keeper.metrics(),
    warmCaughtUp: async ({ lsn }, { signal }) => {
      await keeper.engine().caughtUp(lsn, signal);
      return undefined;
    },
    warmLook: ({ accounts }) => {
      keeper.engine().look(accounts);
      return undefined;
    },
    warmAccept: ({ account }) => keeper.engine().accept(account),
    stop: async () => {
      await keeper.stop();
      closeAfterAnswer(port);
      return undefined;
    },
  };
}

const notWarm = () => {
  throw apiErrors.make('API_DEFECT', 'this thread keeps no standby warm');
};
const noWarmStandby = {
  warmStatus: notWarm,
  warmMetrics: notWarm,
  warmCaughtUp: notWarm,
  warmLook: notWarm,
  warmAccept: notWarm,
};

function vaultMethods(
  parts: CoreParts,
  server: string,
  keeper: VaultKeeper,
  port: MessagePort,
): Handlers<ThreadMethods> {
  const core = vaultThreadCore(parts, server, () => keeper.following());
  return {
    ...noWarmStandby,
    operate: operateWith(core),
    push: (event) => keeper.following().engine.push(event),
    index: () => {
      throw apiErrors.make('API_DEFECT', 'a vault’s thread does not index for search');
    },
    status: () => keeper.status(),
    metrics: () => keeper.metrics(),
    stop: async () => {
      await keeper.stop();
      closeAfterAnswer(port);
      return undefined;
    },
  };
}

/**
 * Nobody waits for the index but a search, which completes it at full speed. Mail that comes meanwhile needs the processor:
 * parsing a day's mail without rest would hold back every pushed event of a small machine.
 */
const INDEXING_SHARE = 0.2;

function readingMethods(parts: CoreParts, port: MessagePort): Handlers<ThreadMethods> {
  const core = inProcessCore(parts);
  const notHere = () => {
    throw apiErrors.make('API_DEFECT', 'the reading thread follows no server');
  };
  return {
    ...noWarmStandby,
    operate: operateWith(core),
    index: async ({ server }, context) => {
      await core.withReader(server, (reader) => updateSearchIndex(core, reader, context, INDEXING_SHARE));
      return undefined;
    },
    push: notHere,
    status: notHere,
    metrics: () => ({ restarts: 0, errorsByCode: {} }),
    stop: () => {
      closeAfterAnswer(port);
      return undefined;
    },
  };
}

function operateWith(core: Core): Handlers<ThreadMethods>['operate'] {
  return async ({ name, input }, context) => {
    const operation = await operationNamed(name);
    return operation.handler(core, input as never, context);
  };
}

/** The core of the thread that has `server`'s vault: lends the open vault, and lets the engine do the passes. */
function vaultThreadCore(parts: CoreParts, server: string, following: () => Following): Core {
  const base = inProcessCore(parts);
  return {
    ...base,
    async withVaultWriter(name, work) {
      return name === server ? work(following().vault) : base.withVaultWriter(name, work);
    },
    mail: {
      shadowOnce: async (_, options) => following().engine.pass(options),
      restore: async (_, request, options) => {
        const { mail, deps } = following();
        return mail.restoreMail(deps, request, options);
      },
      verify: async (_, request, options) => {
        const { mail, deps } = following();
        return mail.verifyMail(deps, request, options);
      },
      bringUp: base.mail.bringUp,
      addMissing: addMissingWith(parts, (_, work) => work(following().vault)),
      verifyAgainst: base.mail.verifyAgainst,
      status: base.mail.status,
      unprotected: base.mail.unprotected,
    },
  };
}

function closeAfterAnswer(port: MessagePort): void {
  setImmediate(() => port.close());
}
