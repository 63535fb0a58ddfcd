export { withAccountLock } from './account-lock.ts';
export { startShadow } from './engine.ts';
export { shadowOnce } from './once.ts';
