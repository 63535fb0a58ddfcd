/** Commands of the operator as ways by which clients follow, and as fences. */
import { type Config, pairNamed } from '../../config/index.ts';
import type { DoorState, Fence, FenceDeps, Rehome, RehomeDeps, RehomeOutcome } from '../types.ts';
import { askHook, type CommandHook, type HookMove, hookEnvironment, runHook } from './hook.ts';

const NOTHING_DONE: RehomeOutcome = { clientsMoved: 0, clientsCut: 0, elapsedMs: 0 };

/**
 * A command moves clients to a server; it can neither hold nor close. How many clients followed is not known, and counted as none.
 * `undo` gets the environment that `run` had: TO is the server that it is taken back from.
 */
export function commandRehome(
  config: Config,
  pair: string,
  name: string,
  hook: CommandHook,
  deps: RehomeDeps,
): Rehome {
  const { clock } = deps;
  const other = (server: string) => {
    const { live, standby } = pairNamed(config, pair);
    return server === live ? standby : live;
  };
  const variables = (from: string, to: string) => environment(config, pair, from, to, deps.plan);
  const timed = async (work: Promise<void>): Promise<RehomeOutcome> => {
    const start = clock.monotonicMs();
    await work;
    return { ...NOTHING_DONE, elapsedMs: Math.round(clock.monotonicMs() - start) };
  };
  return {
    name,
    kind: 'command',
    holds: false,
    state: async () => undefined,
    isDone: async (want) => {
      if (want.mode !== 'open') return true;
      if (hook.isDone === undefined) return false;
      return askHook(hook.isDone, hook.timeout, variables(other(want.server), want.server), deps);
    },
    run: async (want: DoorState) => {
      if (want.mode !== 'open') return NOTHING_DONE;
      return timed(runHook(hook.run, hook.timeout, variables(other(want.server), want.server), deps));
    },
    undo: async (to: DoorState) => {
      if (to.mode !== 'open') return NOTHING_DONE;
      const left = other(to.server);
      if (hook.undo === undefined) {
        return {
          ...NOTHING_DONE,
          left: `Lead clients back from ${left} to ${to.server}: \`${hook.run.join(' ')}\` has no \`undo\`.`,
        };
      }
      return timed(runHook(hook.undo, hook.timeout, variables(to.server, left), deps));
    },
  };
}

export function commandFence(
  config: Config,
  pair: string,
  name: string,
  hook: CommandHook,
  deps: FenceDeps,
): Fence {
  const variables = environment(config, pair, deps.from, deps.to, deps.plan);
  return {
    name,
    undoable: hook.undo !== undefined,
    isDone: async () =>
      hook.isDone === undefined ? false : askHook(hook.isDone, hook.timeout, variables, deps),
    run: () => runHook(hook.run, hook.timeout, variables, deps),
    undo: async () => {
      if (hook.undo !== undefined) await runHook(hook.undo, hook.timeout, variables, deps);
    },
  };
}

function environment(config: Config, pair: string, from: string, to: string, plan = '') {
  const move: HookMove = { pair, from, to, plan };
  return hookEnvironment(config, move);
}
