/** The identity of mailboxes, set through the doveadm HTTP API. */
import { doveadmOf } from '../shadow/index.ts';
import type { MailDeps } from '../types.ts';
import type { Pins } from './mailbox.ts';

/** Undefined where the server cannot set UIDs for us: what is restored there gets new ones. */
export function pinsOf(deps: MailDeps): Pins | undefined {
  const doveadm = doveadmOf(deps);
  return (
    doveadm && { pin: (user, mailbox, identity) => doveadm.pinMailboxes([{ user, mailbox, ...identity }]) }
  );
}
