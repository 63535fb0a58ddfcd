import type { Outputs } from '../../api/index.ts';
import { counted, duration, table } from '../../lib/index.ts';
import type { TakeOverReport } from '../../plans/mail/index.ts';
import { printPlanPreview, printPlanShow } from './plan.ts';
import { printReportFiles, printReportProblems } from './report-parts.ts';

/** A failover or switchover that has ended, or what one would do. */
export function printTakeOver(output: Outputs['failover']): string {
  if ('dryRun' in output) return printPlanPreview(output);
  const { plan, resumed } = output;
  const begun = resumed ? `went on with plan ${plan.id}, which had not come to its end\n` : '';
  const report = plan.report as TakeOverReport | undefined;
  if (report === undefined || plan.state !== 'done') return `${begun}${printPlanShow({ plan })}`;
  return `${begun}${plan.sentence}: ${plan.state}\n${figures(report)}${printReportProblems(report)}${cleanUp(report)}${printReportFiles(report)}`;
}

function figures(report: TakeOverReport): string {
  const quick = report.certificate.quick;
  const rows: [string, string][] = [
    ['command to first client', report.rtoMs === undefined ? 'not reached' : duration(report.rtoMs)],
    ['outage at the front door', report.outageMs === undefined ? 'unknown' : duration(report.outageMs)],
    ...outages(report),
    ['lost, at most what came in', duration(report.rpo.atMostMs)],
    ['accounts', String(report.accounts)],
    ['certificate', quick === null ? 'none' : quick.equal ? 'equal' : 'not equal'],
    ['plan', report.plan],
  ];
  const lost =
    report.lost.length === 0
      ? ''
      : `${counted(report.lost.length, 'message')} only on ${report.from.server}:\n${table(
          ['account', 'mailbox', 'from', 'subject'],
          report.lost.slice(0, 50).map((one) => [one.account, one.mailbox, one.sender, one.subject]),
        )}`;
  const back = report.formerAnswers
    ? `${report.from.server} answers, and is fenced: people do not reach it by us\n`
    : '';
  return `${table(['', ''], rows)}${report.rpo.sentence}\n${lost}${back}`;
}

function outages({ clientOutages: measured }: TakeOverReport): [string, string][] {
  if (measured === undefined || measured.measured === 0) return [];
  const { measured: count, medianMs, longestMs } = measured;
  return [
    [`${counted(count, 'client')} waited`, `${duration(medianMs)} (median), ${duration(longestMs)} at most`],
  ];
}

function cleanUp({ cleanUp: items }: TakeOverReport): string {
  return items.length === 0
    ? ''
    : `what a person must still do:\n${items.map(({ text }) => `- ${text}\n`).join('')}`;
}
