/**
 * The nouns of plans.
 *
 * Terminology
 *   plan        an ordered list of steps that changes the world, for one pair, journaled in the control journal
 *   kind        what it is for: failover, switchover; a definition builds the plans of its kind
 *   step        one act with one sentence; journaled as intended before it acts and with its outcome after
 *   world       what a step changes: servers, directories, doors. On resume it is asked what is done already
 *   finding     what a preflight found: green, amber (goes on and says so) or red (refused unless forced)
 *
 * States of a plan
 *   running       somebody works on it: forward, or back in a rollback
 *   interrupted   whoever worked on it stopped between two steps, or was killed. `resume` goes on, `rollback` takes it back; a service that
 *                 starts goes on by itself, unless somebody had asked the plan to stop
 *   failed        a step could not be done; the problem says why. `resume` tries again, `rollback` takes it back
 *   done          every step is done. Reversible: `commit` or `rollback` ends it. A rollback that fails before anybody was moved leaves it so
 *   committed     done for good
 *   rolled-back   what was done has been taken back
 */
import type { z } from 'zod';
import type { Config } from '../config/index.ts';
import type { ControlView } from '../control/index.ts';
import type { Clock, Log, ProgressListener } from '../lib/index.ts';
import type { Finding } from './readiness/index.ts';

export type PlanState = 'running' | 'interrupted' | 'failed' | 'done' | 'committed' | 'rolled-back';

/** `back`: a rollback; `commit`: the steps of a commit. */
export type PlanDirection = 'forward' | 'back' | 'commit';

/** What a step is given while it runs. */
export interface StepIo {
  /** Aborts when the plan is to be interrupted. A step may end early for it (throw its reason); it is resumed later. */
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
  /**
   * Why it is to go on in spite of what stands against it: a step that would stop it goes on, and tells. What a person said last, at its begin or when
   * they went on with it; for a rollback what was said of the rollback. Absent: nobody said.
   */
  readonly reason?: string;
  /** How often somebody has begun or gone on with the plan: what a step did under a lower number may be long ago. */
  readonly runs: number;
  /** A sentence for the record and the report; durable no later than the step's outcome. */
  note(text: string): void;
  /** Keeps a value (plain JSON) of this plan under `key`, for all its steps, also after `kill -9`. Durable when it resolves. */
  remember(key: string, value: unknown): Promise<void>;
  /** What was remembered last under `key`, by any step of this plan. */
  recall<T>(key: string): T | undefined;
}

/** One step of plans whose context is `C`. */
export interface PlanStep<C> {
  /** Unique in its plan, stable over releases: `rebind`. */
  readonly name: string;
  /** What it does, for the operator: the same in table, log, report and dry run. */
  sentence(context: C): string;
  /** Asks the world. Changes nothing; may be called at any time, also before the steps ahead of it are done. */
  isDone(context: C, io: StepIo): Promise<boolean>;
  /**
   * Does it. After a crash it is called again where `isDone` says no, whatever it had done by then. What it gives (plain JSON) is
   * its outcome in the record. An error with `retry: 'later'` is tried again a few times, any other fails the plan.
   */
  run(context: C, io: StepIo): Promise<unknown>;
  /**
   * Takes it back; also called for a step that has run in part, or (after a crash) not at all. May be repeated. Without it nothing has to be. Of a
   * rollback's own steps: where all that have begun have one, a rollback that fails is given up, and the plan is as it was before.
   */
  undo?(context: C, io: StepIo): Promise<unknown>;
  /** Once this step has begun the plan can only go forward. */
  readonly pointOfNoReturn?: boolean;
  /**
   * True: what it made must still hold while the later steps run, such as a fence. It is asked again at each resume, although it was done, and done
   * again where the world has changed. Not for a step whose work a later one replaces.
   */
  readonly lasting?: boolean;
  /**
   * True: not asked whether it is done before its first run in this plan (`isDone` is still asked on resume). For a step that
   * only looks, or whose question is as dear as the act. The engine cannot tell then what the world had before: an `undo` sees to that itself.
   */
  readonly always?: boolean;
  /** Tries of an error with `retry: 'later'`, and the pause before the first repetition, which doubles. Default 5 and 500 ms. */
  readonly retries?: { readonly times: number; readonly pauseMs: number };
}

/** What a definition builds its context from. */
export interface PlanDeps {
  readonly planId: PlanId;
  readonly pair: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  /** The control journal as it is now: roles, earlier plans. */
  readonly control: ControlView;
  /** What this plan has remembered so far; see `StepIo.recall`. */
  recall<T>(key: string): T | undefined;
}

/**
 * A kind of plan: data and pure choice, apart from what its steps do. `P` = its parameters, `C` = what its steps work with. Definitions
 * close over the ports that they need.
 */
export interface PlanDefinition<P = unknown, C = unknown> {
  readonly kind: string;
  /** Input and output are plain JSON: they are journaled and parsed again on resume. */
  readonly parameters: z.ZodType<P>;
  /** What it will do, in one sentence: for the question before it and the log. */
  sentence(parameters: P, pair: string): string;
  /** Built again on each resume, so it holds nothing that must be remembered. */
  context(parameters: P, deps: PlanDeps): Promise<C>;
  /** Lets go of what the context holds (connections, readers). */
  dispose?(context: C): Promise<void>;
  /** The same names in the same order whenever they are run again or undone: from the parameters and the configuration, not from what has been remembered. */
  steps(context: C): readonly PlanStep<C>[];
  /** Changes nothing. Called before anything is journaled, and in a dry run; not on resume. */
  preflight(context: C, options: PreflightOptions): Promise<readonly Finding[]>;
  /** After the last step, and again after a rollback or commit; journaled with the plan. */
  report?(context: C, record: PlanRecord): Promise<unknown>;
  /**
   * The steps of a rollback, where they are others than the undoing of the steps done in reverse order; undefined or none = undo. `record` is the plan
   * as the rollback found it, also at a resume of the rollback; the answer must follow from it alone.
   */
  rollbackSteps?(context: C, record: PlanRecord): readonly PlanStep<C>[] | undefined;
  /** Changes nothing; asked before a rollback by steps of its own is journaled. Throws what stands against it; a dry run tells it as a finding. */
  rollbackPreflight?(context: C, record: PlanRecord): Promise<void>;
  /** Steps that make a done plan final, beyond saying so in the record; as above. */
  commitSteps?(context: C, record: PlanRecord): readonly PlanStep<C>[];
}

export interface PreflightOptions {
  /** Nothing is written then, not even what changes nothing, to find out whether it may be. */
  readonly dryRun: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: a registry holds definitions of any parameters and contexts; only they themselves look inside.
export type AnyPlanDefinition = PlanDefinition<any, any>;

/** The kinds of plans that there are, by kind. */
export type PlanKinds = ReadonlyMap<string, AnyPlanDefinition>;

declare const planIdBrand: unique symbol;
/** Date and four random hexadecimal digits: `20261123-1a2b`. Sorts by day. */
export type PlanId = string & { readonly [planIdBrand]: true };

/**
 * pending = not begun; running = intended, no outcome yet; done; already = the world had it before we acted; failed;
 * undoing, undone = in a rollback; kept = a rollback had nothing to take back.
 */
export type StepState = 'pending' | 'running' | 'done' | 'already' | 'failed' | 'undoing' | 'undone' | 'kept';

export interface StepRecord {
  readonly name: string;
  readonly sentence: string;
  /** Which list it belongs to: the plan's own steps, a rollback's or a commit's. */
  readonly direction: PlanDirection;
  readonly state: StepState;
  /** Wall times, ms: of the first intent, and of the last outcome. */
  readonly startedAt?: number;
  readonly endedAt?: number;
  /** Of the run that ended it, from a monotonic clock. */
  readonly durationMs?: number;
  /** Runs begun, retries and resumes included. */
  readonly attempts: number;
  readonly outcome?: unknown;
  readonly problem?: PlanProblem;
  readonly notes: readonly PlanNote[];
}

export interface PlanNote {
  /** Wall time, ms. */
  readonly at: number;
  readonly text: string;
}

export interface PlanProblem {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

/** One begin or resume of a plan. */
export interface PlanRun {
  /** Wall time, ms. */
  readonly at: number;
  readonly direction: PlanDirection;
  /** `user@host`, or `SERVICE` for one that the service has gone on with by itself. */
  readonly by: string;
  readonly reason?: string;
  /** It turned the plan that way; of a rollback that was given up the next one does so again. */
  readonly begins?: true;
}

/** See `PlanRun.by`. */
export const SERVICE = 'service';

/** A plan as its entries in the control journal tell it. */
export interface PlanRecord {
  readonly id: PlanId;
  readonly kind: string;
  readonly pair: string;
  readonly sentence: string;
  readonly parameters: unknown;
  readonly state: PlanState;
  readonly direction: PlanDirection;
  /** The state in which a rollback or commit found it. */
  readonly was?: PlanState;
  /** Who began it: `user@host`. */
  readonly by: string;
  /** Why a red finding was overruled, or simply why. */
  readonly reason?: string;
  /** True: begun in spite of red findings. */
  readonly forced: boolean;
  /** Wall times, ms: of the request, of the begin after its preflight, and of the end. */
  readonly askedAt?: number;
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly findings: readonly Finding[];
  /** Who asked it to stop, and wall time in ms: it waits for a person to go on with it or take it back. */
  readonly stopped?: { readonly at: number; readonly by: string };
  /** The plan's steps, then those of a rollback or commit that has begun. */
  readonly steps: readonly StepRecord[];
  readonly runs: readonly PlanRun[];
  /** Why it is failed or interrupted, why an ended one has no report, or why its rollback was given up. */
  readonly problem?: PlanProblem;
  readonly report?: unknown;
}

/** What a dry run gives: nothing was written. */
export interface PlanPreview {
  readonly kind: string;
  readonly pair: string;
  readonly sentence: string;
  readonly findings: readonly Finding[];
  readonly steps: readonly {
    readonly name: string;
    readonly sentence: string;
    /** Whether the world has it already; absent where it could not be asked: see `problem`. */
    readonly done?: boolean;
    readonly problem?: PlanProblem;
    readonly pointOfNoReturn: boolean;
  }[];
}

export interface PlanRequest {
  readonly kind: string;
  readonly pair: string;
  /** As the definition's `parameters` takes them. */
  readonly parameters: unknown;
  /** `user@host`. */
  readonly by: string;
  readonly reason?: string;
  /** Go on in spite of red findings; needs a reason. */
  readonly force?: boolean;
}

export interface PlanResult {
  /** As it is now: done, or failed or interrupted with its problem. */
  readonly plan: PlanRecord;
  /** True when a plan that had been interrupted or failed was gone on with. */
  readonly resumed: boolean;
}

export interface PlanOptions {
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}
