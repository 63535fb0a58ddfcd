/** The demo's server is the tests' server. */
export {
  type ConfigurationOptions,
  MAIL_GID,
  MAIL_UID,
  PLAIN_CAPABILITY,
  storeFolder,
} from '../../src/demo/dovecot/configuration.ts';
export * from '../../src/demo/dovecot/dovecot.ts';
