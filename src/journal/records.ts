/**
 * The records of a journal: what is true of one protected server, in the order we learned it (or, in the control journal, what the
 * service did). In CBOR
 * (RFC 8949) each is a map with exactly these keys; docs/internals/journal-format.md describes the bytes.
 *
 * Terminology
 *   body         the bytes of one message exactly as the server served them, stored once per journal by SHA-256
 *   mailbox id   our number for one incarnation of a mailbox (one UIDVALIDITY); unique in a journal, never reused
 *   message      (mailbox id, UID) -> a body, flags, INTERNALDATE
 *   step         the records of one commit: one consistent change of one mailbox or account
 *
 * A message ends when it vanishes or when its mailbox is gone; a mailbox, when it or its account is gone.
 */

declare const lsnBrand: unique symbol;
declare const mailboxIdBrand: unique symbol;

/**
 * Position in a journal: the ordinal of a record, from 1, strictly increasing by one. 64 bits on disk; here a
 * number, asserted to stay below 2^53.
 */
export type Lsn = number & { readonly [lsnBrand]: true };
export type MailboxId = number & { readonly [mailboxIdBrand]: true };

/** One piece of a body. Pieces of one body follow each other with nothing between; a body up to `BODY_PIECE_BYTES` is one piece. */
export interface BodyRecord {
  readonly t: 'body';
  /** SHA-256 of the whole body. */
  readonly hash: Uint8Array;
  /** Bytes of the whole body. */
  readonly size: number;
  /** Offset of this piece in the body. */
  readonly at: number;
  readonly data: Uint8Array;
}

export interface AccountRecord {
  readonly t: 'account';
  readonly account: string;
}

export interface AccountGoneRecord {
  readonly t: 'account-gone';
  readonly account: string;
}

/** A mailbox incarnation begins. `name` is decoded (Unicode), with the server's hierarchy delimiter in it. */
export interface MailboxRecord {
  readonly t: 'mailbox';
  readonly id: MailboxId;
  readonly account: string;
  readonly name: string;
  readonly delimiter: string | null;
  readonly uidValidity: number;
  /** The server's own id of the mailbox (X-GUID, MAILBOXID), where it has one: survives a rename. */
  readonly guid?: string;
  readonly specialUse: readonly string[];
  readonly subscribed: boolean;
}

/** Attributes of a living mailbox change (a rename among them); absent keys stay as they are. */
export interface MailboxChangeRecord {
  readonly t: 'mailbox-change';
  readonly id: MailboxId;
  readonly name?: string;
  readonly delimiter?: string | null;
  readonly guid?: string;
  readonly specialUse?: readonly string[];
  readonly subscribed?: boolean;
}

export interface MailboxGoneRecord {
  readonly t: 'mailbox-gone';
  readonly id: MailboxId;
}

/** How far a mailbox has been followed. `highestModSeq` is decimal (63 bits, RFC 7162), absent without CONDSTORE. */
export interface PositionRecord {
  readonly t: 'position';
  readonly id: MailboxId;
  readonly uidNext: number;
  readonly highestModSeq?: string;
  /** False while a baseline of this mailbox is under way: UIDs below `uidNext` may still be missing. Absent = complete. */
  readonly complete?: boolean;
}

export interface MessageRecord {
  readonly t: 'message';
  readonly id: MailboxId;
  readonly uid: number;
  readonly hash: Uint8Array;
  readonly size: number;
  /** Sorted, without \Recent; system flags in their RFC spelling, keywords as the server spells them. */
  readonly flags: readonly string[];
  /** INTERNALDATE as the server sent it: `17-Jul-1996 02:44:25 -0700`. */
  readonly date: string;
  /** The server's own id of the message (X-GUID, EMAILID), where it has one: equal for copies. */
  readonly guid?: string;
}

export interface FlagsRecord {
  readonly t: 'flags';
  readonly id: MailboxId;
  readonly uid: number;
  readonly flags: readonly string[];
}

export interface VanishedRecord {
  readonly t: 'vanished';
  readonly id: MailboxId;
  /** IMAP sequence-set of UIDs, ascending: `1:3,7`. */
  readonly uids: string;
}

/** A message that the server shows but could not serve rightly; it is tried again. Ends when its message comes or vanishes. */
export interface SetAsideRecord {
  readonly t: 'set-aside';
  readonly id: MailboxId;
  readonly uid: number;
  readonly code: string;
  readonly detail: string;
}

/** The account's whole subscription list, names without a mailbox included. */
export interface SubscriptionsRecord {
  readonly t: 'subscriptions';
  readonly account: string;
  readonly names: readonly string[];
}

/**
 * A named or noteworthy point: `label` by the operator (unique), or a cause of ours: `pass` = a whole pass over
 * the server is done, `burst` = the state just before a burst of removals in `account`.
 */
export interface CheckpointRecord {
  readonly t: 'checkpoint';
  readonly label?: string;
  readonly cause: 'operator' | 'pass' | 'burst';
  readonly account?: string;
}

/**
 * Only in a control journal (`<dataDir>/control`): what the service itself must not forget. `data` is JSON; where `more` is true it goes on
 * in the next record, which has the same topic and id. What a topic's data says is described where the topic is used.
 */
export interface ControlRecord {
  readonly t: 'control';
  readonly topic: string;
  readonly id: string;
  readonly data: string;
  readonly more?: boolean;
}

/** Ends a step: everything since the previous commit becomes visible. `time` is wall time in ms, never decreasing. */
export interface CommitRecord {
  readonly t: 'commit';
  readonly time: number;
}

/** The records that make up a step; `Vault.commit` ends them with the commit record. */
export type StepRecord =
  | AccountRecord
  | AccountGoneRecord
  | MailboxRecord
  | MailboxChangeRecord
  | MailboxGoneRecord
  | PositionRecord
  | MessageRecord
  | FlagsRecord
  | VanishedRecord
  | SetAsideRecord
  | SubscriptionsRecord
  | CheckpointRecord;

export type JournalRecord = BodyRecord | StepRecord | ControlRecord | CommitRecord;

/** Largest piece of a body in one record. */
export const BODY_PIECE_BYTES = 1 << 20;

export interface JournalEntry {
  readonly lsn: Lsn;
  readonly record: JournalRecord;
}
