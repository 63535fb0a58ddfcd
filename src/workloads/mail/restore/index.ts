export { restoreMail } from './restore.ts';
export { requireShadowed } from './wanted.ts';
