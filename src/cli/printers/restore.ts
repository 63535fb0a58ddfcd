import type { Outputs } from '../../api/index.ts';
import { bytes, counted, duration, number, table } from '../../lib/index.ts';
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
  const hint = output.hint === undefined ? '' : `${output.hint}\n`;
  return `${list}${output.server}: ${sum}${hint}${printProblems(output.problems)}`;
}

function identity({
  identityKept,
  uidsKept,
  messagesRestored,
}: Outputs['restore']['mailboxes'][number]): string {
  if (identityKept) return 'kept';
  return uidsKept === 0 ? 'new UIDs' : `${number(uidsKept)} of ${number(messagesRestored)} UIDs kept`;
}
