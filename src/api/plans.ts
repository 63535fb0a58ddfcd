/**
 * Plans as operations reach them: with the engine of a running service, or with one that lives for a single command. Looking works beside
 * whoever has the control journal.
 */
import type { ControlJournal, ControlView } from '../control/index.ts';
import { crashPoint, type Log } from '../lib/index.ts';
import {
  type PlanCaller,
  PlanEngine,
  type PlanOptions,
  type PlanPreview,
  type PlanRecord,
  type PlanRequest,
  type PlanResult,
  planIn,
  plansIn,
  previewPlan,
  previewRollback,
  SERVICE,
} from '../plans/index.ts';
import { isStuck } from '../plans/mail/index.ts';
import type { Core } from './core.ts';
import type { CoreParts } from './in-process.ts';
import type { ServiceThread } from './threads.ts';

/** See `PlanEngine`, which does it. A switchover that cannot go on gives people their server back by itself, whoever ran it: it is rolled back then. */
export interface PlanActions {
  /** Oldest first. */
  list(pair?: string): Promise<readonly PlanRecord[]>;
  /** @throws PLAN_UNKNOWN */
  show(id: string): Promise<PlanRecord>;
  /** Nothing is written. */
  preview(request: PlanRequest): Promise<PlanPreview>;
  previewRollback(id: string): Promise<PlanPreview>;
  run(request: PlanRequest, options: PlanOptions): Promise<PlanResult>;
  resume(id: string, caller: PlanCaller, options: PlanOptions): Promise<PlanResult>;
  rollback(id: string, caller: PlanCaller, options: PlanOptions): Promise<PlanResult>;
  commit(id: string, caller: PlanCaller, options: PlanOptions): Promise<PlanResult>;
  /** Nobody but a person goes on with it then. False where nobody worked on it. @throws PLAN_UNKNOWN, CONTROL_LOCKED when another process may */
  interrupt(id: string, caller: PlanCaller): Promise<boolean>;
  /** What the control journal says now, for roles. */
  withControl<T>(work: (control: ControlView) => Promise<T> | T): Promise<T>;
}

/** What the ports of plans are filled in with: main.ts gives the kinds of plans for it. */
export interface PlanWiring {
  readonly parts: CoreParts;
  /** Vaults, readers and passes, as the operations have them here. */
  readonly core: Core;
  readonly control: ControlView;
  /** For writing; absent where a plan is only looked at. */
  readonly journal?: ControlJournal;
  /** The threads that follow servers; absent in a command of its own. */
  readonly threads?: ReadonlyMap<string, ServiceThread>;
  /** Brings what the service follows and keeps warm in line with who acts; absent in a command of its own. */
  followRoles?(): Promise<void>;
}

/** What a service gives its plans. */
export interface PlanHost {
  readonly threads: ReadonlyMap<string, ServiceThread>;
  followRoles(control: ControlView): Promise<void>;
}

/** The engine of a service, or of one command. */
export interface OpenPlans {
  readonly engine: PlanEngine;
  readonly journal: ControlJournal;
  /** A plan has ended or stopped: what is followed and kept warm is brought in line with that. */
  settled(): Promise<void>;
  /** Interrupts what runs, then closes the journal. */
  close(): Promise<void>;
}

/** @throws CONTROL_LOCKED, CONTROL_UNWRITABLE, CONTROL_DAMAGED, JOURNAL_* */
export async function openPlans(parts: CoreParts, core: Core, host?: PlanHost): Promise<OpenPlans> {
  const { config, adapters, log } = parts;
  const journal = await adapters.openControl(config, log);
  try {
    const wiring = {
      parts,
      core,
      control: journal,
      journal,
      ...(host ? { threads: host.threads, followRoles: () => host.followRoles(journal) } : {}),
    };
    const kinds = await adapters.planKinds(wiring);
    const engine = new PlanEngine({ journal, kinds, config, clock: adapters.clock, log });
    return {
      engine,
      journal,
      settled: async () => {
        try {
          await host?.followRoles(journal);
        } catch (error) {
          // The plan stands as it has ended; what is not followed or kept warm is told by `status` and `check`.
          log.error({ err: error }, 'what is followed could not be brought in line with the plan');
        }
      },
      close: async () => {
        await engine.stop();
        await journal.close();
      },
    };
  } catch (error) {
    await journal.close();
    throw error;
  }
}

/**
 * Goes on with every plan whose process ended in the middle, but for those that somebody has stopped; where that was after the failure of a switchover
 * and before it was taken back, it is taken back. Resolves when none runs any more. Their outcomes are in their records.
 */
export async function resumeInterrupted(plans: OpenPlans, log: Log): Promise<void> {
  const { engine } = plans;
  const caller = { by: SERVICE, reason: 'the service started again' };
  await Promise.all(
    engine
      .list()
      .filter((plan) => (plan.state === 'interrupted' && plan.stopped === undefined) || isStuck(plan))
      .map(async (plan) => {
        const { id } = plan;
        try {
          const options = { signal: new AbortController().signal, progress: () => {} };
          const run = isStuck(plan) ? { plan, resumed: true } : engine.resume(id, caller, options);
          await orGivenBack(engine, run, caller, options);
        } catch (error) {
          log.error({ plan: id, err: error }, 'an interrupted plan could not be gone on with');
        }
        await plans.settled();
      }),
  );
}

/** People may be waiting at the front door: a switchover that cannot go on gives them their server back. */
async function orGivenBack(
  engine: PlanEngine,
  run: PlanResult | Promise<PlanResult>,
  { by }: Pick<PlanCaller, 'by'>,
  options: PlanOptions,
): Promise<PlanResult> {
  const result = await run;
  if (!isStuck(result.plan) || options.signal.aborted) return result;
  crashPoint('plan.given-back.before');
  // Without a reason: nobody has decided to leave anything behind. Why it is taken back is told by the step that failed.
  const { plan } = await engine.rollback(result.plan.id, { by }, options);
  return { plan, resumed: result.resumed };
}

/** The actions of a service, whose engine is open. */
export function planActionsOf({ engine, journal, settled }: OpenPlans): PlanActions {
  const settling = async (work: Promise<PlanResult>) => {
    try {
      return await work;
    } finally {
      await settled();
    }
  };
  return {
    list: async (pair) => engine.list(pair),
    show: async (id) => engine.show(id),
    preview: (request) => engine.preview(request),
    previewRollback: (id) => engine.previewRollback(id),
    run: (request, options) => settling(orGivenBack(engine, engine.run(request, options), request, options)),
    resume: (id, caller, options) =>
      settling(orGivenBack(engine, engine.resume(id, caller, options), caller, options)),
    rollback: (id, caller, options) => settling(engine.rollback(id, caller, options)),
    commit: (id, caller, options) => settling(engine.commit(id, caller, options)),
    interrupt: (id, caller) => engine.interrupt(id, caller),
    withControl: async (work) => work(journal),
  };
}

/** The actions of one command: opens what each needs and closes it after. */
export function planActionsInProcess(parts: CoreParts, core: () => Core): PlanActions {
  const { config, adapters, log } = parts;
  const looking = async <T>(work: (reader: Looking) => Promise<T> | T): Promise<T> => {
    const control = await adapters.readControl(config);
    try {
      // Whoever writes the journal may be working on any plan that has not ended.
      return await work({ control, isRunning: () => control.hasWriter });
    } finally {
      await control.close();
    }
  };
  const acting = async <T>(work: (engine: PlanEngine) => Promise<T>): Promise<T> => {
    const plans = await openPlans(parts, core());
    try {
      return await work(plans.engine);
    } finally {
      await plans.close();
    }
  };
  return {
    list: (pair) =>
      looking(({ control, isRunning }) =>
        plansIn(control, isRunning).filter((plan) => pair === undefined || plan.pair === pair),
      ),
    show: (id) => looking(({ control, isRunning }) => planIn(control, id, isRunning)),
    preview: (request) =>
      looking(async ({ control }) => {
        const kinds = await adapters.planKinds({ parts, core: core(), control });
        return previewPlan({ kinds, config, clock: adapters.clock, log }, control, request);
      }),
    previewRollback: (id) =>
      looking(async ({ control }) => {
        const kinds = await adapters.planKinds({ parts, core: core(), control });
        return previewRollback({ kinds, config, clock: adapters.clock, log }, control, id);
      }),
    run: (request, options) =>
      acting((engine) => orGivenBack(engine, engine.run(request, options), request, options)),
    resume: (id, caller, options) =>
      acting((engine) => orGivenBack(engine, engine.resume(id, caller, options), caller, options)),
    rollback: (id, caller, options) => acting((engine) => engine.rollback(id, caller, options)),
    commit: (id, caller, options) => acting((engine) => engine.commit(id, caller, options)),
    interrupt: (id, caller) => acting((engine) => engine.interrupt(id, caller)),
    withControl: (work) => looking(({ control }) => work(control)),
  };
}

interface Looking {
  readonly control: ControlView;
  readonly isRunning: (id: string) => boolean;
}
