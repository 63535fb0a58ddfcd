/** Readiness: every precondition of every plan, looked at before the day. */
export { accountsOfReplica } from './accounts.ts';
export { type Checked, checkAll, checkPair, checkServer } from './check.ts';
export type { FollowingNow, ReadinessOptions, ReadinessPorts } from './ports.ts';
export type * from './types.ts';
