import type { Outputs } from '../../api/index.ts';
import { bytes, counted, duration, number, table, visible } from '../../lib/index.ts';
import { printProblems } from './problems.ts';

export function printRestore(output: Outputs['restore']): string {
  const verb = output.dryRun ? 'would be restored' : 'restored';
  const rows = output.mailboxes.map((mailbox) => [
    mailbox.account,
    mailbox.into === mailbox.mailbox ? mailbox.mailbox : `${mailbox.mailbox} into ${mailbox.into}`,
    mailbox.target,
    number(mailbox.messagesPresent),
    number(mailbox.messagesRestored),
    bytes(mailbox.bytesRestored),
    identity(mailbox),
  ]);
  const list =
    rows.length === 0
      ? ''
      : table(['account', 'mailbox', 'mailbox was', 'there', verb, 'bytes', 'identity'], rows, [3, 4, 5]);
  const sum = `${counted(output.messagesRestored, 'message')} (${bytes(output.bytesRestored)}) ${verb}, ${number(output.messagesPresent)} of ${number(output.messagesWanted)} were there, as of lsn:${output.at}, in ${duration(output.elapsedMs)}\n`;
  if (output.standby !== undefined) {
    return `${output.to ?? output.server}: ${sum}${printStandby(output.standby)}${printProblems(output.problems)}`;
  }
  const hint = output.hint === undefined ? '' : `${output.hint}\n`;
  return `${list}${output.to ?? output.server}: ${sum}${hint}${printProblems(output.problems)}`;
}

const LINES_MOST = 20;

function printStandby({
  accounts,
  mailboxes,
  flagsSet,
  kept,
  repaired,
  notKept,
  onlyThere,
}: NonNullable<Outputs['restore']['standby']>): string {
  const lines = [
    `${counted(accounts, 'account')}, ${counted(mailboxes, 'mailbox', 'mailboxes')}, flags of ${counted(flagsSet, 'message')} set`,
    ...some(
      repaired.map(
        ({ what, account, mailbox, count, found, wanted }) =>
          `set right: ${account} ${mailbox ?? ''}: ${what} (${number(count)})${found === undefined ? '' : `, found ${found}`}${wanted === undefined ? '' : `, wanted ${wanted}`}`,
      ),
    ),
    ...some(
      kept.map(
        ({ account, mailbox, into, messages }) =>
          `kept: ${account} ${mailbox}: ${counted(messages, 'message')} that only this server held, now in ${into}`,
      ),
    ),
    ...some(
      notKept.map(
        ({ what, why, account, mailbox }) =>
          `not kept: ${[account, mailbox, what].filter(Boolean).join(' ')}: ${why}`,
      ),
    ),
    ...some(onlyThere.map(({ account, messages }) => onlyThereLine(account, messages))),
  ];
  return lines.map((line) => `  ${visible(line)}\n`).join('');
}

/** Of an account that the replica has no more. */
export function onlyThereLine(account: string, messages: number): string {
  return `only there: ${account}, which the replica has no more: ${counted(messages, 'message')}, left as they are`;
}

function some(lines: readonly string[]): string[] {
  const rest = lines.length - LINES_MOST;
  return [
    ...lines.slice(0, LINES_MOST),
    ...(rest > 0 ? [`and ${number(rest)} more (--json lists all)`] : []),
  ];
}

function identity({
  identityKept,
  uidsKept,
  messagesRestored,
}: Outputs['restore']['mailboxes'][number]): string {
  if (identityKept) return 'kept';
  return uidsKept === 0 ? 'new UIDs' : `${number(uidsKept)} of ${number(messagesRestored)} UIDs kept`;
}
