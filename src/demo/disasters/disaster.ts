/**
 * A disaster from end to end: the account is read, something happens to it, it is read again, the product brings
 * back what is gone, and it is read once more. What counts is what the readings say.
 *
 * Meanwhile the account's owner leaves it alone, so that whatever differs is not their doing; new mail keeps
 * coming, but for the moment in which it happens.
 */
import { bytes, counted, duration } from '../../lib/index.ts';
import type { FinishedCommand } from '../commands.ts';
import {
  type AccountReading,
  compareReadings,
  type Loss,
  lossBetween,
  type Return,
  readAccount,
} from '../proof/index.ts';
import type { Running } from '../running.ts';

/** Differences listed below a disaster. */
const SHOWN_MOST = 5;

export interface Disaster {
  readonly account: string;
  /** Does the damage. */
  happen(before: AccountReading): Promise<void>;
  /** Runs after the damage, while new mail comes again, before the account is read. */
  aftermath?(): Promise<void>;
  /** Runs the command that brings it back, and gives it. */
  bringBack(loss: Loss): Promise<FinishedCommand>;
  /** A lost message may come back under a new UID. */
  readonly newUids: boolean;
}

export interface DisasterResult {
  readonly account: string;
  readonly lost: { readonly mailboxes: number; readonly messages: number; readonly bytes: number };
  readonly back: { readonly messages: number };
  readonly uidValidityKept: boolean;
  readonly uidsKept: number;
  /** New mail that came to the account between the damage and the end of the restore, all of it kept. */
  readonly newMailKept: number;
  /** The command that brought it back, and the time from its start to its end. */
  readonly command: string;
  readonly restoreMs: number;
  /** Changes that were not in the journal when the server went on: those that the restore itself made. */
  readonly unprotected: number;
  /** Of the account as a whole, before and after; empty when all is well. */
  readonly differences: readonly string[];
}

export async function playOut(running: Running, disaster: Disaster): Promise<DisasterResult> {
  const { dovecot, deliveries, client, nearLine, screen, signal } = running;
  const { account } = disaster;
  await client.leave(account);
  await deliveries.hold(account);
  const before = await readAccount(dovecot, account);
  const already = deliveries.acknowledgedTo(account).size;
  await disaster.happen(before);
  deliveries.release(account);
  await disaster.aftermath?.();
  signal.throwIfAborted();

  const loss = lossBetween(before, await readAccount(dovecot, account));
  const gone = [
    ...(loss.mailboxes.length > 0 ? [counted(loss.mailboxes.length, 'mailbox', 'mailboxes')] : []),
    `${counted(loss.messages.length, 'message')} (${bytes(loss.bytes)})`,
  ];
  screen.bad(`lost: ${gone.join(', ')}`);

  const unprotectedBefore = await nearLine.unprotected();
  const restore = await disaster.bringBack(loss);
  const unprotected = (await nearLine.unprotected()) - unprotectedBefore;
  const acknowledged = deliveries.acknowledgedTo(account);
  const after = await readAccount(dovecot, account);
  const expected = { sent: deliveries.sentTo(account), acknowledged, newUids: disaster.newUids };
  const returned = compareReadings(before, after, loss, expected);
  const differences = [
    ...(loss.messages.length === 0 ? ['nothing was lost, so nothing was shown'] : []),
    ...(restore.status === 0 ? [] : [`${restore.command}: exit status ${restore.status}`]),
    ...returned.differences,
  ];
  const newMailKept = acknowledged.size - already;
  tell(running, { loss, returned, differences, restore, newMailKept, newUids: disaster.newUids });
  await client.goOn(account);
  return {
    account,
    lost: { mailboxes: loss.mailboxes.length, messages: loss.messages.length, bytes: loss.bytes },
    back: { messages: returned.messages },
    uidValidityKept: returned.uidValidityKept,
    uidsKept: returned.uidsKept,
    newMailKept,
    command: restore.command,
    restoreMs: Math.round(restore.elapsedMs),
    unprotected,
    differences,
  };
}

function tell(
  { screen }: Running,
  told: {
    readonly loss: Loss;
    readonly returned: Return;
    readonly differences: readonly string[];
    readonly restore: FinishedCommand;
    readonly newMailKept: number;
    readonly newUids: boolean;
  },
): void {
  const { loss, returned, differences, restore, newMailKept, newUids } = told;
  const back = `back: ${returned.messages} of ${counted(loss.messages.length, 'message')} in ${duration(restore.elapsedMs)}`;
  const uids = newUids
    ? 'with a new UID, for a mailbox that lives gives none twice'
    : `${returned.uidsKept} of ${loss.messages.length} with their UID`;
  const validity =
    loss.mailboxes.length === 0
      ? ''
      : `, UIDVALIDITY ${returned.uidValidityKept ? 'as before' : 'NOT as before'}`;
  const meanwhile = newMailKept === 0 ? '' : `, ${counted(newMailKept, 'new mail')} of the meantime kept`;
  const text = `${back}: ${uids}${validity}${meanwhile}`;
  if (differences.length === 0) {
    screen.good(text);
    screen.good(
      'read over IMAP before and after: flags, INTERNALDATE and SHA-256 of every message are equal',
    );
    return;
  }
  screen.bad(text);
  for (const difference of differences.slice(0, SHOWN_MOST)) screen.bad(`differs: ${difference}`);
  if (differences.length > SHOWN_MOST) screen.bad(`and ${differences.length - SHOWN_MOST} more`);
}
