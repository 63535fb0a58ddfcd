/** What comes of the restore of one mailbox. */
import type { RestoredMailbox } from '../types.ts';
import type { MailboxRestore } from './mailbox.ts';

/** The mailbox that receives the messages. */
export function nameIn({ target }: MailboxRestore): string {
  return target.kind === 'created' ? target.name : target.mailbox.name;
}

/** The outcome as the plan says it; a dry run reports this. `mailbox`: its name in the replica, where the server may write it otherwise. */
export function plannedOutcome(
  job: MailboxRestore,
  canPin: boolean,
  mailbox = job.wanted.name,
): RestoredMailbox {
  const { wanted, target, plan } = job;
  const takesIdentity =
    target.kind === 'existing' ? target.sameIdentity : canPin && nameIn(job) === wanted.name;
  const uidNext = target.kind === 'existing' || target.kind === 'resumed' ? target.mailbox.uidNext : 1;
  const keep = takesIdentity && canPin;
  const uidsKept = keep ? plan.missing.filter(({ uid }) => uid >= uidNext).length : 0;
  return {
    account: job.account,
    mailbox,
    into: nameIn(job),
    target: target.kind === 'created' ? 'created' : 'existing',
    uidValidity: takesIdentity || target.kind === 'created' ? wanted.uidValidity : target.mailbox.uidValidity,
    identityKept: takesIdentity && uidsKept === plan.missing.length,
    uidsKept,
    messagesWanted: plan.wanted,
    messagesPresent: plan.present,
    messagesRestored: plan.missing.length,
    flagsRestored: plan.missing.filter(({ flags }) => flags.length > 0).length,
    bytesRestored: plan.missing.reduce((sum, { size }) => sum + size, 0),
  };
}
