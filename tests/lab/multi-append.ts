export * from '../../src/demo/dovecot/multi-append.ts';
