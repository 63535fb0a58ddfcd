/**
 * Goal: `kill -9` anywhere in a plan, and it still ends right, with every act done exactly once, or taken back exactly once. Method: a
 * child runs a random plan over a ledger and is killed before the intent, after it, when a step has remembered, between its acts, after the act and after
 * the outcome, for every step; then the plan is gone on with, and in a copy of the folder it is taken back. The same for the rollback.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '../lab/temp.ts';
import {
  actsOf,
  by,
  Ledger,
  ledgerPlan,
  openEngine,
  prepareWorld,
  quiet,
  type StepShape,
  shapesOf,
} from './ledger-world.ts';

const seed = process.env['UNDERSTUDY_SEED'] ?? String(Math.floor(Math.random() * 1e9));
console.log(`# UNDERSTUDY_SEED=${seed}`);
const shapes = shapesOf(seed);
const ours = shapes.filter((shape) => !shape.already);

async function child(dir: string, mode: 'run' | 'rollback', crashAt?: string): Promise<string | null> {
  const running = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'plan-child.ts'), dir, seed, mode],
    {
      env: { ...process.env, ...(crashAt === undefined ? {} : { UNDERSTUDY_CRASH_AT: crashAt }) },
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  return new Promise((resolve) => running.on('close', (_, signal) => resolve(signal)));
}

/** What the ledger says when every act of every step was done once, in order. */
function allDone(): readonly string[] {
  return [...shapes.filter((shape) => shape.already), ...ours].flatMap(actsOf);
}

/** Every act at most once, undone exactly once where it can be, and in reverse order. */
function assertTakenBack(lines: readonly string[]): void {
  const done = lines.filter((line) => !line.startsWith('-'));
  const undone = lines.filter((line) => line.startsWith('-')).map((line) => line.slice(1));
  assert.deepEqual(done, allDone().slice(0, done.length), 'in order, each once');
  const reversible = (act: string) => ours.some((shape) => shape.undo && actsOf(shape).includes(act));
  assert.deepEqual(undone, done.filter(reversible).reverse(), 'what can be taken back is, the last first');
}

async function goOn(dir: string): Promise<void> {
  const { engine, close } = await openEngine(dir, [ledgerPlan(dir) as never]);
  try {
    const request = { kind: 'ledger', pair: 'p', parameters: { seed }, by };
    const before = engine.list().at(-1);
    const { plan, resumed } =
      before?.state === 'done' ? { plan: before, resumed: true } : await engine.run(request, quiet);
    assert.equal(plan.state, 'done');
    assert.equal(resumed, before !== undefined, 'the plan that was interrupted is gone on with');
    assert.deepEqual(plan.report, { lines: allDone().length, steps: shapes.length });
    assert.equal(engine.list().length, 1);
    for (const step of plan.steps) assert.match(step.state, /^(done|already)$/);
  } finally {
    await close();
  }
  assert.deepEqual(new Ledger(dir).lines, allDone());
}

async function takeBack(dir: string): Promise<void> {
  const { engine, close } = await openEngine(dir, [ledgerPlan(dir) as never]);
  try {
    const plan = engine.list().at(-1);
    if (plan === undefined) return;
    if (plan.state !== 'rolled-back') await engine.rollback(plan.id, { by }, quiet);
    assert.equal(engine.show(plan.id).state, 'rolled-back');
  } finally {
    await close();
  }
  assertTakenBack(new Ledger(dir).lines);
}

function pointsOf(shape: StepShape): readonly string[] {
  const step = `plan.${shape.name}`;
  if (shape.already && !shape.always) return [`${step}.after-outcome`];
  const middle = shape.already ? [] : actsOf(shape).map((act) => `world.${act}`);
  return [
    `${step}.before-intent`,
    `${step}.after-intent`,
    `${step}.remembered`,
    ...middle.slice(0, -1),
    `${step}.after-act`,
    `${step}.after-outcome`,
  ];
}

describe('a plan killed', () => {
  for (const point of shapes.flatMap(pointsOf)) {
    it(`at ${point}`, async () => {
      const folder = temporaryDirectory('plan');
      const copy = temporaryDirectory('plan');
      try {
        prepareWorld(folder.path, seed);
        assert.equal(await child(folder.path, 'run', point), 'SIGKILL');
        cpSync(folder.path, copy.path, { recursive: true });
        await goOn(folder.path);
        await takeBack(copy.path);
      } finally {
        folder.remove();
        copy.remove();
      }
    });
  }
});

describe('a rollback killed', () => {
  const points = ours
    .filter((shape) => shape.undo)
    .flatMap((shape) => [
      `plan.${shape.name}.undo.before-intent`,
      `plan.${shape.name}.undo.after-intent`,
      ...actsOf(shape).map((act) => `world.undo.${act}`),
      `plan.${shape.name}.undo.after-act`,
      `plan.${shape.name}.undo.after-outcome`,
    ]);
  for (const point of points) {
    it(`at ${point}`, async () => {
      const folder = temporaryDirectory('plan');
      try {
        prepareWorld(folder.path, seed);
        await goOn(folder.path);
        assert.equal(await child(folder.path, 'rollback', point), 'SIGKILL');
        await takeBack(folder.path);
      } finally {
        folder.remove();
      }
    });
  }
});

describe('a plan stopped after any number of steps', () => {
  for (let steps = 0; steps <= shapes.length; steps += 1) {
    it(`${steps}: goes on, and can be taken back`, async () => {
      const folder = temporaryDirectory('plan');
      const copy = temporaryDirectory('plan');
      try {
        prepareWorld(folder.path, seed);
        await stopAfter(folder.path, steps);
        rmSync(copy.path, { recursive: true });
        cpSync(folder.path, copy.path, { recursive: true });
        await goOn(folder.path);
        await takeBack(copy.path);
      } finally {
        folder.remove();
        copy.remove();
      }
    });
  }

  it('restarted after every step: ends as in one go', async () => {
    const folder = temporaryDirectory('plan');
    try {
      prepareWorld(folder.path, seed);
      for (let steps = 0; steps < shapes.length; steps += 1) await stopAfter(folder.path, steps);
      await goOn(folder.path);
    } finally {
      folder.remove();
    }
  });
});

/** Interrupts the plan when so many of its steps have ended. */
async function stopAfter(dir: string, steps: number): Promise<void> {
  const stop = new AbortController();
  const definition = ledgerPlan(dir);
  const { engine, close } = await openEngine(dir, [
    {
      ...definition,
      steps: (ledger: Ledger) =>
        definition.steps(ledger).map((step, at) => ({
          ...step,
          isDone: async (...call: Parameters<typeof step.isDone>) => {
            const isDone = await step.isDone(...call);
            if (at + 1 >= steps && isDone) stop.abort();
            return isDone;
          },
          run: async (...call: Parameters<typeof step.run>) => {
            const outcome = await step.run(...call);
            if (at + 1 >= steps) stop.abort();
            return outcome;
          },
        })),
    } as never,
  ]);
  try {
    if (steps === 0) stop.abort();
    const request = { kind: 'ledger', pair: 'p', parameters: { seed }, by };
    const { plan } = await engine.run(request, { ...quiet, signal: stop.signal });
    const ended = plan.steps.filter(({ state }) => state === 'done' || state === 'already').length;
    assert.equal(ended, steps);
    assert.equal(plan.state, steps === shapes.length ? 'done' : 'interrupted');
  } finally {
    await close();
  }
}
