/**
 * `maildir`: a Maildir++ tree as Dovecot reads it (https://doc.dovecot.org/2.3/admin_manual/mailbox_formats/maildir/): INBOX in
 * the folder itself, `.Parent.Child` for the others, with `dovecot-uidlist` (UIDVALIDITY, UIDs, GUIDs), `dovecot-keywords` and
 * `subscriptions`. Message files keep their CR LF; their time is the INTERNALDATE. Characters that the layout does not allow in
 * a name (`.` above all) are written as `%2e`: Dovecot 2.4 reads them with `mailbox_list_storage_escape_char = %`.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { internalDateMs, isInbox, type MailboxRow, type MessageRow } from '../../catalog/index.ts';
import { type ExportFormat, levelsOf, type MailboxExport } from './mailbox-export.ts';
import { modifiedUtf7 } from './modified-utf7.ts';
import { SafePaths, safeName } from './safe-names.ts';
import {
  guarded,
  makeFolder,
  type Outcome,
  syncFolder,
  TargetStream,
  targetExists,
  writeTarget,
} from './target-file.ts';

export function maildirFormat(to: string): ExportFormat {
  const paths = new SafePaths((level) => safeName(modifiedUtf7(level), '.'));
  const notes: string[] = [];
  let delimiter = '/';
  return {
    notes,
    mailbox: async (mailbox) => {
      if (mailbox.delimiter) delimiter = mailbox.delimiter;
      const components = paths.components(levelsOf(mailbox));
      const dir = isInbox(mailbox.name) ? to : join(to, `.${components.join('.')}`);
      return MaildirExport.open(mailbox, dir, notes);
    },
    finish: async (subscriptions) => {
      await makeFolder(to);
      const lines = subscriptions.map((name) => modifiedUtf7(name).split(delimiter).join('\t'));
      const target = await TargetStream.create(join(to, 'subscriptions'));
      await target.write(`V\t2\n\n${lines.map((line) => `${line}\n`).join('')}`);
      await target.finish();
      await syncFolder(to);
    },
  };
}

/** Dovecot has letters for so many keywords of a mailbox in file names. */
const keywordsMax = 26;

class MaildirExport implements MailboxExport {
  readonly sequential = false;
  readonly #mailbox: MailboxRow;
  readonly #dir: string;
  readonly #notes: string[];
  readonly #uidList: TargetStream;
  /** Names in `cur` before this export, by the part before `:2,`. */
  readonly #there: ReadonlyMap<string, string>;
  readonly #keywords: string[] = [];
  #keywordsLost = 0;
  /** `dovecot-uidlist` is in order of UID, though messages are added side by side. */
  #listing: Promise<void> = Promise.resolve();

  static async open(mailbox: MailboxRow, dir: string, notes: string[]): Promise<MaildirExport> {
    for (const folder of ['cur', 'new', 'tmp']) await makeFolder(join(dir, folder));
    const names = await guarded(dir, () => readdir(join(dir, 'cur')));
    const there = new Map(names.map((name) => [name.replace(/:2,.*$/, ''), name]));
    if (!isInbox(mailbox.name)) {
      await writeTarget(join(dir, 'maildirfolder'), Buffer.alloc(0), join(dir, 'tmp', 'maildirfolder'));
    }
    const uidList = await TargetStream.create(join(dir, 'dovecot-uidlist'));
    const guid = /^[0-9a-f]{32}$/.test(mailbox.guid ?? '') ? ` G${mailbox.guid}` : '';
    await uidList.write(`3 V${mailbox.uidValidity} N${mailbox.uidNext}${guid}\n`);
    return new MaildirExport(mailbox, dir, notes, uidList, there);
  }

  private constructor(
    mailbox: MailboxRow,
    dir: string,
    notes: string[],
    uidList: TargetStream,
    there: ReadonlyMap<string, string>,
  ) {
    this.#mailbox = mailbox;
    this.#dir = dir;
    this.#notes = notes;
    this.#uidList = uidList;
    this.#there = there;
  }

  add(message: MessageRow, body: Buffer) {
    const timeMs = internalDateMs(message.date) ?? 0;
    const base =
      `${Math.floor(timeMs / 1000)}.U${message.uid}V${this.#mailbox.uidValidity}.understudy,` +
      `S=${body.length},W=${body.length + bareLineFeeds(body)}`;
    const guid =
      /^[\x21-\x7e]+$/.test(message.guid ?? '') && !message.guid?.startsWith(':') ? ` G${message.guid}` : '';
    const name = `${base}:2,${this.#letters(message.flags)}`;
    const before = this.#there.get(base);
    if (before !== undefined && before !== name)
      return Promise.reject(targetExists(join(this.#dir, 'cur', before)));
    this.#listing = this.#listing.then(() => this.#uidList.write(`${message.uid}${guid} :${base}\n`));
    return Promise.all([
      writeTarget(join(this.#dir, 'cur', name), body, join(this.#dir, 'tmp', base), timeMs),
      this.#listing,
    ]).then(([outcome]) => outcome);
  }

  /** Flags as letters in ASCII order, keywords as the small letters of their place in `dovecot-keywords`. */
  #letters(flags: readonly string[]): string {
    const letters: string[] = [];
    for (const flag of flags) {
      const system = systemLetters[flag];
      if (system) letters.push(system);
      if (flag.startsWith('\\')) continue;
      let index = this.#keywords.indexOf(flag);
      if (index < 0 && this.#keywords.length < keywordsMax) index = this.#keywords.push(flag) - 1;
      if (index < 0) this.#keywordsLost += 1;
      else letters.push(String.fromCharCode(0x61 + index));
    }
    return letters.sort().join('');
  }

  async finish(): Promise<Outcome> {
    await this.#listing;
    await this.#uidList.finish();
    if (this.#keywords.length > 0) {
      const text = this.#keywords.map((keyword, index) => `${index} ${keyword}\n`).join('');
      const file = join(this.#dir, 'dovecot-keywords');
      await writeTarget(file, Buffer.from(text), join(this.#dir, 'tmp', 'dovecot-keywords'));
    }
    if (this.#keywordsLost > 0) {
      this.#notes.push(
        `${this.#mailbox.name}: ${this.#keywordsLost} keywords left out, a Maildir holds ${keywordsMax} different ones per mailbox`,
      );
    }
    await syncFolder(join(this.#dir, 'cur'));
    await syncFolder(this.#dir);
    return 'written';
  }

  abandon(): Promise<void> {
    return this.#uidList.abandon();
  }
}

const systemLetters: Record<string, string> = {
  '\\Draft': 'D',
  '\\Flagged': 'F',
  '\\Answered': 'R',
  '\\Seen': 'S',
  '\\Deleted': 'T',
};

/** LF without a CR before it: each is one byte more in RFC822.SIZE. */
function bareLineFeeds(body: Buffer): number {
  let count = 0;
  for (let at = body.indexOf(10); at >= 0; at = body.indexOf(10, at + 1)) {
    if (at === 0 || body[at - 1] !== 13) count += 1;
  }
  return count;
}
