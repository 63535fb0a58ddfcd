export { verifyMail } from './verify.ts';
