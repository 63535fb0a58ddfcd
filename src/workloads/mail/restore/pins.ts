/** The identity of mailboxes, set through the doveadm HTTP API. */
import type { DoveadmClient } from '../doveadm/index.ts';
import type { Pins } from './mailbox.ts';

/** Undefined where the server cannot set UIDs for us: what is restored there gets new ones. */
export function pinsOf(doveadm: DoveadmClient | undefined): Pins | undefined {
  return (
    doveadm && { pin: (user, mailbox, identity) => doveadm.pinMailboxes([{ user, mailbox, ...identity }]) }
  );
}
