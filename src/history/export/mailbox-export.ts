import type { MailboxRow, MessageRow } from '../../catalog/index.ts';
import type { Outcome } from './target-file.ts';

/** The messages of one mailbox, in order of UID, on their way into one format. */
export interface MailboxExport {
  /** Called in order of UID; several calls may be under way at once unless `sequential`. */
  add(message: MessageRow, body: Buffer): Promise<Outcome>;
  /** After the last message. 'skipped': the mailbox is one file, and the same one was there. */
  finish(): Promise<Outcome>;
  /** When the export ends early: gives back what is held. */
  abandon(): Promise<void>;
  /** Set when `add` must not be called before the one before is done. */
  readonly sequential: boolean;
}

/** One way to lay an account out in a folder. */
export interface ExportFormat {
  mailbox(mailbox: MailboxRow): Promise<MailboxExport>;
  /** After the last mailbox. */
  finish(subscriptions: readonly string[]): Promise<void>;
  /** What the format could not hold, for the result. */
  readonly notes: readonly string[];
}

/** The levels of a mailbox's name. */
export function levelsOf(mailbox: { readonly name: string; readonly delimiter: string | null }): string[] {
  return mailbox.delimiter ? mailbox.name.split(mailbox.delimiter) : [mailbox.name];
}
