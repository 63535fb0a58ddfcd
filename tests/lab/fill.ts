export * from '../../src/demo/dovecot/fill.ts';
