/**
 * Writes a Maildir++ as Dovecot keeps it: UIDs in `dovecot-uidlist`, keywords in `dovecot-keywords`, INTERNALDATE as
 * the file's time, sizes in the file's name, so that Dovecot reads no message to learn them.
 */
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  closeSync,
  existsSync,
  fchownSync,
  futimesSync,
  mkdirSync,
  openSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { MAIL_GID, MAIL_UID } from './configuration.ts';
import type { AccountWriter, StoredMessage } from './fill.ts';

const flagLetters: Readonly<Record<string, string>> = {
  '\\Draft': 'D',
  '\\Flagged': 'F',
  '\\Answered': 'R',
  '\\Seen': 'S',
  '\\Deleted': 'T',
};

interface OpenMailbox {
  readonly path: string;
  readonly uidList: string[];
  readonly keywords: string[];
}

export class MaildirWriter implements AccountWriter {
  readonly #root: string;
  readonly #subscriptions: string[] = [];
  #open: OpenMailbox | undefined;
  #mailboxes = 0;

  constructor(home: string, root: string) {
    if (existsSync(root)) throw new Error(`${root} is in use already; only an unused account can be filled`);
    this.#root = root;
    for (const path of [home, root]) makeOwned(path);
  }

  async mailbox(name: string, subscribed: boolean): Promise<void> {
    this.#finish();
    const levels = name.split('/').map(encodeMailboxName);
    const path = name === 'INBOX' ? this.#root : join(this.#root, `.${levels.join('.')}`);
    if (path !== this.#root) makeOwned(path);
    for (const folder of ['cur', 'new', 'tmp']) makeOwned(join(path, folder));
    if (path !== this.#root) writeOwned(join(path, 'maildirfolder'), '');
    if (subscribed) this.#subscriptions.push(levels.join('\t'));
    this.#mailboxes += 1;
    this.#open = { path, uidList: [], keywords: [] };
  }

  message({ raw, flags, internalDate }: StoredMessage): void {
    const mailbox = this.#open;
    if (!mailbox) throw new Error('a message needs a mailbox first');
    const uid = mailbox.uidList.length + 1;
    const seconds = internalDate.getTime() / 1000;
    // The part before the comma is the message's GUID, which no other message of the account may have.
    const name = `${Math.floor(seconds)}.M${uid}P${this.#mailboxes}.fill,S=${raw.length},W=${raw.length}`;
    mailbox.uidList.push(`${uid} :${name}\n`);
    const letters = flags
      .map((flag) => flagLetters[flag] ?? keywordLetter(mailbox.keywords, flag))
      .sort()
      .join('');
    const file = openSync(join(mailbox.path, 'cur', `${name}:2,${letters}`), 'wx', 0o600);
    try {
      writeSync(file, raw);
      fchownSync(file, MAIL_UID, MAIL_GID);
      futimesSync(file, seconds, seconds);
    } finally {
      closeSync(file);
    }
  }

  async end(): Promise<void> {
    this.#finish();
    writeOwned(join(this.#root, 'subscriptions'), `V\t2\n\n${this.#subscriptions.join('\n')}\n`);
  }

  #finish(): void {
    if (!this.#open) return;
    const { path, uidList, keywords } = this.#open;
    const guid = randomBytes(16).toString('hex');
    const head = `3 V${1_700_000_000 + this.#mailboxes} N${uidList.length + 1} G${guid}\n`;
    writeOwned(join(path, 'dovecot-uidlist'), head + uidList.join(''));
    if (keywords.length > 0) {
      writeOwned(
        join(path, 'dovecot-keywords'),
        keywords.map((keyword, index) => `${index} ${keyword}\n`).join(''),
      );
    }
    this.#open = undefined;
  }
}

/** Maildir has 26 letters for keywords. */
function keywordLetter(keywords: string[], keyword: string): string {
  let index = keywords.indexOf(keyword);
  if (index === -1) index = keywords.push(keyword) - 1;
  if (index >= 26) throw new Error(`more than 26 keywords in one mailbox: ${keyword}`);
  return String.fromCharCode(0x61 + index);
}

function makeOwned(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chownSync(path, MAIL_UID, MAIL_GID);
}

function writeOwned(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
  chownSync(path, MAIL_UID, MAIL_GID);
}

/** Modified UTF-7 (RFC 3501, 5.1.3). */
export function encodeMailboxName(name: string): string {
  return name.replace(/&|[^\x20-\x7e]+/g, (part) =>
    part === '&'
      ? '&-'
      : `&${Buffer.from(part, 'utf16le').swap16().toString('base64').replace(/=+$/, '').replaceAll('/', ',')}-`,
  );
}
