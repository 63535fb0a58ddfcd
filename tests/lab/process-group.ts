export * from '../../src/demo/dovecot/process-group.ts';
