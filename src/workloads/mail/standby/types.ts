/**
 * The nouns of the standby's door. Everything that is taken and reported is plain data (it crosses threads and HTTP), but
 * `StandbyDeps`.
 */
import type { VaultReader } from '../../../catalog/index.ts';
import type { MailServerConfig } from '../../../config/index.ts';
import type { Lsn } from '../../../journal/index.ts';
import type { Clock, Log } from '../../../lib/index.ts';
import type { Bandwidth } from '../shadow/index.ts';
import type { OnlyThere, Problem } from '../types.ts';

export type { OnlyThere };

/** The replica of `source`, read beside its writer, and another mail server that is to hold the same. */
export interface StandbyDeps {
  /** Name of the server whose replica it is. */
  readonly source: string;
  readonly reader: VaultReader;
  /** Name of the server that is brought up. */
  readonly target: string;
  /** How `target` is reached. */
  readonly config: MailServerConfig;
  readonly clock: Clock;
  readonly log: Log;
  /** Bounds what is brought to it, together with others that have the same one; absent = one of its own, as its configuration says. */
  readonly bandwidth?: Bandwidth;
}

export interface BringUpRequest {
  /** The replica as of this LSN; absent = its last commit. */
  readonly at?: Lsn;
  /** Absent = every account of the replica that was not gone. */
  readonly accounts?: readonly string[];
  /**
   * Only this mailbox of the one account; everything else there is left as it is. Without `at` a mailbox that is gone is taken as it was
   * last.
   */
  readonly mailbox?: string;
  /** Say what would be done and change nothing. */
  readonly dryRun?: boolean;
  /**
   * Read every message there, and count one whose bytes are others as another message. Without it a message of the same UID, size and
   * INTERNALDATE is taken to be the one.
   */
  readonly checkBodies?: boolean;
  /** Connections to the target, over all accounts; absent = as in its configuration. */
  readonly connections?: number;
  /** Only mailboxes of which the replica changed after this LSN. */
  readonly since?: Lsn;
}

/** What only the target held: moved out of the way, never deleted. */
export interface KeptAside {
  readonly account: string;
  readonly mailbox: string;
  /** The mailbox of the same account that holds it now. */
  readonly into: string;
  /** The UIDs it had in `mailbox`, as a sequence set; empty when the mailbox was moved as a whole. */
  readonly uids: string;
  readonly messages: number;
}

export type RepairKind =
  /** It had another UIDVALIDITY. */
  | 'uidvalidity'
  /** UIDs were given out beyond the ones of the replica: clients might have met other messages under them. */
  | 'uidnext'
  /** A UID of the replica held another message: another size or date, or (where bodies were read) other bytes. */
  | 'other-message'
  /** A UID that the replica does not have (any more) held a message. */
  | 'extra-message'
  /** The replica has no such mailbox. */
  | 'extra-mailbox'
  /** Flags or keywords were others. */
  | 'flags'
  | 'subscription';

/** What was found wrong on the target and was set right. */
export interface Repair {
  readonly what: RepairKind;
  readonly account: string;
  readonly mailbox?: string;
  /** Messages, or 1. */
  readonly count: number;
  readonly found?: string;
  readonly wanted?: string;
}

/** An identity that this target cannot keep. */
export interface NotKept {
  readonly what: 'uids' | 'uidvalidity' | 'uidnext' | 'modseq' | 'special-use' | 'keywords';
  /** One sentence for a person. */
  readonly why: string;
  /** Absent: everywhere. */
  readonly account?: string;
  readonly mailbox?: string;
}

/** What the target is able to keep; asked of the server, not of its name. */
export interface TargetFeatures {
  /** UIDs, UIDVALIDITY, UIDNEXT and HIGHESTMODSEQ can be set: the doveadm HTTP API is there and works. */
  readonly pinUids: boolean;
  /** Why not; absent when `pinUids`. */
  readonly pinProblem?: string;
  readonly multiAppend: boolean;
  readonly uidPlus: boolean;
  readonly condStore: boolean;
  readonly move: boolean;
  readonly createSpecialUse: boolean;
  /** As the server tells it in ID (RFC 2971): `Dovecot`; undefined when it says nothing. */
  readonly product?: string;
  /** Hierarchy separator of the personal namespace; null = flat. */
  readonly separator: string | null;
  /** Prefix of the personal namespace. */
  readonly prefix: string;
  readonly notKept: readonly NotKept[];
}

export interface BringUpReport {
  readonly at: Lsn;
  readonly dryRun: boolean;
  readonly accounts: number;
  readonly mailboxes: number;
  readonly messagesWanted: number;
  readonly messagesPresent: number;
  readonly messagesRestored: number;
  readonly bytesRestored: number;
  readonly flagsSet: number;
  readonly kept: readonly KeptAside[];
  readonly repaired: readonly Repair[];
  readonly notKept: readonly NotKept[];
  /** Left as they are, and named where every account was brought up. */
  readonly onlyThere: readonly OnlyThere[];
  readonly elapsedMs: number;
  readonly problems: readonly Problem[];
}
