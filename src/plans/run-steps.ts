/**
 * Does the steps of a plan, or takes them back. One step:
 *
 *   pending ──isDone? yes──► already
 *      │ no
 *      └──intent journaled──► running ──run──► outcome journaled: done
 *                                │
 *                                ├─ error, retry `later`, tries left ──pause──► isDone? (yes: done), else run again
 *                                ├─ any other error ──► failed; the plan is failed
 *                                └─ killed, or interrupted ──resume──► isDone? (yes: done), else intent and run again
 *
 * So whatever happens between the intent and the outcome, the world is asked before the act is repeated.
 */
import { type Clock, crashPoint, type Log, messageOf, type Progress, UnderstudyError } from '../lib/index.ts';
import type { ActivePlan } from './active-plan.ts';
import { planErrors } from './errors.ts';
import type { StepKey } from './events.ts';
import type { PlanDirection, PlanOptions, PlanProblem, PlanStep, StepIo, StepRecord } from './types.ts';

export interface StepRun<C> {
  readonly plan: ActivePlan;
  readonly context: C;
  readonly clock: Clock;
  readonly log: Log;
  readonly options: PlanOptions;
}

/** How a run over the steps ended. */
export type RunEnd =
  | { readonly ended: 'all' }
  | { readonly ended: 'interrupted' }
  | { readonly ended: 'failed'; readonly problem: PlanProblem };

const RETRIES = { times: 5, pauseMs: 500 };

/** Steps in order, those that are done left alone. @throws only what keeps the journal from being written */
export function doSteps<C>(
  run: StepRun<C>,
  steps: readonly PlanStep<C>[],
  direction: PlanDirection,
): Promise<RunEnd> {
  return overSteps(run, steps, direction, doStep);
}

/** Takes back what was begun, the last first. */
export function undoSteps<C>(
  run: StepRun<C>,
  steps: readonly PlanStep<C>[],
  direction: PlanDirection = 'forward',
): Promise<RunEnd> {
  return overSteps(run, [...steps].reverse(), direction, undoStep);
}

type OneStep<C> = (run: StepRun<C>, step: PlanStep<C>, key: StepKey) => Promise<void>;

async function overSteps<C>(
  run: StepRun<C>,
  steps: readonly PlanStep<C>[],
  direction: PlanDirection,
  one: OneStep<C>,
): Promise<RunEnd> {
  const { plan, options, log } = run;
  for (const step of steps) {
    if (options.signal.aborted) return { ended: 'interrupted' };
    const key = { direction, step: step.name };
    try {
      await one(run, step, key);
    } catch (error) {
      if (error instanceof JournalFailure) throw error.cause;
      if (options.signal.aborted) return { ended: 'interrupted' };
      const problem = problemOf(error);
      log.error({ step: step.name, err: error, code: problem.code }, `the step failed: ${problem.message}`);
      tell(run, step, 'failed', { sentence: `${problem.code}: ${problem.message}` });
      await plan.append({ e: 'problem', ...key, problem, final: true });
      return { ended: 'failed', problem };
    }
  }
  return { ended: 'all' };
}

async function doStep<C>(run: StepRun<C>, step: PlanStep<C>, key: StepKey): Promise<void> {
  const { plan, context, clock, log } = run;
  const point = pointOf(key);
  const io = plan.io(key, run.options, point);
  const before = plan.step(key);
  if (isEnded(before)) {
    if (!step.lasting || (await asked(run, step, key, io))) return;
    log.warn({ step: step.name }, 'done before, and no longer so: it is done again');
    await journaled(plan.append({ e: 'outcome', ...key, result: 'again' }));
  }
  // A step of which an earlier run may have done something is asked even where the first run need not ask.
  const mayBeDone = plan.step(key).attempts > 0 || !step.always;
  if (mayBeDone && (await asked(run, step, key, io))) {
    const result = plan.step(key).attempts > 0 ? 'done' : 'already';
    await journaled(plan.append({ e: 'outcome', ...key, result }));
    log.info({ step: step.name }, `${step.sentence(context)}: ${result}`);
    tell(run, step, 'already');
    crashPoint(`${point}.after-outcome`);
    return;
  }
  tell(run, step, 'begins');
  log.info({ step: step.name }, step.sentence(context));
  crashPoint(`${point}.before-intent`);
  await journaled(plan.append({ e: 'intent', ...key }));
  crashPoint(`${point}.after-intent`);
  const startedMs = clock.monotonicMs();
  const outcome = await repeatedly(run, step, key, async (isRepeated) => {
    if (isRepeated && (await step.isDone(context, io))) return undefined;
    return step.run(context, io);
  });
  crashPoint(`${point}.after-act`);
  await journaled(plan.notesKept());
  const durationMs = Math.round(clock.monotonicMs() - startedMs);
  await journaled(
    plan.append({
      e: 'outcome',
      ...key,
      result: 'done',
      durationMs,
      ...(outcome === undefined ? {} : { outcome }),
    }),
  );
  tell(run, step, 'done', { durationMs });
  crashPoint(`${point}.after-outcome`);
}

async function undoStep<C>(run: StepRun<C>, step: PlanStep<C>, key: StepKey): Promise<void> {
  const { plan, context, clock, log } = run;
  const { state, attempts } = plan.step(key);
  // What the world had before the plan is not the plan's to take back.
  if (attempts === 0 || state === 'undone' || state === 'kept') return;
  const point = `${pointOf(key)}.undo`;
  if (step.undo === undefined) {
    await journaled(plan.append({ e: 'outcome', ...key, result: 'kept' }));
    return;
  }
  const io = plan.io(key, run.options, point);
  tell(run, step, 'begins', { sentence: `Take back: ${step.sentence(context)}` });
  log.info({ step: step.name }, `taken back: ${step.sentence(context)}`);
  crashPoint(`${point}.before-intent`);
  await journaled(plan.append({ e: 'intent', ...key, undo: true }));
  crashPoint(`${point}.after-intent`);
  const startedMs = clock.monotonicMs();
  await repeatedly(run, step, key, async () => step.undo?.(context, io));
  crashPoint(`${point}.after-act`);
  await journaled(plan.notesKept());
  const durationMs = Math.round(clock.monotonicMs() - startedMs);
  await journaled(plan.append({ e: 'outcome', ...key, result: 'undone', durationMs }));
  tell(run, step, 'done', { durationMs });
  crashPoint(`${point}.after-outcome`);
}

/** For whoever watches: a line per step. */
function tell<C>(
  { options, context }: StepRun<C>,
  step: PlanStep<C>,
  state: NonNullable<Progress['step']>['state'],
  more: { readonly sentence?: string; readonly durationMs?: number } = {},
): void {
  options.progress({ phase: step.name, step: { sentence: step.sentence(context), state, ...more } });
}

function asked<C>(run: StepRun<C>, step: PlanStep<C>, key: StepKey, io: StepIo): Promise<boolean> {
  return repeatedly(run, step, key, () => step.isDone(run.context, io));
}

/** Acts, and again after a pause where the error says that this can help; each such error is in the record. */
async function repeatedly<C, T>(
  run: StepRun<C>,
  step: PlanStep<C>,
  key: StepKey,
  act: (isRepeated: boolean) => Promise<T>,
): Promise<T> {
  const { times, pauseMs } = step.retries ?? RETRIES;
  for (let tried = 1; ; tried += 1) {
    try {
      return await act(tried > 1);
    } catch (error) {
      const mayHelp = error instanceof UnderstudyError && error.retry === 'later';
      if (!mayHelp || tried >= times || run.options.signal.aborted) throw error;
      run.log.warn({ step: step.name, err: error, tried }, 'the step is tried again');
      const problem = problemOf(error);
      await journaled(run.plan.append({ e: 'problem', ...key, problem, final: false }));
      await run.clock.sleep(pauseMs * 2 ** (tried - 1), run.options.signal);
    }
  }
}

/** Done for good, as far as the journal knows. */
function isEnded({ state }: StepRecord): boolean {
  return state === 'done' || state === 'already';
}

/** `plan.rebind`, `plan.back.rebind`. */
function pointOf({ direction, step }: StepKey): string {
  return direction === 'forward' ? `plan.${step}` : `plan.${direction}.${step}`;
}

/** A plan whose journal cannot be written stops at once: not even its failure could be told. */
class JournalFailure extends Error {}

async function journaled(written: Promise<void>): Promise<void> {
  try {
    await written;
  } catch (cause) {
    throw new JournalFailure('', { cause });
  }
}

export function problemOf(error: unknown): PlanProblem {
  const known =
    error instanceof UnderstudyError
      ? error
      : planErrors.make('PLAN_DEFECT', messageOf(error), { cause: error });
  return { code: known.code, message: known.message, remedy: known.remedy };
}
