export { asideName, ensureMailbox } from './aside.ts';
export { type MailboxRestore, type Pins, restoreMailbox } from './mailbox.ts';
export { nameIn, plannedOutcome } from './outcome.ts';
export { pinsOf } from './pins.ts';
export { chooseTarget, planMessages } from './plan.ts';
export { restoreMail } from './restore.ts';
export { highestUidNext, pick, requireShadowed, type Wanted, wantedOf } from './wanted.ts';
