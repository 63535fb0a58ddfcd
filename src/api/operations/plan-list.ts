import { z } from 'zod';
import { pairNamed } from '../../config/index.ts';
import { defineOperation } from '../operation.ts';
import { planSummary, planSummaryShape } from './plan-shapes.ts';

export const planList = defineOperation({
  name: 'plan list',
  permission: 'read',
  summary: 'Failovers, switchovers and other plans: what each is, and how far it has come.',
  input: z.strictObject({
    pair: z.string().min(1).optional().describe('Only those of this pair.').meta({ value: 'PAIR' }),
  }),
  output: z.object({
    /** Newest first. */
    plans: z.array(planSummaryShape).readonly(),
  }),
  positional: ['pair'],
  placement: 'main',
  longRunning: false,
  sentence: (input) => `listed the plans${input.pair === undefined ? '' : ` of ${input.pair}`}`,
  async handler(core, input) {
    if (input.pair !== undefined) pairNamed(core.config, input.pair);
    return { plans: [...(await core.plans.list(input.pair))].reverse().map(planSummary) };
  },
});
