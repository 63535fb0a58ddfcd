/**
 * What the plans of taking over ask of the world. main.ts and the API fill it in: for a service, whose threads have the vaults and the
 * warm standby, and for a command of its own.
 *
 * Words. `from` is the server that the plan takes the accounts from, `to` the one that gets them. While they stay, `from` is the pair's
 * acting server; the vault that counts is that of `from`.
 */
import type { VaultReader } from '../../catalog/index.ts';
import type { Config } from '../../config/index.ts';
import type { PairRoles } from '../../control/index.ts';
import type { Directory } from '../../directory/index.ts';
import type { Lsn } from '../../journal/index.ts';
import type { Clock, Log } from '../../lib/index.ts';
import type { ClientOutages, Fence, ProxyStats, Rehome } from '../../rehome/index.ts';
import type { CarryOverReport } from '../../workloads/mail/carry-over/index.ts';
import type {
  ActionOptions,
  Problem,
  ShadowSummary,
  VerifyReport,
  VerifyRequest,
} from '../../workloads/mail/index.ts';
import type { ProbeReport } from '../../workloads/mail/probe/index.ts';
import type { BringUpReport, BringUpRequest, TargetFeatures } from '../../workloads/mail/standby/index.ts';
import type { HeldBurst, WarmStatus } from '../../workloads/mail/warm/index.ts';

export interface TakeOverPorts {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  /** Reads the replica of a server beside whoever writes. @throws CATALOG_VAULT_MISSING, JOURNAL_… */
  withReader<T>(server: string, work: (reader: VaultReader) => Promise<T>): Promise<T>;
  /** Accounts of which the journal of the server got anything after the LSN. */
  changedSince(server: string, since: Lsn): Promise<readonly string[]>;
  readonly standby: StandbyPort;
  readonly following: FollowingPort;
  /** The pair's warm standby; undefined where none is kept here. */
  warm(pair: string): WarmPort | undefined;
  /** The pair's directory; undefined where it has none. */
  directory(pair: string): Promise<Directory | undefined>;
  /** The pair's ways to move clients: the front door (all proxies together), then command hooks. */
  rehomes(move: Move): Promise<readonly Rehome[]>;
  /** The pair's commands that make sure that `from` cannot serve. */
  fences(move: Move): Promise<readonly Fence[]>;
  /** What the pair's front door says of itself; undefined where there is none or it does not run. */
  doorStats(pair: string): Promise<ProxyStats | undefined>;
  /** How long clients of the front door were without a server, as it measured; undefined where none runs. Wall times, ms. */
  outages(
    pair: string,
    span: { readonly since: number; readonly before: number },
  ): Promise<ClientOutages | undefined>;
  /** Whether the server's IMAP port greets within that time. */
  answers(server: string, withinMs: number): Promise<boolean>;
  readonly sessions: SessionsPort;
  probe(server: string, options: ProbeRequest): Promise<ProbeReport>;
  readonly roles: RolesPort;
}

/** Which way a plan moves the accounts of a pair; server names. */
export interface Move {
  readonly plan: string;
  readonly pair: string;
  readonly from: string;
  readonly to: string;
}

/** The replica of `source`, and the server `target` that is to hold it. */
export interface StandbyPlace {
  readonly source: string;
  readonly target: string;
}

/** What is done with a standby; see `workloads/mail/standby`. */
export interface StandbyPort {
  /**
   * What the target can keep, as it tells one of the accounts; `untried`: nothing is written to find it out. @throws MAIL_… when the
   * target cannot be reached, or lets none of the accounts in
   */
  features(
    place: StandbyPlace,
    options?: { readonly untried?: boolean; readonly signal?: AbortSignal },
  ): Promise<TargetFeatures>;
  bringUp(place: StandbyPlace, request: BringUpRequest, options: ActionOptions): Promise<BringUpReport>;
  quickCompare(place: StandbyPlace, request: QuickRequest, options: ActionOptions): Promise<QuickReport>;
  verify(place: StandbyPlace, request: VerifyRequest, options: ActionOptions): Promise<VerifyReport>;
  /** What the journal of `source` got after `since` comes to `target` as new messages; may be repeated, doubles nothing. */
  carryOver(
    place: StandbyPlace,
    since: Lsn,
    accounts: readonly string[] | undefined,
    options: ActionOptions,
  ): Promise<CarryOverReport>;
}

export interface QuickRequest {
  readonly at?: Lsn;
  readonly accounts?: readonly string[];
  /** The server is the replica's own: flags that changed show too. */
  readonly itself?: boolean;
}

export interface QuickReport {
  readonly equal: boolean;
  readonly accounts: number;
  readonly differences: VerifyReport['differences'];
}

/** Shadowing of any server of a pair, also of a standby that acts. */
export interface FollowingPort {
  /** A service follows by itself; otherwise there are single passes only. */
  readonly continuous: boolean;
  /** Whether the service follows this server now. */
  follows(server: string): boolean;
  /** What is known of the following now; undefined where nothing follows the server. */
  lag(server: string): Promise<FollowingLag | undefined>;
  /** One whole pass. */
  pass(server: string, options: ActionOptions): Promise<ShadowSummary>;
  /**
   * Looks at these accounts; resolves after the commits that hold what changed before the call, with the problems of those that could not be
   * read. Without a service it is a pass over all: the rest of the accounts must not seem gone.
   */
  look(server: string, accounts: readonly string[], options: ActionOptions): Promise<readonly Problem[]>;
  /** Brings what is followed in line with the roles, as they are in the control journal now. May be repeated. */
  followRoles(): Promise<void>;
}

export interface FollowingLag {
  /** Age of the oldest change that is known of and not committed. */
  readonly lagMs: number;
  readonly committedLsn: Lsn;
  readonly lastPassAt?: number;
  /** Pushed events that were let go before their commit, and are not known to be in the journal yet. */
  readonly unprotected: number;
}

/** The warm standby of a pair. */
export interface WarmPort {
  status(): Promise<WarmStatus | undefined>;
  /** Bursts that must not go to the standby by themselves; told also where nothing keeps it warm now. */
  held(): Promise<readonly HeldBurst[]>;
  /** Resolves when everything up to `lsn` is on the standby, what is held apart. */
  caughtUp(lsn: Lsn, signal: AbortSignal): Promise<void>;
  /** Lets it rest: the plan writes to the standby itself, or the standby acts. `followRoles` starts it again where it belongs. May be repeated. */
  pause(): Promise<void>;
}

/** Sessions of people on a server, where its doveadm API tells. Nothing throws but an abort by `signal`; `withinMs` has a default of seconds. */
export interface SessionsPort {
  /** Accounts with a session now, sorted. */
  who(server: string, options?: SessionsOptions): Promise<{ readonly accounts: readonly string[] } | Unable>;
  /** Whether sessions could be ended; ends none. */
  canEnd(server: string, options?: SessionsOptions): Promise<SessionsEnded>;
  /** Ends every session, or those of `accounts`; also where nobody had one it is done. May be repeated. */
  end(
    server: string,
    options?: SessionsOptions & { readonly accounts?: readonly string[] },
  ): Promise<SessionsEnded>;
}

export interface SessionsOptions {
  readonly signal?: AbortSignal;
  readonly withinMs?: number;
}

/** Who had one until then, sorted; absent where it cannot be told. */
export type SessionsEnded = { readonly accounts?: readonly string[] } | Unable;

/** It cannot be done; both for a person. */
export interface Unable {
  readonly why: string;
  readonly remedy: string;
}

export interface ProbeRequest {
  readonly account: string;
  readonly secret?: string;
  /** Also append, remove and (where the server takes mail) deliver. */
  readonly write: boolean;
  readonly signal?: AbortSignal;
}

/** Who acts, in the control journal. */
export interface RolesPort {
  read(pair: string): Promise<PairRoles>;
  write(roles: PairRoles): Promise<void>;
  /** Accounts that have moved while the rest of the pair has not. */
  moved(pair: string): Promise<MovedAccounts | undefined>;
  writeMoved(moved: MovedAccounts): Promise<void>;
}

export interface MovedAccounts {
  readonly pair: string;
  /** The server that has them now. */
  readonly server: string;
  readonly accounts: readonly string[];
  readonly plan: string;
}
