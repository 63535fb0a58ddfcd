/**
 * What the control journal says of a plan: topic `plan`, one entry per event, under the plan's id. Values that its steps remember
 * are entries of their own, topic `plan-memory`.
 */
import type { Finding } from './readiness/index.ts';
import type { PlanDirection, PlanProblem, PlanState } from './types.ts';

export const PLAN_TOPIC = 'plan';
export const MEMORY_TOPIC = 'plan-memory';

/** The steps as they were when the plan, its rollback or its commit began. */
export type StepList = readonly { readonly name: string; readonly sentence: string }[];

/** A step is named by its direction too: a rollback by undoing goes over the forward steps (`undo`). */
export interface StepKey {
  readonly direction: PlanDirection;
  readonly step: string;
}

export type PlanEvent =
  | {
      readonly e: 'begin';
      /** Wall time of the request, ms: its preflight came before this entry. */
      readonly askedAt?: number;
      readonly kind: string;
      readonly pair: string;
      readonly sentence: string;
      readonly parameters: unknown;
      readonly by: string;
      readonly reason?: string;
      readonly forced: boolean;
      readonly findings: readonly Finding[];
      readonly steps: StepList;
    }
  /** Gone on with, or a rollback or commit begins (`steps`: its own, where it has some). */
  | {
      readonly e: 'run';
      readonly direction: PlanDirection;
      readonly by: string;
      readonly reason?: string;
      readonly steps?: StepList;
    }
  /** Somebody wants it to stop: durable before it does, so that nobody but a person goes on with it. */
  | { readonly e: 'stop'; readonly by: string }
  | ({ readonly e: 'intent'; readonly undo?: boolean } & StepKey)
  | ({ readonly e: 'note'; readonly text: string } & StepKey)
  | ({
      readonly e: 'outcome';
      /** done: by us; already: the world had it; undone, kept: in a rollback; again: done once, and no longer so. */
      readonly result: 'done' | 'already' | 'undone' | 'kept' | 'again';
      readonly durationMs?: number;
      readonly outcome?: unknown;
    } & StepKey)
  | ({ readonly e: 'problem'; readonly problem: PlanProblem; readonly final: boolean } & StepKey)
  | {
      readonly e: 'state';
      readonly state: Exclude<PlanState, 'running'>;
      readonly problem?: PlanProblem;
      readonly report?: unknown;
      /** Its rollback was: the plan goes forward again. */
      readonly givenUp?: true;
    };

export interface MemoryEntry {
  readonly key: string;
  readonly value: unknown;
}
