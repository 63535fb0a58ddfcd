export { configErrors } from './errors.ts';
export { type Config, emptyConfig, loadConfig, parseConfig } from './load.ts';
export { configurationPage } from './reference-page.ts';
export type { AccountEntry, DirectoryConfig, ListenAddress, MailServerConfig, PairConfig } from './schema.ts';
export { isBrokenReference, Secret } from './secret.ts';
export {
  checkSecrets,
  checkUsedSecrets,
  directoryOf,
  serverNamed,
  shadowedServerNamed,
  shadowedServers,
} from './servers.ts';
export { parseDuration, parseSize } from './units.ts';
