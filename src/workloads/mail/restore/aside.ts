/**
 * The mailbox beside the restored one, `NAME-since-the-loss`: what came since the loss waits in it while the old mail
 * comes back, and goes behind it at the end. As long as it is there the restore of NAME has not ended, whatever
 * interrupted it.
 */
import { crashPoint, hasCode } from '../../../lib/index.ts';
import { type ImapConnection, rangesOfUids, uidsOfRanges } from '../imap/index.ts';

/** Beside, not below: INBOX may not be allowed children. `prefix`: of the personal namespace, which INBOX alone need not be named in. */
export function asideName(mailbox: string, delimiter: string | null, prefix: string): string {
  return `${mailbox === 'INBOX' ? prefix : ''}${withoutTail(mailbox, delimiter)}-since-the-loss`;
}

function withoutTail(name: string, delimiter: string | null): string {
  return delimiter !== null && name.endsWith(delimiter) ? name.slice(0, -delimiter.length) : name;
}

/** Makes a mailbox; one that is there is left as it is. Special use only where the server takes it. */
export async function ensureMailbox(
  connection: ImapConnection,
  name: string,
  specialUse: readonly string[] = [],
): Promise<void> {
  try {
    await connection.create(name, specialUse);
  } catch (error) {
    if (!isRefused(error, 'ALREADYEXISTS')) throw error;
  }
}

export class Aside {
  readonly name: string;
  readonly #connection: ImapConnection;
  readonly #mailbox: string;
  readonly #delimiter: string | null;

  constructor(connection: ImapConnection, mailbox: string, delimiter: string | null, prefix: string) {
    this.name = asideName(mailbox, delimiter, prefix);
    this.#connection = connection;
    this.#mailbox = mailbox;
    this.#delimiter = delimiter;
  }

  ensure(): Promise<void> {
    return ensureMailbox(this.#connection, this.name);
  }

  /** Gets everything out of the mailbox's way. Afterwards the mailbox may be absent; deliveries may make it again. */
  async takeAll(): Promise<void> {
    try {
      // A rename lets the mailbox begin anew, at UID 1.
      await this.#connection.rename(this.#mailbox, this.name);
    } catch (error) {
      // Dovecot cannot rename an INBOX in Maildir. The mailbox stays, and its first UIDs are taken.
      if (!hasCode(error, 'MAIL_COMMAND_REFUSED')) throw error;
      await this.ensure();
      await this.take(await this.#uids(this.#mailbox, 'ALL'));
    }
    crashPoint('restore.aside.after');
  }

  /** A rename takes the mailboxes below along; they did not ask for it. One whose name is in use again stays. */
  async bringChildrenBack(): Promise<void> {
    if (this.#delimiter === null) return;
    const prefix = this.name + this.#delimiter;
    for (const { name, selectable } of await this.#connection.listMailboxes({ status: false })) {
      if (!selectable || !name.startsWith(prefix)) continue;
      const home = this.#mailbox + this.#delimiter + name.slice(prefix.length);
      try {
        await this.#connection.rename(name, home);
      } catch (error) {
        // Renamed with its parent just before, or in the way of a new one.
        if (!hasCode(error, 'MAIL_MAILBOX_ABSENT') && !isRefused(error, 'ALREADYEXISTS')) throw error;
      }
    }
  }

  /** Sends away what has one of the UIDs below `uidNext` without being one of `placed`. False when there was nothing. */
  async takeStrangers(placed: ReadonlySet<number>, uidNext: number): Promise<boolean> {
    if (uidNext <= 1) return false;
    const strangers = (await this.#uids(this.#mailbox, `UID 1:${uidNext - 1}`)).filter(
      (uid) => uid < uidNext && !placed.has(uid),
    );
    if (strangers.length === 0) return false;
    await this.ensure();
    await this.take(strangers);
    return true;
  }

  async take(uids: readonly number[]): Promise<void> {
    if (uids.length > 0) {
      await this.#connection.select(this.#mailbox);
      await this.#connection.move(rangesOfUids(uids), this.name);
    }
    await this.#connection.unselect();
  }

  /** Puts everything behind the old mail, and ends. */
  async giveBack(): Promise<void> {
    await this.#connection.select(this.name);
    const all = await this.#connection.search('ALL');
    if (all.length > 0) await this.#connection.move(all, this.#mailbox);
    crashPoint('restore.bring-back.after');
    const left = await this.#connection.search('ALL');
    await this.#connection.unselect();
    if (left.length === 0) await this.#connection.delete(this.name);
  }

  async #uids(mailbox: string, criteria: string): Promise<number[]> {
    await this.#connection.select(mailbox);
    const found = [...uidsOfRanges(await this.#connection.search(criteria))];
    await this.#connection.unselect();
    return found;
  }
}

/** A NO with this response code (RFC 5530). */
function isRefused(error: unknown, code: string): boolean {
  return hasCode(error, 'MAIL_COMMAND_REFUSED') && error.details['code'] === code;
}
