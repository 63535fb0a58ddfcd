export { configErrors } from './errors.ts';
export { type Config, emptyConfig, loadConfig, parseConfig, readConfigText } from './load.ts';
export { configurationPage } from './reference-page.ts';
export {
  type AccountEntry,
  type DirectoryConfig,
  type ListenAddress,
  type MailServerConfig,
  type PairConfig,
  type ServiceName,
  wellKnownPorts,
} from './schema.ts';
export { isBrokenReference, Secret } from './secret.ts';
export {
  checkSecrets,
  checkUsedSecrets,
  directoryOf,
  pairNamed,
  portOf,
  serverNamed,
  shadowedServerNamed,
  shadowedServers,
} from './servers.ts';
export { parseDuration, parseSize } from './units.ts';
