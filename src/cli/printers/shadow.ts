import type { Outputs } from '../../api/index.ts';
import { bytes, counted, number } from '../../lib/index.ts';
import { printProblems } from './problems.ts';

export function printShadow(output: Outputs['shadow']): string {
  const scope = `${counted(output.accounts, 'account')}, ${counted(output.mailboxes, 'mailbox', 'mailboxes')}`;
  const changes = [
    `${counted(output.messagesAdded, 'message')} added (${bytes(output.bytesFetched)} fetched)`,
    `${number(output.flagsChanged)} with changed flags`,
    `${number(output.messagesRemoved)} removed`,
  ];
  return `${output.server}: ${scope}: ${changes.join(', ')}; now at lsn:${output.lsn}\n${printProblems(output.problems)}`;
}
