/**
 * Runs plans: one at a time per pair, by the one process that holds the control journal.
 *
 *   (begin) ─► running ──all steps──► done ──commit──► committed
 *                │  ▲                  │
 *     signal,    │  │ resume           │ rollback
 *     kill, error▼  │                  ▼
 *      interrupted, failed ─rollback─► running, back ──► rolled-back
 *
 * A rollback that fails while all that it has done can be undone is undone, and the plan is as it was: `done`, else `failed`. So it stands in
 * nobody's way.
 *
 * What a record says is only what its events say (`record.ts`); a plan that is `running` in the journal and that nobody works on was
 * interrupted.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { type Config, pairNamed } from '../config/index.ts';
import type { ControlJournal, ControlView } from '../control/index.ts';
import type { Clock, Log } from '../lib/index.ts';
import { ActivePlan } from './active-plan.ts';
import { planErrors } from './errors.ts';
import type { PlanEvent } from './events.ts';
import { newPlanId } from './plan-id.ts';
import type { Finding } from './readiness/index.ts';
import { asFound, interruptedProblem, memoryIn, planIn, plansIn } from './record.ts';
import { doSteps, problemOf, type RunEnd, type StepRun, undoSteps } from './run-steps.ts';
import type {
  AnyPlanDefinition,
  PlanDeps,
  PlanDirection,
  PlanId,
  PlanKinds,
  PlanOptions,
  PlanPreview,
  PlanProblem,
  PlanRecord,
  PlanRequest,
  PlanResult,
  PlanStep,
  StepIo,
} from './types.ts';

export interface PlanParts {
  readonly kinds: PlanKinds;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
}

/** Who asks, and why. */
export interface PlanCaller {
  /** `user@host`. */
  readonly by: string;
  readonly reason?: string;
}

interface Active {
  readonly plan: ActivePlan;
  readonly stop: AbortController;
  readonly ended: Promise<unknown>;
}

/** The kinds of plans by their names. */
export function planKinds(...definitions: readonly AnyPlanDefinition[]): PlanKinds {
  return new Map(definitions.map((definition) => [definition.kind, definition]));
}

export class PlanEngine {
  readonly #parts: PlanParts;
  readonly #journal: ControlJournal;
  /** By pair: what is being worked on here, from before its preflight on. */
  readonly #active = new Map<string, Active>();

  /** The journal is lent: it must stay open while plans run, see `stop`. */
  constructor(parts: PlanParts & { readonly journal: ControlJournal }) {
    this.#parts = parts;
    this.#journal = parts.journal;
  }

  /** Every plan, oldest first. */
  list(pair?: string): PlanRecord[] {
    const plans = plansIn(this.#journal, (id) => this.#isActive(id));
    return pair === undefined ? plans : plans.filter((plan) => plan.pair === pair);
  }

  /** @throws PLAN_UNKNOWN */
  show(id: string): PlanRecord {
    return planIn(this.#journal, id, (candidate) => this.#isActive(candidate));
  }

  /**
   * Begins a plan and runs it to its end; or goes on with the pair's plan of the same kind and parameters that was interrupted or has
   * failed. A plan that fails or is interrupted is a result, not an error.
   * @throws PLAN_UNDER_WAY, PLAN_REFUSED (findings in details), PLAN_REASON_MISSING, PLAN_PARAMETERS_INVALID, PLAN_KIND_UNKNOWN, CONFIG_UNKNOWN_PAIR,
   * and what the definition's context and preflight throw: nothing was journaled then.
   */
  async run(request: PlanRequest, options: PlanOptions): Promise<PlanResult> {
    const { kind, pair, by, reason, force = false } = request;
    const askedAt = this.#parts.clock.wallMs();
    pairNamed(this.#parts.config, pair);
    const definition = definitionOf(this.#parts.kinds, kind);
    const parameters = parametersOf(definition, request.parameters);
    if (force && !reason?.trim()) throw planErrors.make('PLAN_REASON_MISSING', 'forced without a reason');
    const caller = { by, ...(reason === undefined ? {} : { reason }) };

    const open = this.list(pair).findLast((plan) => isOpen(plan));
    if (open !== undefined) {
      const isSame = open.kind === kind && open.direction === 'forward';
      if (isSame && open.state !== 'running' && isDeepStrictEqual(open.parameters, plain(parameters))) {
        return this.#resume(open, caller, options);
      }
      throw underWay(open, isSame ? 'with other parameters' : undefined);
    }
    const taken = new Set(this.list().map((plan) => plan.id as string));
    const id = newPlanId(this.#parts.clock.wallMs(), taken);
    const plan = new ActivePlan({ journal: this.#journal, clock: this.#parts.clock, id });
    return this.#holding(pair, plan, options, async (held) => {
      const context = await definition.context(parameters, this.#depsOf(plan, pair));
      try {
        const findings = await definition.preflight(context, { dryRun: false });
        refuseRed(findings, force);
        const steps = definition.steps(context);
        checkNames(steps);
        await plan.append({
          e: 'begin',
          askedAt,
          kind,
          pair,
          sentence: definition.sentence(parameters, pair),
          parameters: plain(parameters),
          ...caller,
          forced: findings.some(({ state }) => state === 'red'),
          findings,
          steps: listOf(steps, context),
        });
        const record = await this.#forward(definition, context, plan, held);
        return { plan: record, resumed: false };
      } finally {
        await definition.dispose?.(context);
      }
    });
  }

  /**
   * Goes on with a plan that was interrupted or has failed, in the direction in which it went.
   * @throws PLAN_UNKNOWN, PLAN_UNDER_WAY, PLAN_ENDED, PLAN_STEPS_CHANGED, PLAN_KIND_UNKNOWN, and what the definition's context throws
   */
  async resume(id: string, caller: PlanCaller, options: PlanOptions): Promise<PlanResult> {
    const record = this.show(id);
    if (record.state === 'running') throw underWay(record);
    if (!isOpen(record)) throw ended(record, 'go on');
    return this.#resume(record, caller, options);
  }

  /**
   * Takes a plan back: by its kind's own steps, or by undoing what was done, the last first.
   * @throws PLAN_UNKNOWN, PLAN_UNDER_WAY, PLAN_ENDED, PLAN_SUPERSEDED, PLAN_NO_WAY_BACK, PLAN_KIND_UNKNOWN, where steps are undone
   * PLAN_STEPS_CHANGED, and what the definition's preflight of a rollback throws: nothing was journaled then.
   */
  async rollback(id: string, caller: PlanCaller, options: PlanOptions): Promise<PlanResult> {
    const record = this.show(id);
    if (record.state === 'running') throw underWay(record);
    if (record.direction === 'commit' || record.state === 'rolled-back') throw ended(record, 'be taken back');
    if (record.direction === 'back') return this.#resume(record, caller, options);
    checkNewest(this.#journal, record);
    return this.#working(record, options, async (definition, context, plan, held) => {
      const forward = definition.steps(context);
      checkWayBack(forward, context, record);
      const steps = definition.rollbackSteps?.(context, record);
      if (steps !== undefined && steps.length > 0) await definition.rollbackPreflight?.(context, record);
      else checkSame(record, 'forward', forward);
      await plan.append(runEvent('back', caller, steps && listOf(steps, context)));
      return this.#back(definition, context, plan, held);
    });
  }

  /**
   * Makes a done plan final. May be repeated.
   * @throws PLAN_UNKNOWN, PLAN_UNDER_WAY, PLAN_ENDED, PLAN_NOT_DONE, PLAN_KIND_UNKNOWN
   */
  async commit(id: string, caller: PlanCaller, options: PlanOptions): Promise<PlanResult> {
    const record = this.show(id);
    if (record.state === 'running') throw underWay(record);
    if (record.state === 'committed') return { plan: record, resumed: false };
    if (record.direction === 'commit') return this.#resume(record, caller, options);
    if (record.state === 'rolled-back') throw ended(record, 'be committed');
    if (record.state !== 'done') {
      throw planErrors.make('PLAN_NOT_DONE', `plan ${id} is ${record.state}`, {
        remedy: `Go on with it first: understudy plan resume ${id}`,
      });
    }
    return this.#working(record, options, async (definition, context, plan, held) => {
      const steps = definition.commitSteps?.(context, record) ?? [];
      await plan.append(runEvent('commit', caller, listOf(steps, context)));
      return this.#toCommit(definition, context, plan, held);
    });
  }

  /** What a plan would do, and what of it the world has already. Writes nothing. @throws as `run`, but neither PLAN_UNDER_WAY nor PLAN_REFUSED */
  preview(request: PlanRequest): Promise<PlanPreview> {
    return previewPlan(this.#parts, this.#journal, request);
  }

  /** What a rollback would do, in its order; `done` = taken back already, or nothing to take back. Writes nothing. @throws as `rollback` */
  previewRollback(id: string): Promise<PlanPreview> {
    return previewRollback(this.#parts, this.#journal, id);
  }

  /**
   * Asks the plan to stop after the step under way; resolves when it has. That somebody asked is durable before: nobody but a person goes
   * on with it, also where its process was killed. May be repeated. False where nobody works on it. @throws PLAN_UNKNOWN
   */
  async interrupt(id: string, { by }: Pick<PlanCaller, 'by'>): Promise<boolean> {
    const active = [...this.#active.values()].find(({ plan }) => plan.id === id);
    if (active === undefined) {
      const record = this.show(id);
      if (record.state === 'interrupted' && record.stopped === undefined) {
        await this.#activePlan(record).append({ e: 'stop', by });
      }
      return false;
    }
    if (active.plan.hasBegun) await active.plan.append({ e: 'stop', by });
    await end(active);
    return true;
  }

  /** Stops whatever runs and waits for it, since this process ends: whoever starts next may go on with it. The journal may be closed then. */
  async stop(): Promise<void> {
    await Promise.all([...this.#active.values()].map(end));
  }

  #isActive(id: string): boolean {
    return [...this.#active.values()].some(({ plan }) => plan.id === id);
  }

  #activePlan(record: PlanRecord): ActivePlan {
    return new ActivePlan({ journal: this.#journal, clock: this.#parts.clock, id: record.id, record });
  }

  #resume(record: PlanRecord, caller: PlanCaller, options: PlanOptions): Promise<PlanResult> {
    return this.#working(
      record,
      options,
      async (definition, context, plan, held) => {
        // A commit, and a rollback by steps of its own, neither run nor undo these.
        if (record.direction === 'forward' || (record.direction === 'back' && !hasOwnWayBack(record))) {
          checkSame(record, 'forward', definition.steps(context));
        }
        await plan.append(runEvent(record.direction, caller));
        if (record.direction === 'forward') return this.#forward(definition, context, plan, held);
        if (record.direction === 'back') return this.#back(definition, context, plan, held);
        return this.#toCommit(definition, context, plan, held);
      },
      true,
    );
  }

  /** Holds the pair and the context of a plan that there is, for as long as `work` takes. */
  async #working(
    record: PlanRecord,
    options: PlanOptions,
    work: (
      definition: AnyPlanDefinition,
      context: unknown,
      plan: ActivePlan,
      held: PlanOptions,
    ) => Promise<PlanRecord>,
    resumed = false,
  ): Promise<PlanResult> {
    const definition = definitionOf(this.#parts.kinds, record.kind);
    const plan = this.#activePlan(record);
    return this.#holding(record.pair, plan, options, async (held) => {
      const parameters = parametersOf(definition, record.parameters);
      const context = await definition.context(parameters, this.#depsOf(plan, record.pair));
      try {
        return { plan: await work(definition, context, plan, held), resumed };
      } finally {
        await definition.dispose?.(context);
      }
    });
  }

  async #forward(definition: AnyPlanDefinition, context: unknown, plan: ActivePlan, options: PlanOptions) {
    const end = await doSteps(this.#stepRun(plan, context, options), definition.steps(context), 'forward');
    return this.#finish(definition, context, plan, end, 'done');
  }

  async #back(definition: AnyPlanDefinition, context: unknown, plan: ActivePlan, options: PlanOptions) {
    const run = this.#stepRun(plan, context, options);
    // Which of the two ways a rollback goes was decided when it began.
    const hasOwnSteps = hasOwnWayBack(plan.record);
    const steps = hasOwnSteps ? (definition.rollbackSteps?.(context, asFound(plan.record)) ?? []) : [];
    checkSame(plan.record, 'back', steps);
    const end = hasOwnSteps
      ? await doSteps(run, steps, 'back')
      : await undoSteps(run, definition.steps(context));
    if (hasOwnSteps && end.ended === 'failed' && canBeGivenUp(steps, plan.record)) {
      const undone = await undoSteps(run, steps, 'back');
      if (undone.ended === 'all') return this.#giveUp(plan, end.problem);
    }
    return this.#finish(definition, context, plan, end, 'rolled-back');
  }

  /** The plan is as its rollback found it, and says why. Nobody but a person goes on with one that had not come to its end. */
  async #giveUp(plan: ActivePlan, { remedy, ...problem }: PlanProblem): Promise<PlanRecord> {
    const { id, was } = plan.record;
    const state = was === 'done' ? 'done' : 'failed';
    const next =
      state === 'done'
        ? `The plan is done as before: take it back again (understudy plan rollback ${id}), or stay (understudy plan commit ${id})`
        : interruptedProblem({ ...plan.record, direction: 'forward' }).remedy;
    await plan.append({
      e: 'state',
      state,
      givenUp: true,
      problem: { ...problem, remedy: `${remedy.replace(/\.$/, '')}. ${next}` },
    });
    this.#parts.log.warn(
      { plan: id, state, code: problem.code },
      `its rollback is given up: ${problem.message}`,
    );
    return plan.record;
  }

  async #toCommit(definition: AnyPlanDefinition, context: unknown, plan: ActivePlan, options: PlanOptions) {
    const steps = definition.commitSteps?.(context, asFound(plan.record)) ?? [];
    checkSame(plan.record, 'commit', steps);
    const end = await doSteps(this.#stepRun(plan, context, options), steps, 'commit');
    return this.#finish(definition, context, plan, end, 'committed');
  }

  async #finish(
    definition: AnyPlanDefinition,
    context: unknown,
    plan: ActivePlan,
    end: RunEnd,
    state: 'done' | 'rolled-back' | 'committed',
  ): Promise<PlanRecord> {
    if (end.ended === 'interrupted') {
      await plan.append({ e: 'state', state: 'interrupted', problem: interruptedProblem(plan.record) });
    } else if (end.ended === 'failed') {
      const { remedy, ...problem } = end.problem;
      const next = interruptedProblem(plan.record).remedy;
      await plan.append({
        e: 'state',
        state: 'failed',
        problem: { ...problem, remedy: `${remedy.replace(/\.$/, '')}. ${next}` },
      });
    } else {
      const endedAt = this.#parts.clock.wallMs();
      const reported = await this.#report(definition, context, { ...plan.record, state, endedAt });
      await plan.append({ e: 'state', state, ...reported });
    }
    const { log } = this.#parts;
    log.info({ plan: plan.id, state: plan.record.state }, `the plan is ${plan.record.state}`);
    return plan.record;
  }

  /** What was done stands, whether or not it can be reported: an error is told beside it. */
  async #report(definition: AnyPlanDefinition, context: unknown, record: PlanRecord) {
    if (definition.report === undefined) return {};
    try {
      return { report: await definition.report(context, record) };
    } catch (error) {
      this.#parts.log.error(
        { plan: record.id, err: error },
        'the plan has ended, but its report cannot be made',
      );
      return { problem: problemOf(error) };
    }
  }

  #stepRun<C>(plan: ActivePlan, context: C, options: PlanOptions): StepRun<C> {
    const { clock, log } = this.#parts;
    return { plan, context, clock, log: log.child({ plan: plan.id }), options };
  }

  #depsOf(plan: ActivePlan, pair: string): PlanDeps {
    const { config, clock, log } = this.#parts;
    return {
      planId: plan.id,
      pair,
      config,
      clock,
      log: log.child({ plan: plan.id, pair }),
      control: this.#journal,
      recall: (key) => plan.recall(key),
    };
  }

  /** One plan at a time per pair. The pair is taken before anything is awaited: of two who ask at once one is refused. */
  async #holding<T>(
    pair: string,
    plan: ActivePlan,
    options: PlanOptions,
    work: (options: PlanOptions) => Promise<T>,
  ): Promise<T> {
    const active = this.#active.get(pair);
    if (active !== undefined) {
      throw planErrors.make('PLAN_UNDER_WAY', `pair ${pair} has plan ${active.plan.id} under way`, {
        details: { pair, plan: active.plan.id },
        remedy: `Wait for it; see: understudy plan show ${active.plan.id}`,
      });
    }
    const stop = new AbortController();
    const signal = AbortSignal.any([options.signal, stop.signal]);
    const working = work({ ...options, signal });
    const ended = working.catch(() => {});
    this.#active.set(pair, { plan, stop, ended });
    try {
      return await working;
    } finally {
      this.#active.delete(pair);
    }
  }
}

async function end({ stop, ended }: Active): Promise<void> {
  stop.abort();
  await ended;
}

/** See `PlanEngine.preview`; needs no writer of the control journal. */
export async function previewPlan(
  parts: PlanParts,
  control: ControlView,
  request: PlanRequest,
): Promise<PlanPreview> {
  const { kind, pair } = request;
  const { kinds, config, clock, log } = parts;
  pairNamed(config, pair);
  const definition = definitionOf(kinds, kind);
  const parameters = parametersOf(definition, request.parameters);
  // Where a plan of this kind has begun its memory tells what has been decided.
  const open = plansIn(control, () => false).findLast((plan) => plan.pair === pair && isOpen(plan));
  const planId = open?.kind === kind ? open.id : ('preview' as PlanId);
  const memory = memoryIn(control, planId);
  const recall = <T>(key: string) => memory.get(key) as T | undefined;
  const context = await definition.context(parameters, {
    planId,
    pair,
    config,
    clock,
    log: log.child({ plan: planId, pair }),
    control,
    recall,
  });
  try {
    const findings = await definition.preflight(context, { dryRun: true });
    const steps = await previewSteps(definition.steps(context), context, recall);
    return { kind, pair, sentence: definition.sentence(parameters, pair), findings, steps };
  } finally {
    await definition.dispose?.(context);
  }
}

/** See `PlanEngine.previewRollback`; needs no writer of the control journal. */
export async function previewRollback(
  parts: PlanParts,
  control: ControlView,
  id: string,
): Promise<PlanPreview> {
  const { kinds, config, clock, log } = parts;
  const record = planIn(control, id, () => false);
  if (record.direction === 'commit' || record.state === 'rolled-back') throw ended(record, 'be taken back');
  checkNewest(control, record);
  const { kind, pair } = record;
  const definition = definitionOf(kinds, kind);
  const parameters = parametersOf(definition, record.parameters);
  const memory = memoryIn(control, id);
  const recall = <T>(key: string) => memory.get(key) as T | undefined;
  const deps = {
    planId: record.id,
    pair,
    config,
    clock,
    log: log.child({ plan: id, pair }),
    control,
    recall,
  };
  const context = await definition.context(parameters, deps);
  try {
    const forward = definition.steps(context);
    checkWayBack(forward, context, record);
    const own = definition.rollbackSteps?.(context, asFound(record)) ?? [];
    const findings =
      own.length > 0 && record.direction !== 'back' ? await findingsBefore(definition, context, record) : [];
    const sentence = `Take back: ${definition.sentence(parameters, pair)}`;
    const steps =
      own.length > 0 ? await previewSteps(own, context, recall) : previewUndo(forward, context, record);
    return { kind, pair, sentence, findings, steps };
  } finally {
    await definition.dispose?.(context);
  }
}

/** What a rollback would be refused for is told with what it would do. */
async function findingsBefore(
  definition: AnyPlanDefinition,
  context: unknown,
  record: PlanRecord,
): Promise<Finding[]> {
  try {
    await definition.rollbackPreflight?.(context, record);
    return [];
  } catch (error) {
    const { fromError } = await import('./readiness/index.ts');
    return [fromError({ id: 'rollback', title: 'it can be taken back' }, error)];
  }
}

async function previewSteps<C>(
  steps: readonly PlanStep<C>[],
  context: C,
  recall: StepIo['recall'],
): Promise<PlanPreview['steps']> {
  const previews = [];
  for (const step of steps) {
    const about = {
      name: step.name,
      sentence: step.sentence(context),
      pointOfNoReturn: step.pointOfNoReturn ?? false,
    };
    try {
      previews.push({ ...about, done: await step.isDone(context, previewIo(recall)) });
    } catch (error) {
      previews.push({ ...about, problem: problemOf(error) });
    }
  }
  return previews;
}

function previewUndo<C>(steps: readonly PlanStep<C>[], context: C, record: PlanRecord) {
  return steps
    .filter((step) => hasBegun(record, step.name))
    .reverse()
    .map((step) => ({
      name: step.name,
      sentence: `Take back: ${step.sentence(context)}`,
      done:
        step.undo === undefined || record.steps.some((at) => at.name === step.name && at.state === 'undone'),
      pointOfNoReturn: false,
    }));
}

function hasBegun(record: PlanRecord, name: string): boolean {
  return record.steps.some((step) => step.direction === 'forward' && step.name === name && step.attempts > 0);
}

/** Its rollback has begun, and goes by steps of its own. */
function hasOwnWayBack(record: PlanRecord): boolean {
  return record.steps.some(({ direction }) => direction === 'back');
}

/** Nothing but what can be undone has begun. */
function canBeGivenUp<C>(steps: readonly PlanStep<C>[], record: PlanRecord): boolean {
  return steps.every(
    ({ name, undo }) =>
      undo !== undefined ||
      !record.steps.some((step) => step.direction === 'back' && step.name === name && step.attempts > 0),
  );
}

function checkWayBack<C>(steps: readonly PlanStep<C>[], context: C, record: PlanRecord): void {
  const final = steps.find((step) => step.pointOfNoReturn && hasBegun(record, step.name));
  if (final === undefined) return;
  throw planErrors.make('PLAN_NO_WAY_BACK', `plan ${record.id} has begun: ${final.sentence(context)}`);
}

/** A later plan that was taken back has left the pair as it found it. */
function checkNewest(control: ControlView, record: PlanRecord): void {
  const newest = plansIn(control, () => false).findLast(
    (plan) => plan.pair === record.pair && (plan.id === record.id || plan.state !== 'rolled-back'),
  );
  if (newest === undefined || newest.id === record.id) return;
  throw planErrors.make('PLAN_SUPERSEDED', `plan ${newest.id} (${newest.kind}) began after ${record.id}`);
}

function previewIo(recall: StepIo['recall']): StepIo {
  return {
    signal: new AbortController().signal,
    progress: () => {},
    runs: 0,
    note: () => {},
    remember: () => Promise.reject(new Error('a dry run remembers nothing')),
    recall,
  };
}

/** Has begun and not ended. */
function isOpen({ state }: PlanRecord): boolean {
  return state === 'running' || state === 'interrupted' || state === 'failed';
}

function definitionOf(kinds: PlanKinds, kind: string): AnyPlanDefinition {
  const definition = kinds.get(kind);
  if (definition !== undefined) return definition;
  throw planErrors.make('PLAN_KIND_UNKNOWN', `there is no kind of plan \`${kind}\``);
}

function parametersOf(definition: AnyPlanDefinition, given: unknown): unknown {
  const parsed = definition.parameters.safeParse(given);
  if (parsed.success) return parsed.data;
  throw planErrors.make('PLAN_PARAMETERS_INVALID', `${definition.kind}: ${z.prettifyError(parsed.error)}`);
}

/** As it reads when it comes back from the journal. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function refuseRed(findings: readonly Finding[], force: boolean): void {
  const red = findings.filter(({ state }) => state === 'red');
  const [first] = red;
  if (first === undefined || force) return;
  const others = red.length > 1 ? ` (and ${red.length - 1} more)` : '';
  throw planErrors.make('PLAN_REFUSED', `${first.title}: ${first.detail}${others}`, {
    details: { findings },
    remedy: `${first.remedy.replace(/\.$/, '')}; or overrule it: --reason TEXT`,
  });
}

function checkNames(steps: readonly PlanStep<unknown>[]): void {
  const names = new Set(steps.map((step) => step.name));
  if (names.size < steps.length) throw new Error('two steps of a plan have one name');
}

function checkSame(
  record: PlanRecord,
  direction: PlanDirection,
  steps: readonly { readonly name: string }[],
): void {
  const now = steps.map((step) => step.name);
  const then = record.steps.filter((step) => step.direction === direction).map((step) => step.name);
  if (isDeepStrictEqual(then, now)) return;
  throw planErrors.make(
    'PLAN_STEPS_CHANGED',
    `plan ${record.id} began with the steps ${then.join(', ') || '(none)'}; here they are ${now.join(', ') || '(none)'}`,
  );
}

function listOf<C>(steps: readonly PlanStep<C>[], context: C) {
  return steps.map((step) => ({ name: step.name, sentence: step.sentence(context) }));
}

function runEvent(
  direction: PlanDirection,
  { by, reason }: PlanCaller,
  steps?: ReturnType<typeof listOf>,
): PlanEvent {
  return {
    e: 'run',
    direction,
    by,
    ...(reason === undefined ? {} : { reason }),
    ...(steps === undefined ? {} : { steps }),
  };
}

function underWay(plan: PlanRecord, but?: string): Error {
  const what = `pair ${plan.pair} has plan ${plan.id} (${plan.kind}, ${plan.state}${but === undefined ? '' : `, ${but}`})`;
  return planErrors.make('PLAN_UNDER_WAY', what, {
    details: { pair: plan.pair, plan: plan.id, kind: plan.kind, state: plan.state },
    remedy:
      plan.state === 'running'
        ? `Wait for it; see: understudy plan show ${plan.id}`
        : `Go on with it: understudy plan resume ${plan.id} · or take it back: understudy plan rollback ${plan.id}`,
  });
}

function ended(plan: PlanRecord, what: string): Error {
  return planErrors.make('PLAN_ENDED', `plan ${plan.id} is ${plan.state} and cannot ${what}`);
}
