/** The accounts of a server that takes them from a directory. */
import type { Config } from '../config/index.ts';
import { type Directory, foldValue } from '../directory/index.ts';
import type { AccountDirectory } from '../workloads/mail/index.ts';

/**
 * Those that the directory binds to the server; and of those that `known` names (the replica has them) also the ones that it binds to
 * nobody, or to the server's partner in a pair: a plan is moving them, and what they got until then is still to be read. Who acts is
 * what the roles say, not the directory.
 */
export function boundAccounts(
  directory: Directory,
  config: Config,
  server: string,
  known: () => readonly string[],
): AccountDirectory {
  const host = config.servers[server]?.host ?? '';
  const ours = new Set([host, ...partnerHosts(config, server)].map(foldValue));
  return {
    async listAccounts(signal) {
      const bound = await directory.listAccounts(host, signal);
      const isBound = new Set(bound);
      const missing = known().filter((account) => !isBound.has(account));
      if (missing.length === 0 || ours.size === 1) return bound;
      const bindings = await directory.bindings(missing, undefined, signal);
      const staying = bindings
        .filter(({ values }) => values.every((value) => ours.has(foldValue(value))))
        .map(({ account }) => account);
      return [...new Set([...bound, ...staying])];
    },
  };
}

function partnerHosts(config: Config, server: string): readonly string[] {
  return Object.values(config.pairs).flatMap(({ live, standby }) => {
    const partner = live === server ? standby : standby === server ? live : undefined;
    const host = partner === undefined ? undefined : config.servers[partner]?.host;
    return host === undefined ? [] : [host];
  });
}
