export type { DisasterResult } from './disaster.ts';
export { lostAccount } from './lost-account.ts';
export { lostMailbox } from './lost-mailbox.ts';
export { lostMessage } from './lost-message.ts';
