/** Finding what a command names, and checking beforehand what it will need. */
import { nearest } from '../lib/index.ts';
import { configErrors } from './errors.ts';
import type { Config } from './load.ts';
import {
  type DirectoryConfig,
  type MailServerConfig,
  type PairConfig,
  type ServiceName,
  wellKnownPorts,
} from './schema.ts';
import { Secret } from './secret.ts';

/** @throws CONFIG_UNKNOWN_SERVER with the nearest name. */
export function serverNamed(config: Config, name: string): MailServerConfig {
  const server = Object.hasOwn(config.servers, name) ? config.servers[name] : undefined;
  if (server !== undefined) return server;
  const names = Object.keys(config.servers);
  const near = nearest(name, names);
  throw configErrors.make(
    'CONFIG_UNKNOWN_SERVER',
    `${config.file} defines no server \`${name}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`,
    {
      remedy: names.length > 0 ? `Name one of: ${names.join(', ')}` : 'Add one with: understudy init',
      details: { server: name, nearest: near, servers: names },
    },
  );
}

/** Names of the servers that are shadowed: those with accounts. */
export function shadowedServers(config: Config): readonly string[] {
  return Object.entries(config.servers)
    .filter(([, server]) => server.accounts !== undefined)
    .map(([name]) => name);
}

/** @throws CONFIG_UNKNOWN_SERVER, CONFIG_NOT_SHADOWED */
export function shadowedServerNamed(config: Config, name: string): MailServerConfig {
  const server = serverNamed(config, name);
  if (server.accounts === undefined) {
    throw configErrors.make(
      'CONFIG_NOT_SHADOWED',
      `the server \`${name}\` has no \`accounts\`, so it is not shadowed`,
      {
        details: { server: name },
      },
    );
  }
  return server;
}

/** The port of one of the server's services, as a client uses it. */
export function portOf(server: MailServerConfig, service: ServiceName): number {
  const { port, security } = server.imap;
  if (service === 'imap' && security !== 'tls') return server.services.imap ?? port;
  if (service === 'imaps' && security === 'tls') return server.services.imaps ?? port;
  return server.services[service] ?? wellKnownPorts[service];
}

/** @throws CONFIG_UNKNOWN_PAIR with the nearest name. */
export function pairNamed(config: Config, name: string): PairConfig {
  const pair = Object.hasOwn(config.pairs, name) ? config.pairs[name] : undefined;
  if (pair !== undefined) return pair;
  const names = Object.keys(config.pairs);
  const near = nearest(name, names);
  throw configErrors.make(
    'CONFIG_UNKNOWN_PAIR',
    `${config.file} defines no pair \`${name}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`,
    {
      remedy:
        names.length > 0 ? `Name one of: ${names.join(', ')}` : 'Add it under `pairs`: live, standby, rehome',
      details: { pair: name, nearest: near, pairs: names },
    },
  );
}

/** The directory that a server's accounts come from, if they do. */
export function directoryOf(config: Config, server: string): DirectoryConfig | undefined {
  const accounts = serverNamed(config, server).accounts;
  if (accounts?.from !== 'directory') return undefined;
  return config.directories[accounts.directory ?? (Object.keys(config.directories)[0] as string)];
}

/**
 * Looks up the secrets that following the servers needs, and those of pairs: the day of a failover is no day to look for the standby's or the
 * directory's. @throws CONFIG_SECRET_MISSING
 */
export function checkUsedSecrets(config: Config): void {
  for (const server of shadowedServers(config)) {
    checkSecrets(serverNamed(config, server));
    checkSecrets(directoryOf(config, server));
  }
  for (const pair of Object.values(config.pairs)) {
    checkSecrets(pair);
    for (const server of [pair.live, pair.standby]) checkSecrets(serverNamed(config, server));
    if (pair.directory !== undefined) checkSecrets(config.directories[pair.directory]);
  }
}

/** Looks every secret below `value` up once, so that one that is missing is told before work begins. @throws CONFIG_SECRET_MISSING */
export function checkSecrets(value: unknown): void {
  if (value instanceof Secret) value.reveal();
  else if (typeof value === 'object' && value !== null) Object.values(value).forEach(checkSecrets);
}
