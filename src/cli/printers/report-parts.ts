/** Parts of a plan's report that a terminal shows. */
import { counted, table } from '../../lib/index.ts';
import type { TakeOverReport } from '../../plans/mail/index.ts';

export function printReportProblems({ problems: all }: TakeOverReport): string {
  if (all.length === 0) return '';
  const rows = all.slice(0, 50).map(({ account, step, code, message }) => [account, step, code, message]);
  return `${counted(all.length, 'problem')}:\n${table(['account', 'step', 'code', ''], rows)}`;
}

export function printReportFiles(report: TakeOverReport): string {
  return report.files === undefined ? '' : `report: ${report.files.html}\n`;
}
