/** What every step of following a server shares. */
import type { MailboxRow } from '../../../catalog/index.ts';
import type { UnderstudyError } from '../../../lib/index.ts';
import type { Burst, MailDeps } from '../types.ts';
import type { ConnectionPool } from './connection-pool.ts';
import type { MessagePauses } from './message-pauses.ts';
import type { Pace } from './pace.ts';
import type { PassProgress } from './progress.ts';

/** Counters since the follower was made. */
export interface Counters {
  bytesFetched: number;
  recordsCommitted: number;
  messagesAdded: number;
  flagsChanged: number;
  messagesRemoved: number;
}

export interface FollowContext {
  readonly deps: MailDeps;
  readonly pool: ConnectionPool;
  readonly pace: Pace;
  readonly counters: Counters;
  /** Progress of the pass under way, if there is one. */
  progress: PassProgress | undefined;
  /** Mailboxes brought up to date since the statuses that are compared next were asked for. */
  movedOn: Set<MailboxRow['id']>;
  /** When messages that are set aside are asked for again. */
  readonly pauses: MessagePauses;
  /** UIDs that a fetch which failed may have failed by, until their mailbox has been looked at to its end. */
  readonly suspects: Map<MailboxRow['id'], Set<number>>;
  /** Since when removals of an account wait for a mailbox that is refused. */
  readonly removalsHeldSinceMs: Map<string, number>;
  /** Told when a burst of removals was journaled, with the checkpoint just before it. */
  onBurst(burst: Burst): void;
}

/** What is remembered of a mailbox that is gone is of no use: its id never comes again. */
export function forgetMailbox({ pauses, suspects, movedOn }: FollowContext, id: MailboxRow['id']): void {
  pauses.forget(id);
  suspects.delete(id);
  movedOn.delete(id);
}

/** What one look at an account did. */
export interface AccountOutcome {
  readonly account: string;
  /** Nothing was known of the account before: that it has mail does not make it an active one. */
  readonly isFirst: boolean;
  /** All mailboxes were asked for, and not only those that were named. */
  readonly isWhole: boolean;
  readonly mailboxes: number;
  readonly added: number;
  readonly flagsChanged: number;
  readonly removed: number;
  readonly bytes: number;
  /** Messages that could not be had; they are tried again. */
  readonly setAside: readonly {
    readonly mailbox: string;
    readonly uid: number;
    readonly error: UnderstudyError;
    /** It was not set aside before this look. */
    readonly isNew: boolean;
  }[];
}
