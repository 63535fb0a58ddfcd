/**
 * A move that has ended well is decided on (`commit`, `rollback`) before a new plan moves the same accounts the other way. So the same command, given
 * once more after its plan has come to its end (by a service that went on with it, or by another operator), moves nobody back.
 */
import type { PlanRecord } from '../index.ts';
import type { TakeOver, TakeOverParameters } from './context.ts';
import { takeOverErrors } from './errors.ts';

/** The acting server is taken to be lost when it does not answer within this: then nobody has to decide first. */
const ANSWER_WITHIN_MS = 1_000;

/** A reason does not overrule it. @throws TAKEOVER_UNDECIDED */
export async function insistOnDecision({
  otherPlans,
  parameters,
  move,
  ports,
}: Pick<TakeOver, 'otherPlans' | 'parameters' | 'move' | 'ports'>): Promise<void> {
  const plan = undecided(otherPlans(), parameters);
  if (plan === undefined || !(await ports.answers(move.from, ANSWER_WITHIN_MS))) return;
  throw takeOverErrors.make(
    'TAKEOVER_UNDECIDED',
    `plan ${plan.id} (${plan.kind}) has moved ${move.pair} from ${move.to} to ${move.from}, and is neither made final nor taken back`,
    {
      details: { pair: move.pair, plan: plan.id, kind: plan.kind },
      remedy: `It is done, nothing is left to do. To stay: understudy plan commit ${plan.id} · to go back: understudy plan rollback ${plan.id} · if ${move.from} is ill: understudy plan commit ${plan.id}, then: understudy failover ${move.pair}`,
    },
  );
}

/** The newest plan that moved all of these accounts and was not taken back, where it is open and went the other way. */
export function undecided(
  plans: readonly PlanRecord[],
  { from, to, accounts }: TakeOverParameters,
): PlanRecord | undefined {
  const newest = plans.findLast(
    (plan) => plan.state !== 'rolled-back' && isAboutAll(plan.parameters as TakeOverParameters, accounts),
  );
  if (newest?.state !== 'done') return undefined;
  const moved = newest.parameters as TakeOverParameters;
  return moved.from === to && moved.to === from ? newest : undefined;
}

/** A few that moved by themselves, undecided, do not keep all the others where they are. */
function isAboutAll(moved: TakeOverParameters, accounts: readonly string[] | undefined): boolean {
  if (accounts === undefined) return moved.accounts === undefined;
  const { accounts: only, except = [] } = moved;
  return accounts.every((account) => (only?.includes(account) ?? true) && !except.includes(account));
}
