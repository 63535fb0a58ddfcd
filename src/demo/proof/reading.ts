/** What an account holds, read over IMAP as its owner reads it: the evidence before and after a disaster. */
import { createHash } from 'node:crypto';
import type { Dovecot } from '../dovecot/index.ts';
import { ImapLines, quotedString, type ResponseLine } from './imap-lines.ts';

export interface MessageReading {
  readonly uid: number;
  /** Sorted, without `\Recent`, which belongs to a session. */
  readonly flags: readonly string[];
  /** As the server writes it, with its zone. */
  readonly internalDate: string;
  /** RFC822.SIZE. */
  readonly size: number;
  /** Of the bytes of BODY[], hexadecimal. */
  readonly sha256: string;
  readonly messageId: string;
  /** As it stands in the header, not decoded. */
  readonly subject: string;
}

export interface MailboxReading {
  /** Decoded, with the server's hierarchy separator. */
  readonly name: string;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly specialUse: string | undefined;
  readonly subscribed: boolean;
  readonly messages: ReadonlyMap<number, MessageReading>;
}

/** By name; names that hold no mail are left out. */
export type AccountReading = ReadonlyMap<string, MailboxReading>;

/** Reads everything, every byte. */
export async function readAccount(dovecot: Dovecot, account: string): Promise<AccountReading> {
  const { address: host, imapPort: port } = dovecot;
  const imap = await ImapLines.open({
    host,
    port,
    user: account,
    password: dovecot.accountPassword(account),
  });
  try {
    const subscribed = new Set((await listed(imap, 'LSUB')).map(({ rawName }) => rawName));
    const mailboxes = new Map<string, MailboxReading>();
    for (const { rawName, attributes } of await listed(imap, 'LIST')) {
      if (/\\(noselect|nonexistent)/i.test(attributes)) continue;
      const name = decodedName(rawName);
      mailboxes.set(name, {
        name,
        ...(await readMailbox(imap, rawName)),
        specialUse: /\\(?:All|Archive|Drafts|Flagged|Junk|Sent|Trash)/i.exec(attributes)?.[0],
        subscribed: subscribed.has(rawName),
      });
    }
    return mailboxes;
  } finally {
    await imap.close();
  }
}

async function listed(imap: ImapLines, command: 'LIST' | 'LSUB') {
  const lines = await imap.command(`${command} "" "*"`);
  return lines.flatMap((line) => {
    const found = /^\* L\w+ \(([^)]*)\) (?:"(?:[^"\\]|\\.)"|NIL) (.*)$/i.exec(textOf(line));
    if (!found) return [];
    const [, attributes = '', name = ''] = found;
    // A name that needs a literal comes as the line's Buffer.
    const literal = line.find((part) => typeof part !== 'string');
    const rawName = literal ? literal.toString('latin1') : name.replace(/^"|"$/g, '').replace(/\\(.)/g, '$1');
    return [{ attributes, rawName }];
  });
}

async function readMailbox(imap: ImapLines, rawName: string) {
  const opened = (await imap.command(`EXAMINE ${quotedString(rawName)}`)).map(textOf).join('\n');
  const messages = new Map<number, MessageReading>();
  if (!/^\* 0 EXISTS/m.test(opened)) {
    const items = '(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])';
    for (const line of await imap.command(`UID FETCH 1:* ${items}`)) {
      const message = messageIn(line);
      if (message) messages.set(message.uid, message);
    }
  }
  return {
    uidValidity: Number(/\[UIDVALIDITY (\d+)\]/.exec(opened)?.[1]),
    uidNext: Number(/\[UIDNEXT (\d+)\]/.exec(opened)?.[1]),
    messages,
  };
}

function messageIn(line: ResponseLine): MessageReading | undefined {
  const text = textOf(line);
  const body = line.find((part) => typeof part !== 'string');
  const found = (pattern: RegExp) => pattern.exec(text)?.[1] ?? '';
  if (body === undefined || !/^\* \d+ FETCH /.test(text)) return undefined;
  const end = body.indexOf('\r\n\r\n');
  const headers = body.toString('latin1', 0, end < 0 ? body.length : end).replace(/\r\n[ \t]+/g, ' ');
  const header = (name: string) => new RegExp(`^${name}: *(.*)$`, 'im').exec(headers)?.[1]?.trim() ?? '';
  return {
    uid: Number(found(/\bUID (\d+)/)),
    flags: found(/\bFLAGS \(([^)]*)\)/)
      .split(' ')
      .filter((flag) => flag !== '' && flag.toLowerCase() !== '\\recent')
      .sort(),
    internalDate: found(/\bINTERNALDATE "([^"]+)"/).trim(),
    size: Number(found(/\bRFC822\.SIZE (\d+)/)),
    sha256: createHash('sha256').update(body).digest('hex'),
    messageId: header('Message-ID'),
    subject: header('Subject'),
  };
}

function textOf(line: ResponseLine): string {
  return line.filter((part) => typeof part === 'string').join('');
}

/** Modified UTF-7 (RFC 3501 section 5.1.3). */
function decodedName(raw: string): string {
  return raw.replace(/&([A-Za-z0-9+,]*)-/g, (_, base64: string) =>
    base64 === '' ? '&' : Buffer.from(base64.replaceAll(',', '/'), 'base64').swap16().toString('utf16le'),
  );
}
