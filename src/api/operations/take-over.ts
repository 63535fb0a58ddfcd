/** Failover and switchover: the same question, answered by two kinds of plans. */
import { z } from 'zod';
import { pairNamed } from '../../config/index.ts';
import { rolesOf } from '../../control/index.ts';
import type { JsonValue } from '../../lib/index.ts';
import type { PlanRecord, PlanRequest } from '../../plans/index.ts';
import type { TakeOverReport } from '../../plans/mail/index.ts';
import type { Core } from '../core.ts';
import { apiErrors } from '../errors.ts';
import { defineOperation, type OperationContext, type Outcome } from '../operation.ts';
import { resolveAt } from './moment.ts';
import {
  planOutcome,
  planPreview,
  planPreviewShape,
  planResult,
  planResultShape,
  reason,
} from './plan-shapes.ts';

type Kind = 'failover' | 'switchover';

const pair = z
  .string()
  .min(1)
  .describe('The pair, by its name in the configuration.')
  .meta({ value: 'PAIR' });
const account = z
  .string()
  .min(1)
  .optional()
  .describe('Only these accounts, separated by commas; needs a directory that front ends ask.')
  .meta({ value: 'A[,A…]' });
const dryRun = z
  .boolean()
  .default(false)
  .describe('Say what would be done and what stands against it; change nothing.');
const why = reason.describe('Why, for the record; with it a plan is begun in spite of what is red.');

const output = z.union([planResultShape, planPreviewShape]);
const place = { permission: 'admin', positional: ['pair'], placement: 'main', longRunning: true } as const;

export const failover = defineOperation({
  ...place,
  name: 'failover',
  summary:
    'The live server is lost: fence it, finish the standby from the journal, bind accounts and clients to it, and shadow it.',
  input: z.strictObject({
    pair,
    at: z
      .string()
      .min(1)
      .optional()
      .describe(
        'An earlier state: an RFC 3339 time, `lsn:N`, a checkpoint label, or `-2h`. Default: the last one.',
      )
      .meta({ value: 'T' }),
    account,
    dryRun,
    reason: why,
  }),
  output,
  confirmation: (input) =>
    input.dryRun
      ? undefined
      : `Fail pair ${input.pair} over? Its acting server is fenced, and people work on the other one.`,
  needsAnswer: true,
  sentence: (input) => `${input.dryRun ? 'tried out to fail' : 'failed'} pair ${input.pair} over`,
  outcome,
  handler: (core, input, context) => move(core, 'failover', input, context),
});

export const switchover = defineOperation({
  ...place,
  name: 'switchover',
  summary:
    'Planned: bring the standby up to the live server, then move accounts and clients to it; nothing is lost.',
  input: z.strictObject({ pair, account, dryRun, reason: why }),
  output,
  confirmation: (input) =>
    input.dryRun ? undefined : `Switch pair ${input.pair} over? People wait for about a second.`,
  needsAnswer: true,
  sentence: (input) => `${input.dryRun ? 'tried out to switch' : 'switched'} pair ${input.pair} over`,
  outcome,
  handler: (core, input, context) => move(core, 'switchover', input, context),
});

interface MoveInput {
  readonly pair: string;
  readonly at?: string | undefined;
  readonly account?: string | undefined;
  readonly dryRun: boolean;
  readonly reason?: string | undefined;
}

async function move(core: Core, kind: Kind, input: MoveInput, context: OperationContext) {
  const request = await requestOf(core, kind, input, context);
  if (input.dryRun) return planPreview(await core.plans.preview(request));
  const result = await core.plans.run(request, context);
  if (kind === 'failover' || !isStuck(result.plan) || context.signal.aborted) return planResult(result);
  // People may be waiting at the front door: a switchover that cannot go on gives them their server back by itself.
  const back = await core.plans.rollback(
    result.plan.id,
    { by: request.by, reason: `could not be completed: ${result.plan.problem?.message ?? ''}` },
    context,
  );
  return planResult({ ...back, resumed: result.resumed });
}

/** Failed before anybody was led on. */
function isStuck({ state, steps }: PlanRecord): boolean {
  const begun = (name: string) =>
    steps.some((step) => step.name === name && step.direction === 'forward' && step.attempts > 0);
  return state === 'failed' && !begun('rebind') && !begun('rehome');
}

async function requestOf(
  core: Core,
  kind: Kind,
  input: MoveInput,
  context: OperationContext,
): Promise<PlanRequest> {
  pairNamed(core.config, input.pair);
  const accounts = input.account
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (accounts?.length === 0) throw apiErrors.make('API_INVALID_INPUT', '--account names no account');
  const parameters = (await unfinished(core, kind, input)) ?? {
    ...(await direction(core, input.pair)),
    ...(accounts === undefined ? {} : { accounts: [...new Set(accounts)].sort() }),
  };
  const { from } = parameters as { from: string };
  const at = input.at === undefined || 'at' in parameters ? undefined : await resolveAt(core, from, input.at);
  return {
    kind,
    pair: input.pair,
    parameters: { ...parameters, ...(at === undefined ? {} : { at: at.lsn }) },
    by: context.caller ?? 'unknown',
    ...(input.reason === undefined ? {} : { reason: input.reason, force: true }),
  };
}

/** The same command goes on with what it had begun: with the same servers, and with the moment found then. */
async function unfinished(core: Core, kind: Kind, input: MoveInput) {
  const open = (await core.plans.list(input.pair)).findLast(
    (plan) =>
      plan.kind === kind &&
      plan.direction === 'forward' &&
      (plan.state === 'interrupted' || plan.state === 'failed'),
  );
  const parameters = open?.parameters as Readonly<Record<string, JsonValue>> | undefined;
  // Another subset, or another moment, is another plan; the engine then says that one is under way.
  if (parameters === undefined) return undefined;
  const sameAccounts = (parameters['accounts'] === undefined) === (input.account === undefined);
  const sameMoment = (parameters['at'] === undefined) === (input.at === undefined);
  return sameAccounts && sameMoment ? parameters : undefined;
}

/** From the server that acts to the other one. */
async function direction(core: Core, name: string): Promise<{ from: string; to: string }> {
  return core.plans.withControl((control) => {
    const { acting, former } = rolesOf(core.config, control, name);
    return { from: acting, to: former };
  });
}

/** Done, but not for every account: partly. Taken back by itself: failed. */
function outcome(result: z.output<typeof output>): Outcome {
  if (!('plan' in result)) return result.findings.some(({ state }) => state === 'red') ? 'failed' : 'done';
  if (result.plan.state === 'rolled-back') return 'failed';
  const report = result.plan.report as TakeOverReport | undefined;
  if (result.plan.state === 'done' && (report?.problems.length ?? 0) > 0) return 'partial';
  return planOutcome(result);
}
