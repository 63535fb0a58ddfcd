/** Plans that move the accounts of a pair of mail servers: failover and switchover. */
export { type Memory, type TakeOverParameters, takeOverParameters } from './context.ts';
export { lostMessages, takeOverPlans } from './entry.ts';
export { takeOverErrors } from './errors.ts';
export { type Loss, lossOf } from './loss.ts';
export type { LostMessage } from './lost.ts';
export { movedAccounts, setMovedAccounts } from './moved.ts';
export type * from './ports.ts';
export type { TakeOverReport } from './report.ts';
export { hasStandbyAtWork } from './standby-at-work.ts';
export { isStuck } from './stuck.ts';
export { hasTakenOff } from './taken-off.ts';
