export * from '../../src/demo/dovecot/address.ts';
