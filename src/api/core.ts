/**
 * The port through which operations reach the product: main.ts fills it in with real vaults and workloads, for a
 * process of its own (the command line) or for a thread of the service.
 */
import type { Vault, VaultReader } from '../catalog/index.ts';
import type { Config } from '../config/index.ts';
import type { Directory } from '../directory/index.ts';
import type { Lsn } from '../journal/index.ts';
import type { Clock, Log } from '../lib/index.ts';
import type {
  ActionOptions,
  RestoreReport,
  RestoreRequest,
  ShadowStatus,
  ShadowSummary,
  VerifyReport,
  VerifyRequest,
} from '../workloads/mail/index.ts';
import type { AddMissingRequest, BringUpReport, BringUpRequest } from '../workloads/mail/standby/index.ts';
import type { HeldBurst, WarmStatus } from '../workloads/mail/warm/index.ts';
import type { PlanActions } from './plans.ts';
import type { LastPass } from './unprotected.ts';

export type { HeldBurst };

export interface Core {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  /** The folder of a server's vault. @throws CONFIG_UNKNOWN_SERVER */
  vaultDir(server: string): string;
  /**
   * Runs `work` with the one writer of the server's vault: opens it and closes it after, or lends the one that is
   * open. Without `create` there must be a journal already. @throws CONFIG_UNKNOWN_SERVER, CATALOG_VAULT_MISSING,
   * CATALOG_VAULT_LOCKED when another process has it
   */
  withVaultWriter<T>(
    server: string,
    work: (vault: Vault) => Promise<T>,
    options?: { readonly create: boolean },
  ): Promise<T>;
  /** Runs `work` with a reader, beside whoever writes. @throws CONFIG_UNKNOWN_SERVER */
  withReader<T>(server: string, work: (reader: VaultReader) => Promise<T>): Promise<T>;
  /** The directory that a pair names; undefined where it names none. @throws DIRECTORY_… */
  pairDirectory(pair: string): Promise<Directory | undefined>;
  readonly mail: MailActions;
  readonly warm: WarmStandbys;
  readonly plans: PlanActions;
}

/** The standbys that are kept warm, by their pairs; in a service, by the threads that do it. */
export interface WarmStandbys {
  /** How far a standby is; undefined where it is not kept warm now. */
  status(pair: string): Promise<WarmLive | undefined>;
  /** Resolves when everything up to `lsn` is on the standby, what is held apart. @throws API_STANDBY_NOT_WARM, MAIL_WARM_STOPPED */
  caughtUp(pair: string, lsn: Lsn, signal: AbortSignal): Promise<void>;
  /** Compares these accounts as a whole, soon. @throws API_STANDBY_NOT_WARM */
  look(pair: string, accounts: readonly string[]): Promise<void>;
  /** Bursts that must not go to the standby by themselves, also where it is not kept warm now. @throws CONFIG_UNKNOWN_PAIR, CATALOG_VAULT_MISSING */
  held(pair: string): Promise<readonly HeldBurst[]>;
  /** Lets held bursts go on to the standby, of one account or all; gives those. May be repeated. @throws as `held` */
  accept(pair: string, account?: string): Promise<readonly HeldBurst[]>;
  /** Lets the standby rest: what is being applied ends before this resolves. Where nothing keeps it warm, nothing happens. */
  pause(pair: string): Promise<void>;
  /** Keeps exactly these standbys warm: others rest, and one whose servers changed is begun anew. May be repeated. */
  keep(pairs: readonly WarmPair[]): Promise<void>;
}

/** A standby that is kept warm; server names. */
export interface WarmPair {
  readonly pair: string;
  /** Whose journal is followed: the acting server. */
  readonly source: string;
  readonly target: string;
}

/** A warm standby, or why it is not kept so. */
export type WarmLive =
  | WarmStatus
  | (WarmPair & {
      readonly phase: 'down';
      readonly problem: { code: string; message: string; remedy: string };
    });

/** What can be done with a mail server; in a service, by the engine that already follows it. */
export interface MailActions {
  shadowOnce(server: string, options: ActionOptions): Promise<ShadowSummary>;
  restore(server: string, request: RestoreRequest, options: ActionOptions): Promise<RestoreReport>;
  verify(server: string, request: VerifyRequest, options: ActionOptions): Promise<VerifyReport>;
  /** Brings `target` to what the replica of `source` says. @throws CONFIG_UNKNOWN_SERVER, CATALOG_VAULT_MISSING, API_TARGET_SERVES */
  bringUp(
    source: string,
    target: string,
    request: BringUpRequest,
    options: ActionOptions,
  ): Promise<BringUpReport>;
  /** Puts messages of the replica of `source` that a mailbox of `target` lacks into it. @throws CONFIG_UNKNOWN_SERVER, CATALOG_VAULT_MISSING, API_TARGET_BUSY */
  addMissing(
    source: string,
    target: string,
    request: AddMissingRequest,
    options: ActionOptions,
  ): Promise<RestoreReport>;
  /** Compares `target` with the replica of `source`. @throws CONFIG_UNKNOWN_SERVER, CATALOG_VAULT_MISSING */
  verifyAgainst(
    source: string,
    target: string,
    request: VerifyRequest,
    options: ActionOptions,
  ): Promise<VerifyReport>;
  /** How the following goes; undefined where nothing follows the server now. */
  status(server: string): Promise<LiveStatus | undefined>;
  /** Pushed events that went on before their commit and are not known to be in the journal yet; `lastPass` is that of `status`. */
  unprotected(server: string, lastPass: LastPass | undefined): number;
}

/** A followed server, or why its vault's thread is down. */
export type LiveStatus =
  | ShadowStatus
  | { readonly phase: 'down'; readonly problem: { code: string; message: string; remedy: string } };
