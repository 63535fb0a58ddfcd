/** Failover and switchover: the same question, answered by two kinds of plans. */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { pairNamed } from '../../config/index.ts';
import { rolesOf } from '../../control/index.ts';
import type { PlanRequest } from '../../plans/index.ts';
import { movedAccounts, type TakeOverParameters } from '../../plans/mail/index.ts';
import type { Core } from '../core.ts';
import { apiErrors } from '../errors.ts';
import { defineOperation, type OperationContext } from '../operation.ts';
import { resolveAt } from './moment.ts';
import {
  goingOnOutcome,
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
  runsPlan: true,
  sentence: (input) => `${input.dryRun ? 'tried out to fail' : 'failed'} pair ${input.pair} over`,
  outcome: goingOnOutcome,
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
  runsPlan: true,
  sentence: (input) => `${input.dryRun ? 'tried out to switch' : 'switched'} pair ${input.pair} over`,
  outcome: goingOnOutcome,
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
  return planResult(await core.plans.run(request, context));
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
  const wanted = accounts === undefined ? undefined : [...new Set(accounts)].sort();
  const parameters =
    (await unfinished(core, kind, input, wanted)) ?? (await freshParameters(core, input, wanted));
  return {
    kind,
    pair: input.pair,
    parameters,
    by: context.caller ?? 'unknown',
    ...(input.reason === undefined ? {} : { reason: input.reason, force: true }),
  };
}

/** The same command goes on with what it had begun: with the same servers, and with the accounts it found to have moved then. */
async function unfinished(core: Core, kind: Kind, input: MoveInput, accounts: readonly string[] | undefined) {
  const open = (await core.plans.list(input.pair)).findLast(
    (plan) =>
      plan.kind === kind &&
      plan.direction === 'forward' &&
      (plan.state === 'interrupted' || plan.state === 'failed'),
  );
  if (open === undefined) return undefined;
  const begun = open.parameters as TakeOverParameters;
  // Other accounts, or another moment, are another plan; the engine then says that one is under way.
  if (!isDeepStrictEqual(begun.accounts, accounts)) return undefined;
  // `-2h` is another moment at each call, and means the one that it was when the plan began.
  if (begun.at !== undefined && /^\s*-\d/.test(input.at ?? '')) return begun;
  const at = input.at === undefined ? undefined : (await resolveAt(core, begun.from, input.at)).lsn;
  return begun.at === at ? begun : undefined;
}

async function freshParameters(core: Core, input: MoveInput, accounts: readonly string[] | undefined) {
  const { from, to, except } = await direction(core, input.pair, accounts);
  return {
    from,
    to,
    ...(accounts === undefined ? {} : { accounts }),
    ...(except === undefined ? {} : { except }),
    ...(input.at === undefined ? {} : { at: (await resolveAt(core, from, input.at)).lsn }),
  };
}

/**
 * From the server that acts to the other one, without the accounts that are there already. Named accounts go from where they are: those that had
 * moved by themselves go home.
 */
async function direction(core: Core, name: string, accounts: readonly string[] | undefined) {
  return core.plans.withControl((control) => {
    const { acting, former } = rolesOf(core.config, control, name);
    const moved = movedAccounts(control, name);
    const elsewhere = new Set(moved?.server === former ? moved.accounts : []);
    if (accounts === undefined) {
      return { from: acting, to: former, ...(elsewhere.size === 0 ? {} : { except: [...elsewhere] }) };
    }
    const away = accounts.filter((one) => elsewhere.has(one));
    if (away.length === 0) return { from: acting, to: former };
    if (away.length === accounts.length) return { from: former, to: acting };
    throw apiErrors.make(
      'API_INVALID_INPUT',
      `${away.join(', ')} ${away.length === 1 ? 'is' : 'are'} on ${former}, the others on ${acting}`,
      { remedy: 'Move them with two commands: they go in different directions.' },
    );
  });
}
