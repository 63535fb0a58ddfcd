export * from '../../src/workloads/mail/lmtp/index.ts';
