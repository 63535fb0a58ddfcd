/** Readiness: every precondition of every plan, looked at before the day. */
export type * from './types.ts';
