import { z } from 'zod';
import { withFoundLater } from '../found-later.ts';
import { defineOperation } from '../operation.ts';
import { planId, planOutput, planShape } from './plan-shapes.ts';

export const planShow = defineOperation({
  name: 'plan show',
  permission: 'read',
  summary: 'One plan: who began it and why, every step with its times, and its report.',
  input: z.strictObject({ id: planId }),
  output: z.object({ plan: planShape }),
  positional: ['id'],
  placement: 'main',
  longRunning: false,
  sentence: (input) => `looked at plan ${input.id}`,
  handler: async (core, input) => ({
    plan: planOutput(await withFoundLater(core, await core.plans.show(input.id))),
  }),
});
