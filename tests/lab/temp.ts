export * from '../../src/demo/dovecot/temp.ts';
