/** The built-in front door as a way by which clients follow. The work is done in its own process; this asks and tells. */
import type { Config } from '../../config/index.ts';
import { hasCode } from '../../lib/index.ts';
import type { DoorState, Rehome, RehomeDeps, RehomeOutcome } from '../types.ts';
import { askProxy, brokeOff } from './control.ts';
import { doorFiles, rememberedState, rememberState } from './doors-folder.ts';
import { ensureProxy, proxyStats } from './ensure-proxy.ts';
import { someProxyEntries, targetsOf } from './entries.ts';
import { sameState } from './front-door.ts';

/** How long the door may take beyond its drain. */
const BEYOND_DRAIN_MS = 10_000;

export function proxyRehome(config: Config, pair: string, deps: RehomeDeps): Rehome {
  const entries = someProxyEntries(config, pair);
  const files = doorFiles(config.dataDir, pair);
  const withinMs = Math.max(...entries.map(({ drain }) => drain)) + BEYOND_DRAIN_MS;
  const { clock, signal } = deps;

  const set = async (state: DoorState): Promise<RehomeOutcome> => {
    const start = clock.monotonicMs();
    const targets = state.mode === 'open' ? targetsOf(config, pair, state.server) : {};
    const order = () => askProxy(files.socket, { do: 'set', state, targets }, { clock, withinMs, signal });
    const tally = await order().catch(async (error: unknown) => {
      if (!hasCode(error, 'REHOME_PROXY_NOT_RUNNING') && !brokeOff(error)) throw error;
      // It must not begin with an earlier state: that one may lead to the server that is being fenced.
      await rememberState(files, state);
      await ensureProxy(config, pair, deps);
      return order();
    });
    return {
      clientsMoved: tally.drained,
      clientsCut: tally.cut,
      elapsedMs: Math.round(clock.monotonicMs() - start),
    };
  };

  return {
    name: 'proxy',
    kind: 'proxy',
    holds: true,
    state: async () => (await proxyStats(config, pair, deps))?.state,
    isDone: async (want) => {
      const stats = await proxyStats(config, pair, deps);
      if (stats !== undefined) {
        return sameState(stats.state, want) && stats.straying === 0 && stats.remembered;
      }
      // Without a process nothing passes, and the next one begins with what is remembered.
      const remembered = rememberedState(files);
      return want.mode === 'closed' && remembered !== undefined && sameState(remembered, want);
    },
    run: set,
    undo: set,
  };
}
