export { ensureMailbox } from './aside.ts';
export { type MailboxRestore, restoreMailbox } from './mailbox.ts';
export { nameIn, plannedOutcome } from './outcome.ts';
export { chooseTarget, planMessages } from './plan.ts';
export { restoreMail } from './restore.ts';
export { pick, requireShadowed, type Wanted, wantedOf } from './wanted.ts';
