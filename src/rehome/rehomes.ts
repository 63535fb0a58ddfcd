/** The ways by which a pair's clients follow, and its fences, as the configuration has them. */
import { type Config, pairNamed } from '../config/index.ts';
import { commandFence, commandRehome } from './command/adapters.ts';
import { proxyRehome } from './proxy/adapter.ts';
import { proxyEntries } from './proxy/entries.ts';
import type { Fence, FenceDeps, Rehome, RehomeDeps } from './types.ts';

/**
 * The front door first (all proxy entries are one, for they share a process), then each command, in the order of the
 * configuration. @throws CONFIG_UNKNOWN_PAIR
 */
export function rehomesOf(config: Config, pair: string, deps: RehomeDeps): Rehome[] {
  const commands = pairNamed(config, pair).rehome.flatMap((entry, index) =>
    entry.kind === 'command'
      ? [commandRehome(config, pair, `command ${index + 1}: ${entry.run[0]}`, entry, deps)]
      : [],
  );
  const proxies = proxyEntries(config, pair).length > 0 ? [proxyRehome(config, pair, deps)] : [];
  return [...proxies, ...commands];
}

/** @throws CONFIG_UNKNOWN_PAIR, CONFIG_UNKNOWN_SERVER */
export function fencesOf(config: Config, pair: string, deps: FenceDeps): Fence[] {
  return pairNamed(config, pair).fence.map((entry, index) =>
    commandFence(config, pair, `fence ${index + 1}: ${entry.run[0]}`, entry, deps),
  );
}
