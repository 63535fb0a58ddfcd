/** Rows that the catalog answers with. `at` everywhere is an LSN: the state after the commit at or before it. */
import type { Lsn, MailboxId } from '../journal/index.ts';

export interface AccountRow {
  readonly account: string;
  readonly firstLsn: Lsn;
  /** LSN at which the account was gone, absent while it lives (as of now, whatever `at`). */
  readonly goneLsn?: Lsn;
  readonly mailboxCount: number;
  readonly messageCount: number;
  readonly bytes: number;
}

export interface MailboxRow {
  readonly id: MailboxId;
  readonly account: string;
  readonly name: string;
  readonly delimiter: string | null;
  readonly uidValidity: number;
  readonly guid?: string;
  readonly specialUse: readonly string[];
  readonly subscribed: boolean;
  readonly uidNext: number;
  readonly highestModSeq?: string;
  readonly complete: boolean;
}

export interface MessageRow {
  readonly mailboxId: MailboxId;
  readonly uid: number;
  /** LSN of the first piece of the body: `VaultReader.body(bodyLsn)`. */
  readonly bodyLsn: Lsn;
  readonly hash: Uint8Array;
  readonly size: number;
  readonly flags: readonly string[];
  readonly date: string;
  readonly guid?: string;
}

/** Header values as they stand in the message: RFC 2047 words not decoded, unfolded, possibly shortened. */
export interface RawSummary extends MessageRow {
  readonly subject: string;
  readonly from: string;
  readonly messageId: string;
}

/** What a history listing shows of a message; header values decoded (RFC 2047), possibly shortened. */
export interface MessageSummary extends MessageRow {
  readonly subject: string;
  readonly from: string;
  readonly messageId: string;
}

export interface CheckpointRow {
  readonly lsn: Lsn;
  readonly time: number;
  readonly label?: string;
  readonly cause: 'operator' | 'pass' | 'burst';
  readonly account?: string;
}

export interface SetAsideRow {
  readonly mailboxId: MailboxId;
  readonly uid: number;
  readonly code: string;
  readonly detail: string;
}

/** Messages that one commit removed from one mailbox. */
export interface Removal {
  /** The commit: as `at`, the first state without them. The state with them: `lsn - 1`. */
  readonly lsn: Lsn;
  readonly time: number;
  readonly account: string;
  /** Name of the mailbox then. */
  readonly mailbox: string;
  readonly mailboxId: MailboxId;
  readonly count: number;
  /** They went with their mailbox or account. */
  readonly mailboxGone: boolean;
}
