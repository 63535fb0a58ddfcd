export * from '../../src/demo/dovecot/lmtp.ts';
