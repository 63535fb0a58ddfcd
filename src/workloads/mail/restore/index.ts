export { ensureMailbox } from './aside.ts';
export { restoreMail } from './restore.ts';
export { requireShadowed } from './wanted.ts';
