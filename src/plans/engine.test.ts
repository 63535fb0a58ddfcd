/** Goal: what an operator may rely on when plans are begun, refused, gone on with, taken back and made final. Method: plans over a ledger file. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { z } from 'zod';
import { temporaryDirectory } from '../../tests/lab/temp.ts';
import { by, Ledger, openEngine, quiet } from '../../tests/plans/ledger-world.ts';
import { ControlReader } from '../control/index.ts';
import { defineErrors } from '../lib/index.ts';
import { type Finding, type PlanDefinition, type PlanEngine, type PlanStep, SERVICE } from './index.ts';

const errors = defineErrors({
  TEST_LATER: { kind: 'failed', retry: 'later', summary: 'x.', remedy: 'Wait.' },
  TEST_REPAIR: { kind: 'failed', retry: 'after-repair', summary: 'x.', remedy: 'Plug it in.' },
});

let folder: ReturnType<typeof temporaryDirectory>;
let ledger: Ledger;
beforeEach(() => {
  folder = temporaryDirectory('engine');
  ledger = new Ledger(folder.path);
});
afterEach(() => folder.remove());

function step(name: string, more: Partial<PlanStep<Ledger>> = {}): PlanStep<Ledger> {
  return {
    name,
    sentence: () => `Do ${name}`,
    isDone: async () => ledger.has(name),
    run: async () => ledger.add(name),
    undo: async () => {
      if (ledger.has(name)) ledger.add(`-${name}`);
    },
    retries: { times: 3, pauseMs: 1 },
    ...more,
  };
}

/** One that cannot be taken back. */
function final(name: string, more: Partial<PlanStep<Ledger>> = {}): PlanStep<Ledger> {
  const { undo: _, ...rest } = step(name, more);
  return rest;
}

function plan(
  kind: string,
  steps: readonly PlanStep<Ledger>[],
  more: Partial<PlanDefinition<object, Ledger>> = {},
): PlanDefinition<object, Ledger> {
  return {
    kind,
    parameters: z.object({ at: z.int().optional() }),
    sentence: () => `Do it all`,
    context: async () => ledger,
    steps: () => steps,
    preflight: async () => [],
    ...more,
  };
}

async function withEngine(
  definitions: readonly PlanDefinition<object, Ledger>[],
  work: (engine: PlanEngine) => Promise<void>,
): Promise<void> {
  const { engine, close } = await openEngine(folder.path, definitions as never);
  try {
    await work(engine);
  } finally {
    await close();
  }
}

const asked = (kind: string, pair = 'p') => ({ kind, pair, parameters: {}, by });

test('two operators press at once: one plan runs, the other is refused and told which; another pair is free', async () => {
  await withEngine([plan('move', [step('a')])], async (engine) => {
    const [first, second, other] = await Promise.allSettled([
      engine.run(asked('move'), quiet),
      engine.run(asked('move'), quiet),
      engine.run(asked('move', 'q'), quiet),
    ]);
    assert.equal(first.status, 'fulfilled');
    assert.equal((second as PromiseRejectedResult).reason.code, 'PLAN_UNDER_WAY');
    assert.equal(other.status, 'fulfilled');
  });
});

test('a failed plan says what to do; another kind and other parameters are refused; the same goes on', async () => {
  let broken = true;
  const steps = [
    step('a'),
    step('b', {
      run: async () => {
        if (broken) throw errors.make('TEST_REPAIR', 'no power');
        ledger.add('b');
      },
    }),
  ];
  await withEngine([plan('move', steps), plan('drill', [])], async (engine) => {
    const { plan: failed } = await engine.run(asked('move'), quiet);
    assert.equal(failed.state, 'failed');
    assert.equal(failed.problem?.code, 'TEST_REPAIR');
    assert.match(
      failed.problem.remedy,
      new RegExp(`Plug it in.*plan resume ${failed.id}.*plan rollback ${failed.id}`),
    );
    assert.match(failed.id, /^\d{8}-[0-9a-f]{4}$/);
    assert.equal(failed.by, by);
    await assert.rejects(engine.run(asked('drill'), quiet), { code: 'PLAN_UNDER_WAY' });
    await assert.rejects(engine.run({ ...asked('move'), parameters: { at: 1 } }, quiet), {
      code: 'PLAN_UNDER_WAY',
      message: /other parameters/,
    });
    await assert.rejects(engine.commit(failed.id, { by }, quiet), { code: 'PLAN_NOT_DONE' });
    broken = false;
    const { plan: done, resumed } = await engine.run(asked('move'), quiet);
    assert.deepEqual([done.id, done.state, resumed, done.runs.length], [failed.id, 'done', true, 2]);
    assert.deepEqual(ledger.lines, ['a', 'b']);
  });
});

test('an error that passes by itself is tried again, and asked before; one that stays fails the plan', async () => {
  let tries = 0;
  const flaky = step('a', {
    run: async () => {
      tries += 1;
      ledger.add('a');
      throw errors.make('TEST_LATER', 'the answer was lost');
    },
  });
  const stuck = step('b', {
    run: async () => {
      tries += 1;
      throw errors.make('TEST_LATER', 'no');
    },
  });
  await withEngine([plan('move', [flaky, stuck])], async (engine) => {
    const { plan: failed } = await engine.run(asked('move'), quiet);
    assert.deepEqual(
      failed.steps.map((at) => at.state),
      ['done', 'failed'],
    );
    assert.equal(tries, 1 + 3, 'the first had worked although its answer was lost');
    assert.deepEqual(ledger.lines, ['a']);
  });
});

test('a red finding refuses and leaves nothing behind; forced with a reason it is recorded', async () => {
  const red: Finding = { id: 'x', title: 'fence', state: 'red', detail: 'none', remedy: 'Make one.' };
  await withEngine([plan('move', [step('a')], { preflight: async () => [red] })], async (engine) => {
    await assert.rejects(engine.run(asked('move'), quiet), { code: 'PLAN_REFUSED', kind: 'refused' });
    await assert.rejects(engine.run({ ...asked('move'), force: true, reason: ' ' }, quiet), {
      code: 'PLAN_REASON_MISSING',
    });
    assert.deepEqual(engine.list(), []);
    assert.deepEqual(ledger.lines, []);
    const { plan: done } = await engine.run({ ...asked('move'), force: true, reason: 'fire' }, quiet);
    assert.deepEqual([done.forced, done.reason, done.findings], [true, 'fire', [red]]);
  });
});

test('a dry run tells each step, whether it is done, and what cannot be asked; it writes nothing', async () => {
  ledger.add('a');
  const mute = step('c', {
    isDone: async () => {
      throw errors.make('TEST_LATER', 'silent');
    },
  });
  await withEngine([plan('move', [step('a'), step('b'), mute])], async (engine) => {
    const { steps } = await engine.preview(asked('move'));
    assert.deepEqual(
      steps.map(({ sentence, done, problem }) => [sentence, done ?? problem?.code]),
      [
        ['Do a', true],
        ['Do b', false],
        ['Do c', 'TEST_LATER'],
      ],
    );
    const reader = await ControlReader.open({ dir: join(folder.path, 'control') });
    assert.deepEqual([...reader.entries()], []);
    await reader.close();
    assert.deepEqual(ledger.lines, ['a']);
  });
});

test('interrupted in a step that listens: it stops, goes on later, and a rollback is told beforehand', async () => {
  const slow = step('b', {
    run: async (_, io) => {
      await new Promise((_resolve, reject) =>
        io.signal.addEventListener('abort', () => reject(io.signal.reason)),
      );
    },
  });
  await withEngine([plan('move', [step('a'), slow])], async (engine) => {
    const running = engine.run(asked('move'), quiet);
    while (engine.list()[0]?.steps[1]?.state !== 'running') await new Promise(setImmediate);
    const { id } = engine.list()[0] as { id: string };
    await assert.rejects(engine.rollback(id, { by }, quiet), { code: 'PLAN_UNDER_WAY' });
    assert.equal(await engine.interrupt(id, { by: 'somebody@else' }), true);
    const { plan: stopped } = await running;
    assert.equal(stopped.state, 'interrupted');
    assert.equal(stopped.stopped?.by, 'somebody@else');
    assert.match(stopped.problem?.message ?? '', /^somebody@else has stopped this plan/);
    assert.deepEqual(
      (await engine.previewRollback(id)).steps.map((at) => at.name),
      ['b', 'a'],
    );
    const { plan: back } = await engine.rollback(id, { by, reason: 'false alarm' }, quiet);
    assert.equal(back.state, 'rolled-back');
    assert.equal(back.runs[1]?.reason, 'false alarm');
    assert.equal(back.stopped, undefined);
    assert.deepEqual(ledger.lines, ['a', '-a']);
  });
});

test('no way back after the point of no return has begun, nor after a commit, nor when a later plan began', async () => {
  await withEngine(
    [plan('burn', [step('a', { pointOfNoReturn: true })]), plan('move', [step('b')])],
    async (engine) => {
      const burnt = await engine.run(asked('burn'), quiet);
      await assert.rejects(engine.rollback(burnt.plan.id, { by }, quiet), { code: 'PLAN_NO_WAY_BACK' });
      const { plan: moved } = await engine.run(asked('move'), quiet);
      await assert.rejects(engine.rollback(burnt.plan.id, { by }, quiet), { code: 'PLAN_SUPERSEDED' });
      assert.equal((await engine.commit(moved.id, { by }, quiet)).plan.state, 'committed');
      assert.equal((await engine.commit(moved.id, { by }, quiet)).plan.state, 'committed', 'may be repeated');
      await assert.rejects(engine.rollback(moved.id, { by }, quiet), { code: 'PLAN_ENDED' });
      await assert.rejects(engine.resume(moved.id, { by }, quiet), { code: 'PLAN_ENDED' });
      assert.throws(() => engine.show('20000101-0000'), { code: 'PLAN_UNKNOWN' });
    },
  );
});

test('a later plan that was taken back stands in nobody’s way', async () => {
  await withEngine([plan('move', [step('a')]), plan('other', [step('b')])], async (engine) => {
    const { plan: first } = await engine.run(asked('move'), quiet);
    const { plan: second } = await engine.run(asked('other'), quiet);
    await assert.rejects(engine.rollback(first.id, { by }, quiet), { code: 'PLAN_SUPERSEDED' });
    await engine.rollback(second.id, { by }, quiet);
    assert.equal((await engine.previewRollback(first.id)).steps.length, 1);
    assert.equal((await engine.rollback(first.id, { by }, quiet)).plan.state, 'rolled-back');
    assert.deepEqual(ledger.lines, ['a', 'b', '-b', '-a']);
  });
});

test('a fence that fell while the plan lay still is made again; what a later step replaced is not', async () => {
  let broken = true;
  const steps = [
    step('fence', { lasting: true }),
    step('hold'),
    step('open', {
      run: async () => {
        if (broken) throw errors.make('TEST_REPAIR', 'x');
        ledger.add('open');
      },
    }),
  ];
  await withEngine([plan('move', steps)], async (engine) => {
    await engine.run(asked('move'), quiet);
    ledger.add('-fence');
    ledger.add('-hold');
    broken = false;
    assert.equal((await engine.run(asked('move'), quiet)).plan.state, 'done');
    assert.deepEqual(ledger.lines, ['fence', 'hold', '-fence', '-hold', 'fence', 'open']);
  });
});

test('a rollback with steps of its own goes on the same way after it failed, and reports', async () => {
  let broken = true;
  const home = final('home', {
    run: async () => {
      if (broken) throw errors.make('TEST_REPAIR', 'x');
      ledger.add('home');
    },
  });
  const definition = plan('move', [step('a')], {
    rollbackSteps: (_, record) => (record.state === 'done' ? [final('carry'), home] : undefined),
    report: async (_, record) => ({ state: record.state }),
  });
  await withEngine([definition], async (engine) => {
    const { plan: done } = await engine.run(asked('move'), quiet);
    assert.deepEqual(done.report, { state: 'done' });
    assert.equal((await engine.rollback(done.id, { by }, quiet)).plan.state, 'failed');
    broken = false;
    const { plan: back, resumed } = await engine.rollback(done.id, { by }, quiet);
    assert.deepEqual([back.state, resumed, back.report], ['rolled-back', true, { state: 'rolled-back' }]);
    assert.deepEqual(ledger.lines, ['a', 'carry', 'home']);
  });
});

test('a rollback that fails while it can be undone is given up: the plan is as before, and stands in nobody’s way', async () => {
  let broken = true;
  const reasons: (string | undefined)[] = [];
  const wait = step('wait', {
    run: async (_, io) => {
      ledger.add('wait');
      reasons.push(io.reason);
      if (broken) throw errors.make('TEST_REPAIR', 'it is dead');
    },
  });
  const definition = plan('move', [step('a')], { rollbackSteps: () => [step('free'), wait, final('home')] });
  await withEngine([definition, plan('other', [])], async (engine) => {
    const { plan: done } = await engine.run(asked('move'), quiet);
    const { plan: stays } = await engine.rollback(done.id, { by, reason: 'that time' }, quiet);
    assert.deepEqual([stays.state, stays.direction, stays.problem?.code], ['done', 'forward', 'TEST_REPAIR']);
    assert.match(
      stays.problem?.remedy ?? '',
      new RegExp(`Plug it in.*rollback ${done.id}.*commit ${done.id}`),
    );
    assert.deepEqual(ledger.lines, ['a', 'free', 'wait', '-wait', '-free']);
    broken = false;
    const { plan: back, resumed } = await engine.rollback(done.id, { by }, quiet);
    assert.deepEqual([back.state, resumed], ['rolled-back', false]);
    assert.deepEqual(ledger.lines.slice(5), ['free', 'wait', 'home']);
    assert.deepEqual(reasons, ['that time', undefined], 'what was said for the one counts for that one');
    assert.deepEqual(
      back.steps.map(({ direction, name, state }) => [direction, name, state]),
      [
        ['forward', 'a', 'done'],
        ['back', 'free', 'done'],
        ['back', 'wait', 'done'],
        ['back', 'home', 'done'],
      ],
    );
    assert.equal((await engine.run(asked('other'), quiet)).plan.state, 'done');
  });
  await withEngine([definition], async (engine) => {
    assert.equal(engine.list()[0]?.state, 'rolled-back', 'whoever reads the journal later sees the same');
  });
});

test('a plan whose rollback was given up can be made final', async () => {
  const stuck = step('wait', {
    run: async () => {
      throw errors.make('TEST_REPAIR', 'it is dead');
    },
  });
  await withEngine([plan('move', [step('a')], { rollbackSteps: () => [stuck] })], async (engine) => {
    const { plan: done } = await engine.run(asked('move'), quiet);
    await engine.rollback(done.id, { by }, quiet);
    const { plan: final } = await engine.commit(done.id, { by }, quiet);
    assert.deepEqual([final.state, final.problem], ['committed', undefined]);
  });
});

test('steps that are others by now keep a plan from being gone on with or undone, not from being made final or taken back otherwise', async () => {
  const definitions = (name: string, broken: boolean) => {
    const stuck = step(`stuck-${name}`, {
      run: async () => {
        if (broken) throw errors.make('TEST_REPAIR', 'x');
        ledger.add(name);
      },
    });
    const own = { rollbackSteps: () => [final('home')] };
    return [plan('kept', [step(name)], own), plan('undone', [step(name)]), plan('stuck', [stuck])];
  };
  await withEngine(definitions('then', true), async (engine) => {
    await engine.run(asked('kept'), quiet);
    await engine.run(asked('undone', 'q'), quiet);
    await engine.run(asked('stuck', 'q'), quiet);
  });
  await withEngine(definitions('now', false), async (engine) => {
    const idOf = (kind: string) => engine.list().find((one) => one.kind === kind)?.id ?? '';
    const [kept, undone, stuck] = [idOf('kept'), idOf('undone'), idOf('stuck')];
    const changed = { code: 'PLAN_STEPS_CHANGED' };
    await assert.rejects(engine.resume(stuck, { by }, quiet), changed);
    await assert.rejects(engine.rollback(stuck, { by }, quiet), changed);
    assert.deepEqual([engine.show(stuck).state, engine.show(stuck).runs.length], ['failed', 1]);
    assert.equal((await engine.commit(undone, { by }, quiet)).plan.state, 'committed');
    assert.equal((await engine.rollback(kept, { by }, quiet)).plan.state, 'rolled-back');
  });
});

test('what stands against a rollback is told before anything is journaled', async () => {
  const definition = plan('move', [step('a')], {
    rollbackSteps: () => [final('home')],
    rollbackPreflight: async () => {
      throw errors.make('TEST_REPAIR', 'it is dead');
    },
  });
  await withEngine([definition], async (engine) => {
    const { plan: done } = await engine.run(asked('move'), quiet);
    await assert.rejects(engine.rollback(done.id, { by }, quiet), { code: 'TEST_REPAIR' });
    const { findings, steps } = await engine.previewRollback(done.id);
    assert.deepEqual(
      findings.map(({ state, remedy }) => [state, remedy]),
      [['red', 'Plug it in.']],
    );
    assert.equal(steps.length, 1);
    const { state, runs } = engine.show(done.id);
    assert.deepEqual([state, runs.length], ['done', 1]);
  });
});

test('a reason counts from when a person gives it, for the way that they then go', async () => {
  const heard: (string | undefined)[] = [];
  const careful = (name: string) =>
    final(name, {
      run: async (_, io) => {
        heard.push(io.reason);
        if (heard.length < 3 || io.reason === undefined) throw errors.make('TEST_REPAIR', 'unsafe');
        ledger.add(name);
      },
    });
  const definition = plan('move', [careful('a')], { rollbackSteps: () => [careful('home')] });
  await withEngine([definition], async (engine) => {
    const { plan: failed } = await engine.run(asked('move'), quiet);
    await engine.resume(failed.id, { by: SERVICE, reason: 'the service started again' }, quiet);
    const { plan: done } = await engine.resume(failed.id, { by, reason: 'it can wait' }, quiet);
    assert.equal(done.state, 'done');
    assert.equal((await engine.rollback(done.id, { by }, quiet)).plan.state, 'failed');
    await engine.rollback(done.id, { by, reason: 'leave it' }, quiet);
  });
  assert.deepEqual(heard, [undefined, undefined, 'it can wait', undefined, 'leave it']);
});

test('notes and outcomes are in the record, also for whoever reads it later', async () => {
  const told = step('a', {
    run: async (_, io) => {
      ledger.add('a');
      io.note('one');
      await io.remember('k', [1]);
      io.note('two');
      return { moved: 3 };
    },
  });
  const after = step('b', { isDone: async () => false, run: async (_, io) => io.recall('k') });
  let id = '';
  await withEngine([plan('move', [told, after])], async (engine) => {
    id = (await engine.run(asked('move'), quiet)).plan.id;
  });
  await withEngine([plan('move', [told, after])], async (engine) => {
    const [a, b] = engine.show(id).steps;
    assert.deepEqual(
      a?.notes.map((note) => note.text),
      ['one', 'two'],
    );
    assert.deepEqual([a?.outcome, b?.outcome], [{ moved: 3 }, [1]]);
    assert.ok(a?.startedAt && a.endedAt && a.durationMs !== undefined);
  });
});
