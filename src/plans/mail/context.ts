/** What the steps of failover and switchover work with. */
import { z } from 'zod';
import type { MailServerConfig, PairConfig } from '../../config/index.ts';
import { pairNamed, serverNamed } from '../../config/index.ts';
import type { Binding, Directory } from '../../directory/index.ts';
import type { Lsn } from '../../journal/index.ts';
import type { JsonValue } from '../../lib/index.ts';
import type { Fence, Rehome } from '../../rehome/index.ts';
import { type PlanDeps, type PlanRecord, plansIn, type StepIo } from '../index.ts';
import type { Move, MovedAccounts, StandbyPlace, TakeOverPorts } from './ports.ts';

/**
 * Plain JSON, journaled with the plan. `from` and `to` are chosen once, by the roles at its beginning: a resume after the roles have
 * changed must go on the same way.
 */
export const takeOverParameters = z.object({
  from: z.string(),
  to: z.string(),
  /** An earlier state, LSN in the journal of `from`; absent = the last commit. */
  at: z.int().nonnegative().optional(),
  /** Only these accounts; absent = all. */
  accounts: z.array(z.string()).min(1).optional(),
  /** Not these, of all: they had moved to `to` before. */
  except: z.array(z.string()).min(1).optional(),
});
export type TakeOverParameters = z.output<typeof takeOverParameters>;

export interface TakeOver {
  readonly ports: TakeOverPorts;
  readonly parameters: TakeOverParameters;
  readonly pair: PairConfig;
  readonly move: Move;
  readonly place: StandbyPlace;
  readonly from: MailServerConfig;
  readonly to: MailServerConfig;
  readonly directory: Directory | undefined;
  readonly rehomes: readonly Rehome[];
  readonly fences: readonly Fence[];
  /** Some accounts only: the front door and the fence commands, which know no accounts, stay as they are. */
  readonly subset: boolean;
  /** The pair's other plans, as they are now, oldest first. */
  otherPlans(): readonly PlanRecord[];
}

/** @throws CONFIG_UNKNOWN_PAIR, CONFIG_UNKNOWN_SERVER */
export async function takeOverContext(
  ports: TakeOverPorts,
  parameters: TakeOverParameters,
  { planId, pair, control }: PlanDeps,
): Promise<TakeOver> {
  const { from, to } = parameters;
  const move: Move = { plan: planId, pair, from, to };
  const subset = parameters.accounts !== undefined;
  return {
    ports,
    parameters,
    pair: pairNamed(ports.config, pair),
    move,
    place: { source: from, target: to },
    from: serverNamed(ports.config, from),
    to: serverNamed(ports.config, to),
    directory: await ports.directory(pair),
    rehomes: subset ? [] : await ports.rehomes(move),
    fences: subset ? [] : await ports.fences(move),
    subset,
    otherPlans: () =>
      plansIn(control, () => false).filter((plan) => plan.pair === pair && plan.id !== planId),
  };
}

/** The state that is restored: chosen once, when the standby is finished. */
export interface Moment {
  readonly lsn: Lsn;
  /** Wall time of its commit, ms. */
  readonly time: number;
}

/** What steps remember for others, and for the report. */
export interface Memory {
  readonly loss: JsonValue;
  readonly at: Moment;
  /** As they were before the first write. */
  readonly bindings: readonly Binding[];
  /** Accounts that had moved by themselves before the whole pair did. */
  readonly movedBefore: MovedAccounts;
  /** Accounts that the standby holds as they were before a burst. */
  readonly held: readonly HeldAccount[];
  readonly finished: JsonValue;
  readonly quick: QuickCertificate;
  readonly rebound: JsonValue;
  readonly probe: JsonValue;
  readonly protected: JsonValue;
  readonly deep: JsonValue;
  /** A switchover's: the replica and the standby were equal as of this. */
  readonly prepared: Moment;
  /** The run of the plan in which that was; see `StepIo.runs`. */
  readonly preparedInRun: number;
  /** A switchover's: accounts that were moved as they were, since they could not be read. */
  readonly unread: readonly string[];
  /** A switchover's: accounts of which nobody can tell whether something came late. */
  readonly unswept: readonly string[];
  /** Whether the old server ended its sessions. */
  readonly sessionsEnded: boolean;
  /** A switchover's: whose sessions were ended, our own connections among them. */
  readonly atWork: readonly string[];
  readonly stragglers: JsonValue;
  /** Wall times, ms. */
  readonly doorShut: number;
  readonly doorOpen: number;
  /** The runs of the plan in which these were; see `StepIo.runs`. What an earlier rollback did, which was given up, is long ago. */
  readonly unfencedInRun: number;
  readonly carriedAheadInRun: number;
  readonly carriedAhead: Moment;
  readonly carriedBack: JsonValue;
  /** False: people were let in again, for what followed has failed. */
  readonly heldBack: boolean;
  readonly carriedTail: CarriedTail;
  readonly stragglersBack: JsonValue;
  readonly doorShutBack: number;
  readonly doorOpenBack: number;
  readonly probedBack: true;
  readonly problems: readonly AccountProblem[];
}

/** With what `summaryOf` tells. */
export interface CarriedTail {
  readonly at: Lsn;
  /** Absent where nothing could be carried back. */
  readonly accounts?: number;
}

export interface HeldAccount {
  readonly account: string;
  readonly at: Lsn;
  readonly removed: number;
  readonly of: number;
}

export interface QuickCertificate {
  readonly equal: boolean;
  readonly accounts: number;
  readonly comparedAt: number;
  readonly repairedAccounts: number;
  readonly differences: JsonValue;
}

export interface AccountProblem {
  readonly step: string;
  readonly account: string;
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

export function recall<K extends keyof Memory>(io: Pick<StepIo, 'recall'>, key: K): Memory[K] | undefined {
  return io.recall<never>(key) as Memory[K] | undefined;
}

export function remember<K extends keyof Memory>(
  io: Pick<StepIo, 'remember'>,
  key: K,
  value: Memory[K],
): Promise<void> {
  return io.remember(key, value as JsonValue);
}

/** The first thing that keeps people out begins their outage; what is done again after an interruption does not begin it anew. */
export async function noteShut({ ports }: TakeOver, io: StepIo): Promise<void> {
  if (recall(io, 'doorShut') === undefined) await remember(io, 'doorShut', ports.clock.wallMs());
}

/** Replaces what the step had noted as problems before: it has been tried again. With `tried` only those accounts were: of others it stays. */
export async function rememberProblems(
  io: StepIo,
  step: string,
  problems: readonly Omit<AccountProblem, 'step'>[],
  tried?: readonly string[],
): Promise<void> {
  const again = tried === undefined ? undefined : new Set(tried);
  const others = (recall(io, 'problems') ?? []).filter(
    (problem) => problem.step !== step || (again !== undefined && !again.has(problem.account)),
  );
  if (problems.length === 0 && others.length === (recall(io, 'problems') ?? []).length) return;
  await remember(io, 'problems', [
    ...others,
    ...problems.map(({ account, code, message, remedy }) => ({ step, account, code, message, remedy })),
  ]);
}
