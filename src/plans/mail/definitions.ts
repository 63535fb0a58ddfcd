/** The two plans as data; see `steps` for what each step does. */
import type { JsonValue } from '../../lib/index.ts';
import type { PlanDefinition, PlanDeps, PlanRecord, PlanStep } from '../index.ts';
import {
  type Memory,
  recall,
  type TakeOver,
  type TakeOverParameters,
  takeOverContext,
  takeOverParameters,
} from './context.ts';
import type { TakeOverPorts } from './ports.ts';
import { failoverFindings, switchoverFindings } from './preflight.ts';
import { makeReport } from './report.ts';
import { rollbackPreflight, rollbackSteps } from './rollback.ts';
import { assess } from './steps/assess.ts';
import { rebind, unbind } from './steps/bindings.ts';
import { closeDoor, rehome } from './steps/door.ts';
import { fence } from './steps/fence.ts';
import { certify, finish } from './steps/finish.ts';
import { probe, protect, verify } from './steps/serve.ts';
import { endSessions } from './steps/sessions.ts';
import { sweepBehind } from './steps/sweep.ts';
import { drain, hold, prepare } from './steps/switchover.ts';

/** The old server is gone. Fenced first, so that it cannot serve before the new one does, should it come back. */
const failoverSteps: readonly PlanStep<TakeOver>[] = [
  assess,
  closeDoor,
  fence,
  unbind,
  endSessions,
  finish,
  certify,
  rebind,
  rehome,
  // Before anybody tries it: a server that people work on is never without protection.
  protect,
  probe,
  verify,
];

/** The old server is there. What takes long comes before and after the moment in which people wait (`hold` to `rehome`). */
const switchoverSteps: readonly PlanStep<TakeOver>[] = [
  assess,
  prepare,
  hold,
  drain,
  rebind,
  rehome,
  // Before a look at all of the old server, which takes long, and which that one need not survive.
  protect,
  sweepBehind,
  fence,
  probe,
  verify,
];

export function failoverPlan(ports: TakeOverPorts): PlanDefinition<TakeOverParameters, MoveContext> {
  return plan(ports, {
    kind: 'failover',
    sentence: ({ from, to }, pair) => `Fail over ${pair}: ${to} takes the place of ${from}`,
    steps: failoverSteps,
    preflight: failoverFindings,
  });
}

export function switchoverPlan(ports: TakeOverPorts): PlanDefinition<TakeOverParameters, MoveContext> {
  return plan(ports, {
    kind: 'switchover',
    sentence: ({ from, to }, pair) => `Switch ${pair} over from ${from} to ${to}`,
    steps: switchoverSteps,
    preflight: switchoverFindings,
  });
}

/** With what the plan remembers, for the report. */
export interface MoveContext extends TakeOver {
  readonly recall: PlanDeps['recall'];
}

interface Kind {
  readonly kind: string;
  readonly sentence: (parameters: TakeOverParameters, pair: string) => string;
  readonly steps: readonly PlanStep<TakeOver>[];
  readonly preflight: PlanDefinition<TakeOverParameters, TakeOver>['preflight'];
}

function plan(ports: TakeOverPorts, kind: Kind): PlanDefinition<TakeOverParameters, MoveContext> {
  return {
    kind: kind.kind,
    parameters: takeOverParameters,
    sentence: (parameters, pair) => {
      const { accounts, at } = parameters;
      const some =
        accounts === undefined
          ? ''
          : `, ${accounts.length === 1 ? accounts[0] : `${accounts.length} accounts`} only`;
      return `${kind.sentence(parameters, pair)}${some}${at === undefined ? '' : `, as of lsn:${at}`}`;
    },
    context: async (parameters, deps) => ({
      ...(await takeOverContext(ports, parameters, deps)),
      recall: deps.recall,
    }),
    steps: (context) => inOrder(context, kind.steps).filter((step) => concerns(step, context)),
    preflight: kind.preflight,
    rollbackSteps,
    rollbackPreflight,
    report: (context, record) => reportOf(context, record),
  };
}

/**
 * While the accounts are bound to no server, the front door may be opened before they are bound anew: whoever waits there need not wait for
 * thousands of entries. Commands of the operator, which may take long, come after those entries.
 */
function inOrder({ pair, rehomes }: TakeOver, steps: readonly PlanStep<TakeOver>[]) {
  const doorFirst = pair.failover.unbind && rehomes.length > 0 && rehomes.every(({ holds }) => holds);
  if (!doorFirst) return steps;
  const swapped = new Map([
    [rebind, rehome],
    [rehome, rebind],
  ]);
  return steps.map((step) => swapped.get(step) ?? step);
}

/** A step that has nothing to act on is left out, so that the list says what happens. */
function concerns(step: PlanStep<TakeOver>, { subset, directory }: TakeOver): boolean {
  if (subset && [closeDoor, fence, rehome].includes(step)) return false;
  return directory !== undefined || ![unbind, rebind].includes(step);
}

async function reportOf(context: MoveContext, record: PlanRecord): Promise<JsonValue> {
  const memory = <K extends keyof Memory>(key: K) => recall({ recall: (name) => context.recall(name) }, key);
  try {
    return (await makeReport(context, record, memory)) as unknown as JsonValue;
  } finally {
    // What was done is told in one line too, for those who read logs.
    context.ports.log.info({ plan: record.id, kind: record.kind, state: record.state }, record.sentence);
  }
}
