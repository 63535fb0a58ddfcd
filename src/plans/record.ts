/** The fold: a plan's events in, its record out. Pure. */
import { type ControlView, dataOf } from '../control/index.ts';
import { planErrors } from './errors.ts';
import { MEMORY_TOPIC, type MemoryEntry, PLAN_TOPIC, type PlanEvent, type StepList } from './events.ts';
import type { PlanDirection, PlanId, PlanRecord, StepRecord } from './types.ts';

type Draft<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Every plan of the journal, oldest first. `isRunning` tells whether somebody works on a plan now: one that nobody works on and that has not
 * ended was interrupted. @throws PLAN_RECORD_INVALID
 */
export function plansIn(view: ControlView, isRunning: (id: string) => boolean): PlanRecord[] {
  const plans = new Map<string, PlanRecord>();
  for (const { id, time, data } of view.entries(PLAN_TOPIC)) {
    plans.set(id, applyEvent(plans.get(id), id, time, data as unknown as PlanEvent));
  }
  return [...plans.values()].map((plan) =>
    plan.state !== 'running' || isRunning(plan.id)
      ? plan
      : { ...plan, state: 'interrupted', problem: plan.problem ?? interruptedProblem(plan) },
  );
}

/** @throws PLAN_UNKNOWN, PLAN_RECORD_INVALID */
export function planIn(view: ControlView, id: string, isRunning: (id: string) => boolean): PlanRecord {
  const one: ControlView = { entries: (topic) => view.entries(topic, id) };
  const [plan] = plansIn(one, isRunning);
  if (plan === undefined) throw planErrors.make('PLAN_UNKNOWN', `there is no plan ${id}`);
  return plan;
}

/** The values that a plan has remembered, the last of each key. */
export function memoryIn(view: ControlView, id: string): Map<string, unknown> {
  const memory = new Map<string, unknown>();
  for (const entry of view.entries(MEMORY_TOPIC, id)) {
    const { key, value } = dataOf<MemoryEntry>(entry);
    memory.set(key, value);
  }
  return memory;
}

/** The plan after one more event. @throws PLAN_RECORD_INVALID */
export function applyEvent(
  plan: PlanRecord | undefined,
  id: string,
  time: number,
  event: PlanEvent,
): PlanRecord {
  if (event.e === 'begin') {
    if (plan !== undefined) throw invalid(id, 'begins twice');
    const { e: _, steps, ...said } = event;
    return {
      ...said,
      id: id as PlanId,
      state: 'running',
      direction: 'forward',
      startedAt: time,
      steps: newSteps(steps, 'forward'),
      runs: [{ at: time, direction: 'forward', by: event.by, ...reasonOf(event) }],
    };
  }
  if (plan === undefined) throw invalid(id, `has an event \`${event.e}\` before it begins`);
  if (event.e === 'stop') {
    // What has ended meanwhile has nothing to stop.
    if (plan.state !== 'running' && plan.state !== 'interrupted') return plan;
    const stopped = { ...plan, stopped: { at: time, by: event.by } };
    return plan.state === 'running' ? stopped : { ...stopped, problem: interruptedProblem(stopped) };
  }
  if (event.e === 'run') {
    const { problem: _, endedAt: __, stopped: ___, ...rest } = plan;
    const { direction, by } = event;
    return {
      ...rest,
      state: 'running',
      direction,
      ...(direction === plan.direction ? {} : { was: plan.state === 'running' ? 'interrupted' : plan.state }),
      runs: [
        ...plan.runs,
        {
          at: time,
          direction,
          by,
          ...reasonOf(event),
          ...(direction === plan.direction ? {} : { begins: true as const }),
        },
      ],
      // Of a rollback that was given up the next one begins anew.
      steps:
        event.steps === undefined
          ? plan.steps
          : [
              ...plan.steps.filter((step) => step.direction !== direction),
              ...newSteps(event.steps, direction),
            ],
    };
  }
  if (event.e === 'state') {
    const { e: _, givenUp, ...said } = event;
    const { problem: __, stopped, was, ...rest } = plan;
    const stays = said.state === 'interrupted' && stopped !== undefined ? { stopped } : {};
    const way = givenUp ? { direction: 'forward' as const } : was === undefined ? {} : { was };
    return { ...rest, ...stays, ...said, ...way, endedAt: time };
  }
  const { direction, step: name } = event;
  const at = plan.steps.findIndex((step) => step.name === name && step.direction === direction);
  if (at < 0) throw invalid(id, `has no step \`${name}\``);
  const steps = [...plan.steps];
  steps[at] = applyToStep(steps[at] as StepRecord, time, event);
  return { ...plan, steps };
}

type StepEvent = Extract<PlanEvent, { step: string }>;

function applyToStep(step: StepRecord, time: number, event: StepEvent): StepRecord {
  const next: Draft<StepRecord> = { ...step };
  switch (event.e) {
    case 'intent':
      next.state = event.undo ? 'undoing' : 'running';
      if (!event.undo) next.attempts += 1;
      next.startedAt ??= time;
      // Why it was taken back is told after that too.
      if (!event.undo) delete next.problem;
      break;
    case 'note':
      next.notes = [...step.notes, { at: time, text: event.text }];
      break;
    case 'problem':
      next.problem = event.problem;
      if (event.final) next.state = 'failed';
      next.endedAt = time;
      break;
    case 'outcome':
      if (event.result === 'again') {
        next.state = 'pending';
        break;
      }
      next.state = event.result;
      next.startedAt ??= time;
      next.endedAt = time;
      if (event.result === 'done' || event.result === 'already') delete next.problem;
      if (event.durationMs !== undefined) next.durationMs = event.durationMs;
      if (event.outcome !== undefined) next.outcome = event.outcome;
      break;
  }
  return next;
}

function newSteps(steps: StepList, direction: PlanDirection): StepRecord[] {
  return steps.map(({ name, sentence }) => ({
    name,
    sentence,
    direction,
    state: 'pending',
    attempts: 0,
    notes: [],
  }));
}

function reasonOf({ reason }: { readonly reason?: string }) {
  return reason === undefined ? {} : { reason };
}

/** The plan as its rollback or commit found it. */
export function asFound(plan: PlanRecord): PlanRecord {
  if (plan.was === undefined) return plan;
  const { was, direction: _, ...rest } = plan;
  return {
    ...rest,
    state: was,
    direction: 'forward',
    steps: plan.steps.filter((step) => step.direction === 'forward'),
  };
}

export function interruptedProblem({ id, direction, stopped }: PlanRecord) {
  const back = direction === 'forward' ? `, or take it back: understudy plan rollback ${id}` : '';
  return {
    code: 'PLAN_INTERRUPTED',
    message:
      stopped === undefined
        ? 'nobody works on this plan: it was stopped, or its process ended'
        : `${stopped.by} has stopped this plan: it waits until somebody goes on with it`,
    remedy: `Go on with it: understudy plan resume ${id}${back}`,
  };
}

function invalid(id: string, what: string): Error {
  return planErrors.make('PLAN_RECORD_INVALID', `plan ${id} ${what}`);
}
