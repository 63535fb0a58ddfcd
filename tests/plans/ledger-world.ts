/**
 * A world for plans: a file `ledger` in which every act is one line, so that it shows what was done, how often and in which order. A step
 * has one to three acts; `isDone` reads the ledger. Some steps were done before the plan, some cannot be taken back, some remember.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../../src/config/index.ts';
import { ControlJournal } from '../../src/control/index.ts';
import { crashPoint, type Log, Random, silentLog, systemClock } from '../../src/lib/index.ts';
import { type PlanDefinition, PlanEngine, type PlanStep, planKinds } from '../../src/plans/index.ts';

export interface StepShape {
  readonly name: string;
  readonly acts: number;
  readonly undo: boolean;
  readonly lasting: boolean;
  readonly always: boolean;
  /** The world has it before the plan begins. */
  readonly already: boolean;
}

/** The steps of the plan with this seed. */
export function shapesOf(seed: string): readonly StepShape[] {
  const random = new Random(seed);
  return Array.from({ length: random.integer(4, 6) }, (_, at) => ({
    name: `step${at + 1}`,
    acts: random.integer(1, 3),
    undo: random.chance(0.8),
    lasting: random.chance(0.3),
    always: random.chance(0.2),
    already: random.chance(0.15),
  }));
}

export class Ledger {
  readonly #file: string;

  constructor(dir: string) {
    this.#file = join(dir, 'ledger');
  }

  get lines(): readonly string[] {
    return existsSync(this.#file) ? readFileSync(this.#file, 'utf8').trim().split('\n').filter(Boolean) : [];
  }

  /** One `write` to a file opened with O_APPEND: a kill leaves all of it or nothing. */
  add(line: string): void {
    appendFileSync(this.#file, `${line}\n`);
  }

  /** Whether the act stands: done more often than undone. */
  has(act: string): boolean {
    const count = (line: string) => this.lines.filter((candidate) => candidate === line).length;
    return count(act) > count(`-${act}`);
  }
}

export const actsOf = ({ name, acts }: StepShape) =>
  Array.from({ length: acts }, (_, at) => `${name}.${at + 1}`);

/** Fills the ledger with what was there before the plan. */
export function prepareWorld(dir: string, seed: string): void {
  const ledger = new Ledger(dir);
  for (const shape of shapesOf(seed)) if (shape.already) for (const act of actsOf(shape)) ledger.add(act);
}

function stepOf(shape: StepShape): PlanStep<Ledger> {
  const acts = actsOf(shape);
  const run: PlanStep<Ledger>['run'] = async (ledger, io) => {
    // What was there before is not ours to take back; a step that is not asked first has to see to that itself.
    const key = `begun-${shape.name}`;
    if (io.recall(key) === undefined)
      await io.remember(
        key,
        acts.filter((act) => !ledger.has(act)),
      );
    for (const act of acts) {
      if (!ledger.has(act)) ledger.add(act);
      crashPoint(`world.${act}`);
    }
    io.note(`${acts.length} acts`);
    return { acts: acts.length };
  };
  const undo: PlanStep<Ledger>['undo'] = async (ledger, io) => {
    const begun = io.recall<readonly string[]>(`begun-${shape.name}`) ?? [];
    for (const act of [...begun].reverse()) {
      if (ledger.has(act)) ledger.add(`-${act}`);
      crashPoint(`world.undo.${act}`);
    }
  };
  return {
    name: shape.name,
    sentence: () => `Do ${acts.join(', ')}`,
    isDone: async (ledger) => acts.every((act) => ledger.has(act)),
    run,
    ...(shape.undo ? { undo } : {}),
    lasting: shape.lasting,
    always: shape.always,
  };
}

export function ledgerPlan(
  dir: string,
  more: Partial<PlanDefinition<{ seed: string }, Ledger>> = {},
): PlanDefinition<{ seed: string }, Ledger> {
  let shapes: readonly StepShape[] = [];
  return {
    kind: 'ledger',
    parameters: z.object({ seed: z.string() }),
    sentence: ({ seed }) => `Do the steps of ${seed}`,
    context: async ({ seed }) => {
      shapes = shapesOf(seed);
      return new Ledger(dir);
    },
    steps: () => shapes.map(stepOf),
    preflight: async () => [],
    report: async (ledger, record) => ({ lines: ledger.lines.length, steps: record.steps.length }),
    ...more,
  };
}

const server = { live: 'a', standby: 'b' };
export const pairConfig = { file: 'test', pairs: { p: server, q: server } } as unknown as Config;

/** An engine over the control journal in `dir`; ended by `close`. */
export async function openEngine(
  dir: string,
  definitions: readonly PlanDefinition<never, never>[],
  log: Log = silentLog,
): Promise<{ engine: PlanEngine; journal: ControlJournal; close(): Promise<void> }> {
  const clock = systemClock;
  const journal = await ControlJournal.open({ dir: join(dir, 'control'), clock, log });
  const kinds = planKinds(...definitions);
  const engine = new PlanEngine({ journal, kinds, config: pairConfig, clock, log });
  return {
    engine,
    journal,
    close: async () => {
      await engine.stop();
      await journal.close();
    },
  };
}

export const quiet = { signal: new AbortController().signal, progress: () => {} };
export const by = 'tester@lab';
