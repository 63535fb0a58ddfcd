/** What the operations on plans give. Times are RFC 3339. */
import { z } from 'zod';
import type { PlanPreview, PlanRecord, PlanResult } from '../../plans/index.ts';
import type { TakeOverReport } from '../../plans/mail/index.ts';
import type { Outcome } from '../operation.ts';
import { count } from './shapes.ts';

const time = (ms: number) => new Date(ms).toISOString();

export const planId = z.string().min(1).describe('The plan, by its id.').meta({ value: 'ID' });
export const reason = z.string().min(1).optional().describe('Why, for the record.').meta({ value: 'TEXT' });

const problem = z.object({ code: z.string(), message: z.string(), remedy: z.string() });
const direction = z.enum(['forward', 'back', 'commit']);
const finding = z.object({
  id: z.string(),
  title: z.string(),
  state: z.enum(['green', 'amber', 'red']),
  detail: z.string(),
  remedy: z.string(),
});

const step = z.object({
  name: z.string(),
  sentence: z.string(),
  /** Of the plan itself, of its rollback, or of its commit. */
  direction,
  state: z.enum(['pending', 'running', 'done', 'already', 'failed', 'undoing', 'undone', 'kept']),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  durationMs: z.number().optional(),
  attempts: count,
  outcome: z.unknown().optional(),
  problem: problem.optional(),
  notes: z.array(z.object({ at: z.string(), text: z.string() })).readonly(),
});

const planState = z.enum(['running', 'interrupted', 'failed', 'done', 'committed', 'rolled-back']);

export const planShape = z.object({
  id: z.string(),
  kind: z.string(),
  pair: z.string(),
  sentence: z.string(),
  state: planState,
  direction,
  by: z.string(),
  reason: z.string().optional(),
  forced: z.boolean(),
  startedAt: z.string(),
  endedAt: z.string().optional(),
  parameters: z.unknown(),
  findings: z.array(finding).readonly(),
  steps: z.array(step).readonly(),
  /** Each begin and resume: who, when, which way. */
  runs: z
    .array(z.object({ at: z.string(), direction, by: z.string(), reason: z.string().optional() }))
    .readonly(),
  problem: problem.optional(),
  /** Who asked it to stop: it waits for a person. */
  stopped: z.object({ at: z.string(), by: z.string() }).optional(),
  report: z.unknown().optional(),
});
export type PlanOutput = z.output<typeof planShape>;

/** What doing something with a plan gives. */
export const planResultShape = z.object({
  /** True when a plan that had been interrupted or failed was gone on with. */
  resumed: z.boolean(),
  plan: planShape,
});

/** What a dry run gives. */
export const planPreviewShape = z.object({
  dryRun: z.literal(true),
  kind: z.string(),
  pair: z.string(),
  sentence: z.string(),
  findings: z.array(finding).readonly(),
  steps: z
    .array(
      z.object({
        name: z.string(),
        sentence: z.string(),
        /** Whether the world has it already; absent where it could not be asked. */
        done: z.boolean().optional(),
        problem: problem.optional(),
        pointOfNoReturn: z.boolean(),
      }),
    )
    .readonly(),
});

export const planSummaryShape = z.object({
  id: z.string(),
  kind: z.string(),
  pair: z.string(),
  state: planState,
  by: z.string(),
  startedAt: z.string(),
  endedAt: z.string().optional(),
  stepsDone: count,
  steps: count,
  problem: problem.optional(),
});

export function planOutput(plan: PlanRecord): z.input<typeof planShape> {
  const { was: _, askedAt: __, startedAt, endedAt, stopped, steps, runs, ...rest } = plan;
  return {
    ...rest,
    startedAt: time(startedAt),
    ...(endedAt === undefined ? {} : { endedAt: time(endedAt) }),
    ...(stopped === undefined ? {} : { stopped: { ...stopped, at: time(stopped.at) } }),
    steps: steps.map(({ startedAt: began, endedAt: ended, notes, ...said }) => ({
      ...said,
      ...(began === undefined ? {} : { startedAt: time(began) }),
      ...(ended === undefined ? {} : { endedAt: time(ended) }),
      notes: notes.map(({ at, text }) => ({ at: time(at), text })),
    })),
    runs: runs.map(({ at, begins: ___, ...run }) => ({ at: time(at), ...run })),
  };
}

export function planResult({ plan, resumed }: PlanResult): z.input<typeof planResultShape> {
  return { resumed, plan: planOutput(plan) };
}

export function planPreview(preview: PlanPreview): z.input<typeof planPreviewShape> {
  return { dryRun: true, ...preview };
}

export function planSummary(plan: PlanRecord): z.input<typeof planSummaryShape> {
  const { id, kind, pair, state, by, startedAt, endedAt, steps, direction: way, problem: why } = plan;
  const mine = steps.filter((candidate) => candidate.direction === way);
  return {
    id,
    kind,
    pair,
    state,
    by,
    startedAt: time(startedAt),
    ...(endedAt === undefined ? {} : { endedAt: time(endedAt) }),
    stepsDone: mine.filter((candidate) => ['done', 'already', 'undone', 'kept'].includes(candidate.state))
      .length,
    steps: mine.length,
    ...(why === undefined ? {} : { problem: why }),
  };
}

const OF_THE_WAY_BACK = new Set(['quick', 'pass-back', 'carry-back', 'sweep-back', 'sweep-pass-back']);

/**
 * A plan that did not come to its end is no success; one that did, but not for every account, is done in part. A dry run that found
 * something red says what the plan would: refused.
 */
export function planOutcome(
  output: z.output<typeof planResultShape> | z.output<typeof planPreviewShape>,
): Outcome {
  if (!('plan' in output)) return output.findings.some(({ state }) => state === 'red') ? 'refused' : 'done';
  const { plan } = output;
  if (plan.state === 'failed' || plan.state === 'interrupted') return 'failed';
  // It is as it was before: its rollback was given up.
  if (plan.state !== 'rolled-back' && plan.runs.at(-1)?.direction === 'back') return 'failed';
  return plan.state !== 'committed' && problemsLeft(plan) > 0 ? 'partial' : 'done';
}

/** The same for whoever wanted it to go on: taken back by itself, it has not done what was asked for. */
export function goingOnOutcome(output: Parameters<typeof planOutcome>[0]): Outcome {
  if (!('plan' in output)) return planOutcome(output);
  const [before, last] = output.plan.runs.slice(-2);
  const tookItselfBack = before?.direction === 'forward' && last?.direction === 'back';
  return tookItselfBack ? 'failed' : planOutcome(output);
}

/** Of the way back what could not be read, was not taken or is not equal at its end leaves some: what was wrong on the server that people have left is over. */
function problemsLeft({ state, steps, report }: PlanOutput): number {
  const { problems = [] } = (report ?? {}) as Partial<TakeOverReport>;
  if (state !== 'rolled-back') return problems.length;
  const cameBack = steps.some(({ direction: way }) => way === 'back');
  return cameBack ? problems.filter(({ step: name }) => OF_THE_WAY_BACK.has(name)).length : 0;
}
