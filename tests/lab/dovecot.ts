/** The demo's server is the tests' server. */
export { MAIL_GID, MAIL_UID, PLAIN_CAPABILITY } from '../../src/demo/dovecot/configuration.ts';
export * from '../../src/demo/dovecot/dovecot.ts';
