/** The proxy entries of a pair, and where they lead. */
import { type Config, type PairConfig, pairNamed, portOf, serverNamed } from '../../config/index.ts';
import { rehomeErrors } from '../errors.ts';
import type { Targets } from './front-door.ts';

export type ProxyEntry = Extract<PairConfig['rehome'][number], { kind: 'proxy' }>;

export function proxyEntries(config: Config, pair: string): readonly ProxyEntry[] {
  return pairNamed(config, pair).rehome.filter((entry): entry is ProxyEntry => entry.kind === 'proxy');
}

/** @throws REHOME_NO_PROXY */
export function someProxyEntries(config: Config, pair: string): readonly ProxyEntry[] {
  const entries = proxyEntries(config, pair);
  if (entries.length > 0) return entries;
  throw rehomeErrors.make('REHOME_NO_PROXY', `the pair \`${pair}\` has no front door of kind proxy`, {
    details: { pair },
  });
}

/** Where the services of a server answer, for those that the pair's front door has. @throws CONFIG_UNKNOWN_SERVER */
export function targetsOf(config: Config, pair: string, server: string): Targets {
  const { host, ...rest } = serverNamed(config, server);
  return Object.fromEntries(
    proxyEntries(config, pair).map(({ to }) => [to, { host, port: portOf({ host, ...rest }, to) }]),
  );
}
