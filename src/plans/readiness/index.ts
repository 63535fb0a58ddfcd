/** Readiness: every precondition of every plan, looked at before the day. What plans ask too, before they begin, are the same findings. */
export { accountsOfReplica, directoryFindings } from './accounts.ts';
export { type Checked, checkAll, checkPair, checkServer } from './check.ts';
export { amber, fromError, green, NOT_TRIED, red } from './finding.ts';
export { warmFindings } from './near-line-findings.ts';
export type { FollowingNow, ReadinessOptions, ReadinessPorts } from './ports.ts';
export type * from './types.ts';
export { doorFindings, fenceFinding, hookFindings } from './way-findings.ts';
