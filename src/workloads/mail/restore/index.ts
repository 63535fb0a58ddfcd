export { restoreMail } from './restore.ts';
