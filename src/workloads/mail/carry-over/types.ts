/** The nouns of carrying over. Plain data. */
import type { Lsn } from '../../../journal/index.ts';
import type { Problem } from '../types.ts';

/** A message that the journal got after a moment, and that is still there. */
export interface LaterMessage {
  readonly account: string;
  readonly mailbox: string;
  readonly uid: number;
  readonly bodyLsn: Lsn;
  /** SHA-256, hexadecimal. */
  readonly sha256: string;
  readonly size: number;
  readonly flags: readonly string[];
  /** INTERNALDATE as the server sent it. */
  readonly date: string;
  readonly subject: string;
  readonly sender: string;
  readonly messageId: string;
}

/** Flags of a message that was there before. */
export interface LaterFlags {
  readonly account: string;
  readonly mailbox: string;
  readonly uidValidity: number;
  readonly uid: number;
  readonly flags: readonly string[];
}

export interface Later {
  readonly messages: readonly LaterMessage[];
  readonly flags: readonly LaterFlags[];
  /** Messages that were there and went: they are not taken away from the other server. */
  readonly removed: number;
  /** Accounts of which the journal got anything at all. */
  readonly touched: readonly string[];
}

export interface CarriedMessage {
  readonly account: string;
  readonly mailbox: string;
  readonly subject: string;
  readonly messageId: string;
  /** `there`: an earlier call brought it, or it was delivered to both. */
  readonly result: 'appended' | 'there';
}

export interface CarryOverReport {
  readonly messages: readonly CarriedMessage[];
  readonly flagsSet: number;
  /** Messages that went from the one server and stay on the other; see `Later`. */
  readonly removed: number;
  readonly problems: readonly Problem[];
}
