/**
 * What main.ts supplies: the real vaults, workloads and directories. All are loaded when first used, so that a
 * command pays for what it needs only.
 */
import type { Vault, VaultReader } from '../catalog/index.ts';
import type { Config, DirectoryConfig } from '../config/index.ts';
import type { ControlJournal, ControlReader } from '../control/index.ts';
import type { Directory } from '../directory/index.ts';
import type { Clock, Log, ProgressListener } from '../lib/index.ts';
import type { PlanKinds } from '../plans/index.ts';
import type {
  ActionOptions,
  MailDeps,
  RestoreReport,
  RestoreRequest,
  ShadowEngine,
  ShadowSummary,
  VerifyReport,
  VerifyRequest,
} from '../workloads/mail/index.ts';
import type {
  AddMissingDeps,
  AddMissingRequest,
  BringUpReport,
  BringUpRequest,
  StandbyDeps,
} from '../workloads/mail/standby/index.ts';
import type { HeldBurst, WarmDeps, WarmEngine, WarmPlace } from '../workloads/mail/warm/index.ts';
import type { PlanWiring } from './plans.ts';

export interface MailWorkload {
  startShadow(deps: MailDeps): ShadowEngine;
  shadowOnce(deps: MailDeps, options: ActionOptions): Promise<ShadowSummary>;
  restoreMail(deps: MailDeps, request: RestoreRequest, options: ActionOptions): Promise<RestoreReport>;
  verifyMail(deps: MailDeps, request: VerifyRequest, options: ActionOptions): Promise<VerifyReport>;
  readonly bringUp: WarmDeps['bringUp'];
  bringUpByCommand(
    deps: StandbyDeps,
    request: BringUpRequest,
    options: ActionOptions,
  ): Promise<BringUpReport>;
  addMissing(
    deps: AddMissingDeps,
    request: AddMissingRequest,
    options: ActionOptions,
  ): Promise<RestoreReport>;
  verifyAgainst(deps: StandbyDeps, request: VerifyRequest, options: ActionOptions): Promise<VerifyReport>;
  startWarm(deps: WarmDeps): WarmEngine;
  heldBursts(place: WarmPlace): Promise<HeldBurst[]>;
  acceptHeld(place: WarmPlace, account?: string): Promise<HeldBurst[]>;
}

export interface VaultPlace {
  readonly config: Config;
  /** The vault's folder. */
  readonly dir: string;
  /** A writer's: nothing is made where there is no journal yet. */
  readonly mustExist?: boolean;
  readonly log: Log;
  /** Told about a long opening: recovery, catching up. */
  readonly progress?: ProgressListener;
}

export interface Adapters {
  readonly clock: Clock;
  /** @throws CATALOG_VAULT_LOCKED, CATALOG_VAULT_UNWRITABLE, JOURNAL_… */
  openVault(place: VaultPlace): Promise<Vault>;
  /** Removes a vault in which nothing was ever committed; any other, and one in use, is left alone. */
  removeEmptyVault(place: VaultPlace): Promise<void>;
  /** @throws CATALOG_VAULT_MISSING, CATALOG_MISSING, JOURNAL_… */
  openReader(place: VaultPlace): Promise<VaultReader>;
  mail(): Promise<MailWorkload>;
  openDirectory(config: DirectoryConfig, log: Log): Promise<Directory>;
  /** The control journal, for its one writer. @throws CONTROL_LOCKED, CONTROL_UNWRITABLE, CONTROL_STORAGE_FAILED, CONTROL_DAMAGED, JOURNAL_… */
  openControl(config: Config, log: Log): Promise<ControlJournal>;
  /** Where there is no control journal yet it reads as empty. @throws CONTROL_DAMAGED, JOURNAL_… */
  readControl(config: Config): Promise<ControlReader>;
  /** The kinds of plans, with their ports filled in. */
  planKinds(wiring: PlanWiring): Promise<PlanKinds>;
}
