import type { Outputs } from '../../api/index.ts';
import { bytes, counted, number, table } from '../../lib/index.ts';

export function printJournalInfo(info: Outputs['journal info']): string {
  const ratio =
    info.rawBytes > 0 ? ` (${(info.storedBytes / info.rawBytes).toFixed(2)} of ${bytes(info.rawBytes)})` : '';
  return [
    `journal ${info.journalId} in ${info.location}, format ${info.formatVersion}, ${info.encrypted ? 'encrypted' : 'not encrypted'}\n`,
    `lsn:${info.firstLsn} to lsn:${info.lastLsn}${info.firstTime === undefined ? '' : `, ${info.firstTime} to ${info.lastTime}`}\n`,
    `${counted(info.segments.length, 'segment')}, ${counted(info.frames, 'frame')}, ${bytes(info.storedBytes)}${ratio}\n`,
    table(
      ['segment', 'first', 'last', 'size', ''],
      info.segments.map((segment) => [
        segment.name,
        number(segment.firstLsn),
        number(segment.lastLsn),
        bytes(segment.bytes),
        segment.sealed ? 'sealed' : 'open',
      ]),
      [1, 2, 3],
    ),
  ].join('');
}

export function printJournalVerify(report: Outputs['journal verify']): string {
  const found = `${counted(report.segments, 'segment')}, ${counted(report.frames, 'frame')}, ${counted(report.commits, 'commit')}, ${counted(report.bodies, 'body', 'bodies')}`;
  const torn =
    report.torn === undefined
      ? ''
      : `${bytes(report.torn.bytes)} after the last commit in ${report.torn.segment}: an unfinished write, cut off at the next start\n`;
  if (report.ok) return `${report.location} is whole: ${found}, up to lsn:${report.committedLsn}\n${torn}`;
  const faults = report.faults.map(
    (fault) =>
      `  ${fault.code} ${fault.segment} at ${fault.offset}${fault.lsn === undefined ? '' : ` (lsn:${fault.lsn})`}: ${fault.what}\n`,
  );
  return `${report.location} is damaged in ${counted(report.faults.length, 'place')}; ${found} are whole\n${faults.join('')}${torn}`;
}
