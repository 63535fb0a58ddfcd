export { isAbsent, verifyMail } from './verify.ts';
