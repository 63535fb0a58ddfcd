/** UIDs far apart, as a mailbox has them that lost most of its mail over the years. */
import { chownSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Dovecot, MAIL_GID, MAIL_UID } from './dovecot.ts';

/**
 * Gives the messages of a mailbox in Maildir, filled as files and not opened yet, the UIDs 1, 1 + apart, …; UIDNEXT is `apart` beyond the
 * last one.
 */
export function spreadUids(dovecot: Dovecot, account: string, mailbox: string, apart: number): void {
  const store = dovecot.storePath(account);
  const folder = mailbox === 'INBOX' ? store : join(store, `.${mailbox}`);
  const names = ['cur', 'new'].flatMap((part) => readdirSync(join(folder, part))).sort();
  const lines = names.map((name, index) => `${1 + index * apart} :${name.replace(/:2,.*$/, '')}`);
  const head = `3 V1500000000 N${1 + names.length * apart} G${'0123456789abcdef'.repeat(2)}`;
  const file = join(folder, 'dovecot-uidlist');
  writeFileSync(file, `${[head, ...lines].join('\n')}\n`);
  chownSync(file, MAIL_UID, MAIL_GID);
}
