import type { Outputs } from '../../api/index.ts';
import { counted, number, visible } from '../../lib/index.ts';
import { placeOf, printProblems } from './problems.ts';
import { onlyThereLine } from './restore.ts';

const SHOWN_MAX = 50;

export function printVerify(output: Outputs['verify']): string {
  const { certificate } = output;
  const replica = output.against === undefined ? 'its replica' : `the replica of ${output.server}`;
  const compares = output.against ?? output.server;
  const verdict = verdictOf(output, compares, replica);
  const shown = output.differences.slice(0, SHOWN_MAX).map((difference) => {
    const sides = [
      difference.expected === undefined ? '' : ` replica: ${difference.expected}`,
      difference.found === undefined ? '' : ` server: ${difference.found}`,
    ].join('');
    return visible(`  ${placeOf(difference)}: ${difference.what}${sides}`);
  });
  const rest = output.differenceCount - shown.length;
  if (rest > 0) shown.push(`  and ${number(rest)} more (--json lists ${number(output.differences.length)})`);
  const compared = `${counted(certificate.accounts, 'account')}, ${counted(certificate.mailboxes, 'mailbox', 'mailboxes')}, ${counted(certificate.messages, 'message')}, ${counted(certificate.bodiesCompared, 'body', 'bodies')}${certificate.bodies === 'sample' ? ' (a sample)' : ''}`;
  return [
    `${verdict}\n`,
    shown.map((line) => `${line}\n`).join(''),
    `certificate: lsn:${certificate.lsn} of journal ${certificate.journalId}, as of ${certificate.asOf}, compared ${certificate.comparedAt}\n`,
    `  ${compared}\n  digest ${certificate.digest}\n`,
    setRight(output),
    (output.onlyThere ?? [])
      .map(({ account, messages }) => `  ${visible(onlyThereLine(account, messages))}\n`)
      .join(''),
    printProblems(output.problems),
  ].join('');
}

/** What could not be compared is no difference, and no equality. */
function verdictOf(
  { differenceCount, problems }: Outputs['verify'],
  compares: string,
  replica: string,
): string {
  if (differenceCount > 0)
    return `${compares} differs from ${replica} in ${counted(differenceCount, 'place')}`;
  if (problems.length === 0) return `${compares} equals ${replica}`;
  return `${compares} could not be compared with ${replica} as a whole; no difference in what was compared`;
}

/** How another server is brought to the replica; what differs in its bytes alone is found there only when asked for. */
function setRight({ server, against, differences, differenceCount }: Outputs['verify']): string {
  if (against === undefined || differenceCount === 0) return '';
  const bodies = differences.some(({ what }) => what === 'body') ? ' --check-bodies' : '';
  return `understudy restore ${server} --to ${against}${bodies} sets it right, and keeps what only ${against} holds\n`;
}
