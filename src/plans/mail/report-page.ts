/** The report as one page that stands alone: no script, no style or image from elsewhere. Everything in it is escaped. */
import { counted, duration, visible } from '../../lib/index.ts';
import type { TakeOverReport } from './report.ts';

const ROWS_MOST = 1_000;

export function reportPage(report: TakeOverReport): string {
  const title = `${report.kind} of ${report.pair}: ${report.from.server} → ${report.to.server}`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${text(title)}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top }
td.n { text-align: right; white-space: nowrap } .bad { color: #a00 } .good { color: #060 } code { background: #f3f3f3; padding: 0 .2rem }
</style></head><body>
<h1>${text(title)}</h1>
${facts(report)}
<h2>What was lost</h2>
<p>${text(report.rpo.sentence)}</p>
${lost(report)}
${held(report)}
<h2>Certificate</h2>
${certificate(report)}
${problems(report)}
<h2>Timeline</h2>
${table(
  ['when', 'step', 'state', 'took'],
  report.timeline.map(({ at, sentence, direction, state, ms }) => [
    at ?? '',
    `${direction === 'forward' ? '' : `(${direction}) `}${sentence}`,
    state,
    ms === undefined ? '' : duration(ms),
  ]),
)}
${waits(report)}
${list('Notes', report.notes)}
${list(
  'What a person must still do',
  report.cleanUp.map((item) => item.text),
)}
</body></html>
`;
}

function facts(report: TakeOverReport): string {
  const rows: [string, string][] = [
    ['plan', report.plan],
    ['state', report.state],
    [
      'begun',
      `${report.startedAt} by ${report.by}${report.reason === undefined ? '' : `: ${report.reason}`}`,
    ],
    ['forced', report.forced ? 'yes, in spite of what was red' : 'no'],
    ['from', `${report.from.server} (${report.from.host})`],
    ['to', `${report.to.server} (${report.to.host})`],
    ['state restored', report.at === undefined ? 'none' : `lsn:${report.at.lsn}, ${report.at.time}`],
    ['RTO: command to first client', report.rtoMs === undefined ? 'not reached' : duration(report.rtoMs)],
    ['outage at the front door', report.outageMs === undefined ? 'unknown' : duration(report.outageMs)],
    ...(report.clientOutages === undefined
      ? []
      : [
          [
            'outage per client',
            `${counted(report.clientOutages.measured, 'client')}: ${duration(report.clientOutages.medianMs)} at the median, ${duration(report.clientOutages.longestMs)} at most; ${report.clientOutages.away} have not come back yet`,
          ] as [string, string],
        ]),
    ...(report.rollbackOutageMs === undefined
      ? []
      : [['outage of the rollback', duration(report.rollbackOutageMs)] as [string, string]]),
    ['RPO: at most', duration(report.rpo.atMostMs)],
    ['accounts', String(report.accounts)],
    ['clients moved, cut', `${report.clients.moved}, ${report.clients.cut}`],
    ...(report.formerAnswers
      ? [
          ['note', `${report.from.server} answers again; it is fenced, and people do not reach it by us`] as [
            string,
            string,
          ],
        ]
      : []),
  ];
  return `<table>${rows.map(([name, value]) => `<tr><th>${text(name)}</th><td>${text(value)}</td></tr>`).join('')}</table>`;
}

function waits({ clientOutages: measured }: TakeOverReport): string {
  if (measured === undefined || measured.longest.length === 0) return '';
  return `<h2>The longest outages, client by client</h2>${table(
    ['client', 'service', 'since', 'for'],
    measured.longest.map(({ client, to, at, ms }) => [client, to, new Date(at).toISOString(), duration(ms)]),
  )}`;
}

function lost({ lost: messages, leftOut, from }: TakeOverReport): string {
  const older =
    leftOut === undefined
      ? ''
      : `<p>${counted(leftOut, 'message')} newer than the chosen state stay in the journal, and can be restored from it.</p>`;
  if (messages.length === 0) return older;
  return `${older}<p class="bad">${counted(messages.length, 'message')} were found on ${text(from.server)} afterwards:</p>${table(
    ['account', 'mailbox', 'UID', 'date', 'from', 'subject'],
    messages.map((one) => [one.account, one.mailbox, String(one.uid), one.date, one.sender, one.subject]),
  )}`;
}

function held({ held: accounts }: TakeOverReport): string {
  if (accounts.length === 0) return '';
  return `<p class="bad">Bursts of removals are held back; these accounts came up as they were before:</p>${table(
    ['account', 'removed', 'of', 'state'],
    accounts.map(({ account, removed, of, at }) => [account, String(removed), String(of), `lsn:${at}`]),
  )}`;
}

function certificate({ certificate: { quick, deep } }: TakeOverReport): string {
  const parts = [];
  if (quick === null) parts.push('<p>None was made.</p>');
  else {
    parts.push(
      `<p class="${quick.equal ? 'good' : 'bad'}">${quick.equal ? 'Equal' : 'Not equal'}: every mailbox of ${counted(quick.accounts, 'account')} by UIDVALIDITY, UIDNEXT, number of messages and HIGHESTMODSEQ, ${text(new Date(quick.comparedAt).toISOString())}.</p>`,
    );
  }
  const whole = deep as {
    equal: boolean;
    differenceCount: number;
    certificates: Record<string, unknown>[];
  } | null;
  if (whole !== null) {
    parts.push(
      `<p class="${whole.equal ? 'good' : ''}">${whole.equal ? 'Equal' : `${counted(whole.differenceCount, 'difference')}, what people changed meanwhile among them`}: UIDs, flags, dates, and sampled bodies, while in use.</p>`,
      table(
        ['compared', 'mailboxes', 'messages', 'bodies', 'digest'],
        whole.certificates.map((one) =>
          ['comparedAt', 'mailboxes', 'messages', 'bodiesCompared', 'digest'].map((key) =>
            String(one[key] ?? ''),
          ),
        ),
      ),
    );
  }
  return parts.join('\n');
}

function problems({ problems: all }: TakeOverReport): string {
  if (all.length === 0) return '';
  return `<h2 class="bad">${counted(all.length, 'problem')}</h2>${table(
    ['account', 'step', 'problem', 'remedy'],
    all.map(({ account, step, code, message, remedy }) => [account, step, `${code}: ${message}`, remedy]),
  )}`;
}

function list(title: string, items: readonly string[]): string {
  if (items.length === 0) return '';
  return `<h2>${text(title)}</h2><ul>${items.map((item) => `<li>${text(item)}</li>`).join('')}</ul>`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = header.map((cell) => `<th>${text(cell)}</th>`).join('');
  const body = rows
    .slice(0, ROWS_MOST)
    .map((row) => `<tr>${row.map((cell) => `<td>${text(cell)}</td>`).join('')}</tr>`)
    .join('\n');
  const more = rows.length > ROWS_MOST ? `<p>${rows.length - ROWS_MOST} more are in the JSON.</p>` : '';
  return `<table><tr>${head}</tr>${body}</table>${more}`;
}

/** Mail chooses its own subjects. */
function text(value: string): string {
  return visible(value)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
