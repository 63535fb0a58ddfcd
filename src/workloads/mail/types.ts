/**
 * The nouns of the mail workload's door: what its actions need, take and report. Everything here is plain data
 * (it crosses threads and HTTP), but `MailDeps` and `ShadowEngine`.
 */
import type { Vault } from '../../catalog/index.ts';
import type { MailServerConfig } from '../../config/index.ts';
import type { Lsn } from '../../journal/index.ts';
import type { Clock, Log, ProgressListener, UnderstudyError } from '../../lib/index.ts';

/**
 * Port to the directory that names this server's accounts (`accounts: { from: directory }`). main.ts fills it in,
 * for a workload and a directory never import each other.
 */
export interface AccountDirectory {
  /** Names of the accounts that the directory binds to this server, in no order; safe to repeat. */
  listAccounts(signal?: AbortSignal): Promise<readonly string[]>;
}

/** What every action on a mail server works with. `vault` is the open, writable vault of `server`. */
export interface MailDeps {
  readonly server: string;
  readonly config: MailServerConfig;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly log: Log;
  readonly directory?: AccountDirectory;
}

export interface ActionOptions {
  readonly progress?: ProgressListener;
  readonly signal?: AbortSignal;
}

/** Something that could not be done while the rest went on. `code`, `message`, `remedy` are an error's. */
export interface Problem {
  readonly account: string;
  readonly mailbox?: string;
  readonly uid?: number;
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

/** What one pass over a server did. With problems it is partly done (exit status 4). */
export interface ShadowSummary {
  /** Last committed LSN after the pass. */
  readonly lsn: Lsn;
  readonly accounts: number;
  readonly mailboxes: number;
  readonly messagesAdded: number;
  readonly flagsChanged: number;
  readonly messagesRemoved: number;
  readonly bytesFetched: number;
  readonly problems: readonly Problem[];
}

/**
 * What to bring back, as of `at`: everything (no key), an account, one mailbox of it, or a UID set of that
 * mailbox. `into` names another mailbox of the same account to put it in; absent = in place.
 */
export interface RestoreRequest {
  readonly account?: string;
  readonly mailbox?: string;
  /** IMAP sequence-set of UIDs as of `at`: `1:3,7`. */
  readonly uids?: string;
  /** Absent = now; what is asked for by name and is not there now, as it was last. */
  readonly at?: Lsn;
  readonly into?: string;
  /** Say what would be done and change nothing. */
  readonly dryRun: boolean;
}

export interface RestoredMailbox {
  readonly account: string;
  readonly mailbox: string;
  /** The mailbox that received the messages. */
  readonly into: string;
  /** `existing`: it was there. `created`: it was gone and is made anew. */
  readonly target: 'existing' | 'created';
  readonly uidValidity: number;
  /** True when every restored message has the UID and its mailbox the UIDVALIDITY it had as of `at`. */
  readonly identityKept: boolean;
  /** Restored messages that have the UID they had, under the UIDVALIDITY that they had it. */
  readonly uidsKept: number;
  readonly messagesWanted: number;
  readonly messagesPresent: number;
  readonly messagesRestored: number;
  readonly flagsRestored: number;
  readonly bytesRestored: number;
}

export interface RestoreReport {
  readonly dryRun: boolean;
  readonly at: Lsn;
  /** Only mailboxes in which something was missing. */
  readonly mailboxes: readonly RestoredMailbox[];
  readonly messagesWanted: number;
  readonly messagesPresent: number;
  readonly messagesRestored: number;
  readonly bytesRestored: number;
  readonly elapsedMs: number;
  /** Nothing was missing now, but there is an earlier point from which something is: how to ask for it. */
  readonly hint?: string;
  readonly problems: readonly Problem[];
}

export interface VerifyRequest {
  /** Compare with the replica as of this LSN; absent = its last commit. */
  readonly at?: Lsn;
  readonly account?: string;
  /** Digests of all bodies, or of this many chosen evenly over the server. */
  readonly bodies: 'all' | { readonly sample: number };
}

/** One precise difference; `expected` is the replica's side, `found` the server's. */
export interface Difference {
  readonly account: string;
  readonly mailbox?: string;
  readonly uid?: number;
  readonly what:
    | 'account-missing'
    | 'account-extra'
    | 'mailbox-missing'
    | 'mailbox-extra'
    | 'uidvalidity'
    | 'uidnext'
    | 'message-missing'
    | 'message-extra'
    | 'flags'
    | 'date'
    | 'size'
    | 'body'
    | 'modseq'
    | 'subscription';
  readonly expected?: string;
  readonly found?: string;
}

/** What was compared, so that "equal" has a stated meaning. */
export interface Certificate {
  readonly server: string;
  readonly journalId: string;
  readonly lsn: Lsn;
  /** Wall time of the commit at `lsn`, RFC 3339. */
  readonly asOf: string;
  /** When the comparison ended, RFC 3339. */
  readonly comparedAt: string;
  readonly accounts: number;
  readonly mailboxes: number;
  readonly messages: number;
  readonly bodiesCompared: number;
  readonly bodies: 'all' | 'sample';
  /** SHA-256 over the canonical listing of what was compared, hexadecimal. */
  readonly digest: string;
}

/** An account that the replica has no more, and whose mail another server still holds. */
export interface OnlyThere {
  readonly account: string;
  readonly messages: number;
}

export interface VerifyReport {
  readonly equal: boolean;
  /** Of another server, compared as a whole. No differences: nobody asked for their removal. */
  readonly onlyThere?: readonly OnlyThere[];
  readonly certificate: Certificate;
  /** At most the first 1,000; `differenceCount` counts all. */
  readonly differences: readonly Difference[];
  readonly differenceCount: number;
  readonly problems: readonly Problem[];
}

/** One change named by a pushed transaction. Only a hint: the truth is read from the server. */
export interface PushedChange {
  /** As the server names it: `MessageNew`, `FlagsSet`, `MailboxRename`. */
  readonly name: string;
  readonly mailbox?: string;
  /** The former name, of a rename. */
  readonly mailboxOld?: string;
  readonly uid?: number;
  readonly uidValidity?: number;
}

/** What one transaction of the live server changed in one account. */
export interface PushEvent {
  readonly user: string;
  readonly changes: readonly PushedChange[];
}

export interface PushAnswer {
  /** False: a mailbox was made, renamed, deleted or subscribed to, and LIST does not show it yet; it is looked for again. */
  readonly committed: boolean;
}

export interface ShadowStatus {
  /** starting: not connected yet; baseline: first pass under way; following; stalled: it cannot go on by itself for now, `problem` says why. */
  readonly phase: 'starting' | 'baseline' | 'following' | 'stalled';
  readonly firstPassDone: boolean;
  readonly committedLsn: Lsn;
  /** Age of the oldest change that we know of and have not committed; 0 when there is none. */
  readonly uncommittedMs: number;
  /**
   * By how much the journal may be behind the server: as `uncommittedMs`, and while stalled the time since the last whole pass. Absent while
   * stalled without any pass since the start: then it is not known.
   */
  readonly lagMs?: number;
  /** Wall time at which the last whole pass ended, ms since 1970. */
  readonly lastPassAt?: number;
  /** When that pass began, ms since 1970, and the accounts that it could not read to their end. */
  readonly lastPass?: { readonly beganAt: number; readonly unread: readonly string[] };
  /** Accounts that their source named last; absent until it has answered. */
  readonly accounts?: number;
  readonly accountsSetAside: number;
  readonly queueDepth: number;
  readonly etaMs?: number;
  readonly problem?: Omit<Problem, 'account'>;
  /** Per account, the latest of each; gone when the account recovered. */
  readonly problems: readonly Problem[];
  /** Bursts of removals since the engine started, newest last. */
  readonly bursts: readonly Burst[];
}

/** Many messages of an account went at once: perhaps a mistake or an attack. The state just before is kept as a checkpoint. */
export interface Burst {
  readonly account: string;
  readonly removed: number;
  /** Messages that the account had. */
  readonly of: number;
  /** `lsn:N` of the state just before. */
  readonly before: string;
}

/** Counters since the engine started, and gauges as of now. */
export interface ShadowMetrics {
  readonly bytesFetched: number;
  readonly recordsCommitted: number;
  readonly messagesAdded: number;
  readonly flagsChanged: number;
  readonly messagesRemoved: number;
  readonly passes: number;
  readonly errorsByCode: Readonly<Record<string, number>>;
  readonly queueDepth: number;
  readonly stalled: boolean;
  /** As in `ShadowStatus`. */
  readonly lagMs?: number;
  readonly connections: number;
  readonly messagesSetAside: number;
  readonly bursts: number;
  readonly committedLsn: Lsn;
}

/** Follows one server until stopped; made by `startShadow(deps)`. */
export interface ShadowEngine {
  /** Looks at the account now; resolves after the commit that holds what the event is about. Rejects when that failed. */
  push(event: PushEvent): Promise<PushAnswer>;
  /**
   * A whole pass that begins after this call, for `shadow SERVER --once` while the service runs: one under way is waited for, as it may have
   * asked the server before what the caller wants to be seen.
   */
  pass(options: ActionOptions): Promise<ShadowSummary>;
  status(): ShadowStatus;
  metrics(): ShadowMetrics;
  /**
   * Resolves with the error when the engine cannot go on with this vault (it stopped: disk full, I/O error). The
   * host then stops the engine, opens the vault again, later and again, and starts a new one. Never rejects.
   */
  readonly broken: Promise<UnderstudyError>;
  /** Finishes commits under way and closes connections; may be called twice. */
  stop(): Promise<void>;
}
