/** Which servers are shadowed, by what the control journal says of who acts. */
import { type Config, shadowedServers } from '../config/index.ts';
import { type ControlView, rolesOf } from '../control/index.ts';
import { plansIn } from '../plans/index.ts';
import { hasStandbyAtWork, movedAccounts } from '../plans/mail/index.ts';
import type { WarmPair } from './core.ts';

export interface Followed {
  readonly server: string;
  /** Only these accounts; absent = as the configuration says. */
  readonly accounts?: readonly string[];
}

/**
 * Every server with accounts, but those whose accounts have moved away; and every one that acts in the place of another, or has some of
 * its accounts.
 */
export function followedServers(config: Config, control: ControlView): readonly Followed[] {
  const wanted = new Map<string, Followed>(shadowedServers(config).map((server) => [server, { server }]));
  const pairs = Object.keys(config.pairs).map((pair) => rolesOf(config, control, pair));
  // One whose place nobody has taken is followed for its own sake, whatever else it stands by for.
  for (const { pair, former } of pairs) if (former === config.pairs[pair]?.live) wanted.delete(former);
  for (const { acting, since } of pairs) if (since > 0) wanted.set(acting, { server: acting });
  for (const { pair, acting } of pairs) {
    const moved = movedAccounts(control, pair);
    if (moved === undefined || moved.accounts.length === 0 || moved.server === acting) continue;
    if (!wanted.has(moved.server))
      wanted.set(moved.server, { server: moved.server, accounts: moved.accounts });
  }
  return [...wanted.values()];
}

/**
 * Whether the mail of `source` may be brought to `target`. `free`: nobody is followed there. `serves`: people are, or may be, at work on it.
 * `own-accounts`: it has accounts of its own and stands by for `source`, which acts; as where both servers of a pair have accounts,
 * since they changed places or may do so. Then it is free for the accounts that `source` has, and for those alone.
 */
export function placeFor(
  config: Config,
  control: ControlView,
  source: string,
  target: string,
): 'free' | 'own-accounts' | 'serves' {
  if (!followedServers(config, control).some(({ server }) => server === target)) return 'free';
  const pairs = Object.keys(config.pairs).map((pair) => rolesOf(config, control, pair));
  const acts = pairs.some(({ acting }) => acting === target);
  const hasMoved = pairs.some(({ pair }) => {
    const moved = movedAccounts(control, pair);
    return moved?.server === target && moved.accounts.length > 0;
  });
  const standsBy = pairs.some(({ acting, former }) => former === target && acting === source);
  return standsBy && !acts && !hasMoved ? 'own-accounts' : 'serves';
}

/**
 * The standbys that are kept warm: those whose pair is as the configuration says, while they act for nobody. (One that acts for some
 * accounts only must not be written to for those, and rests as a whole.) From the moment when a plan has a standby to itself until the plan
 * has ended nobody else writes there, whatever the roles say: people may be at work on it already.
 */
export function warmPairs(config: Config, control: ControlView): readonly WarmPair[] {
  const inPlan = new Set(
    plansIn(control, () => false)
      .filter(hasStandbyAtWork)
      .map(({ pair }) => pair),
  );
  return Object.entries(config.pairs).flatMap(([pair, { warm, live, standby }]) => {
    const moved = movedAccounts(control, pair)?.accounts.length ?? 0;
    const rests = !warm || moved > 0 || inPlan.has(pair) || rolesOf(config, control, pair).acting !== live;
    return rests ? [] : [{ pair, source: live, target: standby }];
  });
}

/**
 * The configuration as it counts for following a server: one that has no `accounts` of its own has those of the server whose place it
 * takes (from the directory, the ones that are bound to it).
 */
export function asFollowed(config: Config, server: string, only?: readonly string[]): Config {
  const own = config.servers[server];
  if (own === undefined) return config;
  const partner = Object.values(config.pairs).find(
    ({ live, standby }) => live === server || standby === server,
  );
  const other =
    partner === undefined
      ? undefined
      : config.servers[partner.live === server ? partner.standby : partner.live];
  const inherited = own.accounts ?? other?.accounts;
  const accounts =
    only === undefined
      ? inherited
      : {
          from: 'list' as const,
          list: only.map((name) => inherited?.list.find((entry) => entry.name === name) ?? { name }),
          directory: undefined,
          exclude: [],
        };
  if (accounts === undefined) return config;
  return { ...config, servers: { ...config.servers, [server]: { ...own, accounts } } };
}
