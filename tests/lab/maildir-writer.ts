export * from '../../src/demo/dovecot/maildir-writer.ts';
