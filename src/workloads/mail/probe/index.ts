/** Being a client for a moment: does the server serve? */
export { logInFor } from './log-in.ts';
export { probeServer } from './probe.ts';
export { createProbeMailbox, deleteProbeMailbox, isProbeMailbox } from './probe-mailbox.ts';
export type * from './types.ts';
