/**
 * The nouns of the warm standby: a standby that is restored continuously behind the journal.
 *
 *   applied LSN   every commit up to it is on the standby, but for what is held, and for accounts that `problems` or `incomplete` name
 *   behind        what the journal holds and the standby does not yet
 *   held          a burst of removals in one account that waits for an operator: the account stays on the standby as it
 *                 was just before, until the burst is accepted or the mail is back on the live server
 */
import type { Lsn } from '../../../journal/index.ts';
import type { UnderstudyError } from '../../../lib/index.ts';
import type { Burst, Problem } from '../types.ts';

/** A burst that does not go on to the standby by itself. `at` is the LSN up to which the account may go: that of `before`. */
export interface HeldBurst extends Burst {
  readonly at: Lsn;
  /** Wall time at which it was held, ms since 1970. */
  readonly since: number;
}

export interface WarmStatus {
  readonly pair: string;
  /** Server names: whose journal is followed, and what is kept warm. */
  readonly source: string;
  readonly target: string;
  /**
   * starting: not looked yet; filling: the first comparison with the whole standby, or a gap too long to be followed
   * change by change; following; held: following, but some accounts wait for an operator; stalled: the standby does not
   * take anything for now, `problem` says why.
   */
  readonly phase: 'starting' | 'filling' | 'following' | 'held' | 'stalled';
  readonly appliedLsn: Lsn;
  /** Age of the oldest commit that is not on the standby, apart from accounts that are held, or that `problems` or `incomplete` name; 0 when there is none. */
  readonly lagMs: number;
  /** Records between the applied LSN and the journal's end. */
  readonly lagLsn: number;
  /** Accounts with something not yet on the standby, held ones apart. */
  readonly accountsBehind: number;
  readonly etaMs?: number;
  readonly held: readonly HeldBurst[];
  readonly problem?: Omit<Problem, 'account'>;
  /** Per account, the latest of each; gone when the account recovered. */
  readonly problems: readonly Problem[];
  /** Accounts that wait for the journal: it does not hold one of their mailboxes as a whole yet. Gone when they are on the standby. */
  readonly incomplete: readonly string[];
}

/** Counters since the engine started. */
export interface WarmMetrics {
  readonly messagesAdded: number;
  readonly messagesRemoved: number;
  readonly flagsSet: number;
  /** Accounts brought up by difference, and by a comparison of the whole account. */
  readonly applied: number;
  readonly compared: number;
}

/** Keeps one standby warm until stopped; made by `startWarm(deps)`. */
export interface WarmEngine {
  status(): WarmStatus;
  metrics(): WarmMetrics;
  /**
   * Resolves when everything up to `lsn` is on the standby, apart from what is held and from accounts that `problems` or `incomplete` of the status
   * name then: it does not wait for those. Rejects with the signal's reason, and when the engine stops.
   */
  caughtUp(lsn: Lsn, signal: AbortSignal): Promise<void>;
  /** Compares these accounts as a whole, soon: somebody else may have written to the standby. */
  look(accounts: readonly string[]): void;
  /** Lets held bursts go on to the standby: of one account, or all. Gives those that it released. May be repeated. */
  accept(account?: string): readonly HeldBurst[];
  /** Resolves with the error when the vault cannot be read any more: the host opens a reader again and starts a new engine. Never rejects. */
  readonly broken: Promise<UnderstudyError>;
  /** Lets what is being applied end, remembers how far it came, closes connections; may be called twice. */
  stop(): Promise<void>;
}
