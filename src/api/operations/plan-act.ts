/** Going on with a plan, taking it back, making it final, stopping it. */
import { z } from 'zod';
import type { Core } from '../core.ts';
import { defineOperation, type OperationContext } from '../operation.ts';
import {
  goingOnOutcome,
  planId,
  planOutcome,
  planOutput,
  planPreview,
  planPreviewShape,
  planResult,
  planResultShape,
  planShape,
  reason,
} from './plan-shapes.ts';

const input = z.strictObject({ id: planId, reason });
const place = { permission: 'admin', positional: ['id'], placement: 'main', longRunning: true } as const;

export const planResume = defineOperation({
  ...place,
  name: 'plan resume',
  summary:
    'Go on with a plan that was interrupted or has failed; what the world has already is not done again.',
  input,
  output: planResultShape,
  confirmation: ({ id }) => `Go on with plan ${id}?`,
  needsAnswer: true,
  runsPlan: true,
  sentence: ({ id }) => `went on with plan ${id}`,
  outcome: goingOnOutcome,
  handler: async (core, { id, reason: why }, context) =>
    planResult(await core.plans.resume(id, callerOf(context, why), context)),
});

export const planRollback = defineOperation({
  ...place,
  name: 'plan rollback',
  summary: 'Take a plan back that is done and not committed, was interrupted, or has failed.',
  input: input.extend({
    reason: reason.describe(
      'Why, for the record; with it what cannot be read or written back is left behind.',
    ),
    dryRun: z.boolean().default(false).describe('Say what would be done, and change nothing.'),
  }),
  output: z.union([planResultShape, planPreviewShape]),
  confirmation: ({ id, dryRun }) => (dryRun ? undefined : `Take plan ${id} back?`),
  needsAnswer: true,
  runsPlan: true,
  sentence: ({ id, dryRun }) => `${dryRun ? 'tried out to take' : 'took'} plan ${id} back`,
  outcome: planOutcome,
  handler: async (core, { id, reason: why, dryRun }, context) =>
    dryRun
      ? planPreview(await core.plans.previewRollback(id))
      : planResult(await core.plans.rollback(id, callerOf(context, why), context)),
});

export const planCommit = defineOperation({
  ...place,
  name: 'plan commit',
  summary: 'Make a done plan final: it can no longer be taken back.',
  input,
  output: planResultShape,
  confirmation: ({ id }) => `Make plan ${id} final? It cannot be taken back then.`,
  needsAnswer: true,
  runsPlan: true,
  sentence: ({ id }) => `made plan ${id} final`,
  outcome: planOutcome,
  handler: async (core, { id, reason: why }, context) =>
    planResult(await core.plans.commit(id, callerOf(context, why), context)),
});

export const planInterrupt = defineOperation({
  ...place,
  name: 'plan interrupt',
  summary:
    'Stop a plan of the running service after the step under way. It stays so, also when the service starts again, until `plan resume` or the same command goes on with it.',
  input: z.strictObject({ id: planId }),
  output: z.object({
    /** False: nobody was working on it. */
    interrupted: z.boolean(),
    plan: planShape,
  }),
  sentence: ({ id }) => `interrupted plan ${id}`,
  handler: interruptPlan,
});

async function interruptPlan(core: Core, { id }: { readonly id: string }, context: OperationContext) {
  await core.plans.show(id);
  const interrupted = await core.plans.interrupt(id, callerOf(context, undefined));
  return { interrupted, plan: planOutput(await core.plans.show(id)) };
}

/** Whoever asks, as a plan records it. */
export function callerOf(context: Pick<OperationContext, 'caller'>, why: string | undefined) {
  return { by: context.caller ?? 'unknown', ...(why === undefined ? {} : { reason: why }) };
}
