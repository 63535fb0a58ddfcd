import type { Outputs } from '../../api/index.ts';
import { bytes, counted, number, visible } from '../../lib/index.ts';

export function printExport(output: Outputs['export']): string {
  const skipped = output.skipped > 0 ? `, ${number(output.skipped)} of them were there already` : '';
  const setAside = output.setAside.map((row) =>
    visible(`  not exported: ${row.mailbox} UID ${row.uid}: ${row.code}: ${row.detail}`),
  );
  return [
    `${output.account} of ${output.server} as of ${output.at.time ?? 'now'} (lsn:${output.at.lsn}): ${counted(output.mailboxes, 'mailbox', 'mailboxes')}, ${counted(output.messages, 'message')} (${bytes(output.bytes)}) in ${output.to}${skipped}`,
    ...output.notes.map((note) => visible(`  ${note}`)),
    ...setAside,
  ]
    .map((line) => `${line}\n`)
    .join('');
}
