/** Plans that move the accounts of a pair of mail servers: failover and switchover. */
export type * from './ports.ts';
