export { withAccountLock, withRestoreLock } from './account-lock.ts';
export { type Bandwidth, bandwidthOf } from './bandwidth.ts';
export { ConnectionPool } from './connection-pool.ts';
export { doveadmOf } from './doveadm.ts';
export { startShadow } from './engine.ts';
export { Follower } from './follower.ts';
export { shadowOnce } from './once.ts';
export { isOwnMailbox } from './own-mailbox.ts';
export { AccountProblems, problemOf } from './problems.ts';
