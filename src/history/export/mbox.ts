/**
 * `mbox`: one mboxrd file per mailbox, `<name>.mbox`, mailboxes below it in the folder `<name>/`. Lines end with LF, and a line
 * that begins with `From ` after any number of `>` gets one more `>` (so it can be undone). UID, flags and keywords go into
 * the header fields that Dovecot, UW-IMAP and mutt use: X-IMAPbase, X-UID, Status, X-Status, X-Keywords.
 */
import { join } from 'node:path';
import { internalDateMs, type MailboxRow, type MessageRow } from '../../catalog/index.ts';
import { type ExportFormat, levelsOf, type MailboxExport } from './mailbox-export.ts';
import { SafePaths, safeName } from './safe-names.ts';
import { makeFolder, syncFolder, TargetStream } from './target-file.ts';

export function mboxFormat(to: string): ExportFormat {
  const paths = new SafePaths(folderName);
  return {
    notes: [],
    mailbox: async (mailbox: MailboxRow): Promise<MailboxExport> => {
      const components = paths.components(levelsOf(mailbox));
      const dir = join(to, ...components.slice(0, -1));
      await makeFolder(dir);
      const target = await TargetStream.create(join(dir, `${components.at(-1)}.mbox`));
      let first = true;
      return {
        sequential: true,
        add: async (message, body) => {
          const base = first
            ? `X-IMAPbase: ${mailbox.uidValidity} ${String(mailbox.uidNext - 1).padStart(10, '0')}\n`
            : '';
          first = false;
          await target.write(`From ${sender(body)} ${asctime(internalDateMs(message.date) ?? 0)}\n`);
          await target.write(`${base}${statusHeaders(message)}`);
          await target.write(mboxBody(body));
          return 'written';
        },
        finish: async () => {
          const outcome = await target.finish();
          await syncFolder(dir);
          return outcome;
        },
        abandon: () => target.abandon(),
      };
    },
    finish: async () => {},
  };
}

function folderName(level: string): string {
  const name = safeName(level);
  return /\.mbox$/i.test(name) ? `${name.slice(0, -5)}%2embox` : name;
}

/** LF for CR LF, `>` before quoted and bare `From ` lines, an empty line at the end. Pure. */
export function mboxBody(body: Buffer): Buffer {
  const text = body
    .toString('latin1')
    .replace(/\r\n/g, '\n')
    .replace(/^(?=>*From )/gm, '>');
  const ending = text.endsWith('\n') || text === '' ? '\n' : '\n\n';
  return Buffer.from(text + ending, 'latin1');
}

/** The address for the separator line: of the From header's first address, else MAILER-DAEMON. */
function sender(body: Buffer): string {
  const end = body.indexOf('\r\n\r\n');
  const header = body
    .subarray(0, end < 0 ? Math.min(body.length, 8192) : Math.min(end, 65_536))
    .toString('latin1');
  const from = /^from[ \t]*:(.*(?:\r?\n[ \t].*)*)/im.exec(header)?.[1] ?? '';
  return /[^\s<>"(),:;@]+@[^\s<>"(),:;@]+/.exec(from)?.[0] ?? 'MAILER-DAEMON';
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** C's asctime in UTC, as RFC 4155 asks for. */
function asctime(timeMs: number): string {
  const date = new Date(timeMs);
  const day = String(date.getUTCDate()).padStart(2, ' ');
  const time = date.toISOString().slice(11, 19);
  return `${days[date.getUTCDay()]} ${months[date.getUTCMonth()]} ${day} ${time} ${date.getUTCFullYear()}`;
}

function statusHeaders({ uid, flags }: MessageRow): string {
  const letters = (wanted: Record<string, string>) =>
    Object.entries(wanted)
      .filter(([flag]) => flags.includes(flag))
      .map(([, letter]) => letter)
      .join('');
  const status = `${letters({ '\\Seen': 'R' })}O`;
  const xStatus = letters({ '\\Answered': 'A', '\\Flagged': 'F', '\\Draft': 'T', '\\Deleted': 'D' });
  const keywords = flags.filter((flag) => !flag.startsWith('\\'));
  return (
    `X-UID: ${uid}\nStatus: ${status}\n` +
    (xStatus === '' ? '' : `X-Status: ${xStatus}\n`) +
    (keywords.length === 0 ? '' : `X-Keywords: ${keywords.join(' ')}\n`)
  );
}
