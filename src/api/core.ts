/**
 * The port through which operations reach the product: main.ts fills it in with real vaults and workloads, for a
 * process of its own (the command line) or for a thread of the service.
 */
import type { Vault, VaultReader } from '../catalog/index.ts';
import type { Config } from '../config/index.ts';
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
  readonly mail: MailActions;
}

/** What can be done with a mail server; in a service, by the engine that already follows it. */
export interface MailActions {
  shadowOnce(server: string, options: ActionOptions): Promise<ShadowSummary>;
  restore(server: string, request: RestoreRequest, options: ActionOptions): Promise<RestoreReport>;
  verify(server: string, request: VerifyRequest, options: ActionOptions): Promise<VerifyReport>;
  /** How the following goes; undefined where nothing follows the server now. */
  status(server: string): Promise<LiveStatus | undefined>;
}

/** A followed server, or why its vault's thread is down. */
export type LiveStatus =
  | ShadowStatus
  | { readonly phase: 'down'; readonly problem: { code: string; message: string; remedy: string } };
