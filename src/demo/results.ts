/** What the demonstration found, as `--json` gives it, and the table that ends it. */
import { bytes, counted, duration, table } from '../lib/index.ts';
import type { DisasterResult } from './disasters/index.ts';
import type { TakeOverResult } from './takeover/index.ts';

export interface Results {
  /** Every comparison holds. */
  readonly ok: boolean;
  readonly seed: string;
  readonly server: {
    readonly accounts: number;
    readonly mailboxes: number;
    readonly messages: number;
    readonly bytes: number;
  };
  /** From the start of the service to the end of its first pass. */
  readonly baseline: {
    readonly ms: number;
    readonly messagesPerSecond: number;
    readonly journalBytes: number;
  };
  readonly life: LifeResult;
  readonly disasters: {
    readonly message: DisasterResult;
    readonly mailbox: DisasterResult;
    readonly account: DisasterResult;
  };
  /** `understudy verify` at the end; its exit status and what it printed. */
  readonly certificate: { readonly equal: boolean; readonly text: string };
  readonly takeOver: TakeOverResult;
  /** Everything that is not as it should be, one line each. */
  readonly differences: readonly string[];
  readonly elapsedMs: number;
}

export interface LifeResult {
  /** Messages that the server acknowledged with 250. */
  readonly delivered: number;
  /** From the envelope to the 250, which waits for the journal: an upper bound of the lag. */
  readonly acknowledgedMs: { readonly median: number; readonly p99: number; readonly most: number };
  /** Changes that the server was let go on with before the journal had them, but for those that restores made. */
  readonly unprotected: number;
  readonly read: number;
  readonly flagged: number;
  readonly filed: number;
  readonly interrupted: number;
  /** Acknowledged mail that is missing at the end, and mail that is there twice, one line each. */
  readonly brokenPromises: readonly string[];
}

export function disasterTable({ message, mailbox, account }: Results['disasters']): string {
  const kept = ({ uidsKept, lost }: DisasterResult) => `${uidsKept} of ${lost.messages}`;
  const row = (name: string, result: DisasterResult, uids: string) => [
    name,
    lost(result),
    `${result.back.messages} of ${result.lost.messages}`,
    duration(result.restoreMs),
    uids,
    result.lost.mailboxes === 0 ? '-' : result.uidValidityKept ? 'kept' : 'changed',
    String(result.newMailKept),
    String(result.differences.length),
  ];
  return table(
    ['disaster', 'lost', 'back', 'time', 'UIDs kept', 'UIDVALIDITY', 'new mail kept', 'differences'],
    [
      row('a message expunged', message, 'a new one'),
      row('a mailbox deleted', mailbox, kept(mailbox)),
      row('an account wiped on disk', account, kept(account)),
    ],
    [2, 3, 4, 6, 7],
  );
}

export function takeOverTable(result: TakeOverResult): string {
  const sorted = result.outages.map(({ outageMs }) => outageMs).sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return table(
    [
      'disaster',
      'clients',
      'outage, median',
      'longest',
      'RTO',
      'lost (RPO)',
      'UIDs and all else kept',
      'differences',
    ],
    [
      [
        'the server killed',
        String(result.outages.length),
        duration(median),
        duration(sorted.at(-1) ?? 0),
        duration(result.allBackMs),
        `${result.lost} of ${result.acknowledged}`,
        `${result.same} of ${result.messages}`,
        String(result.differences.length),
      ],
    ],
    [1, 2, 3, 4, 7],
  );
}

function lost({ lost }: DisasterResult): string {
  const mailboxes = lost.mailboxes === 0 ? '' : `${counted(lost.mailboxes, 'mailbox', 'mailboxes')}, `;
  return `${mailboxes}${counted(lost.messages, 'message')}, ${bytes(lost.bytes)}`;
}
