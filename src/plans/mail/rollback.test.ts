/**
 * Goal: nobody else writes to the server that a rollback restores, and what stands against a rollback names ways out that there are. Method: the steps
 * alone, with a world that notes what is asked of it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lsn } from '../../journal/index.ts';
import type { PlanRecord, PlanStep, StepIo } from '../index.ts';
import type { TakeOver } from './context.ts';
import { rollbackPreflight, rollbackSteps } from './rollback.ts';

const AT = { lsn: 7 as Lsn, time: 1_000 };

interface Given {
  /** The state of the step `fence`; default: not begun. */
  readonly fence?: string;
  readonly state?: string;
  readonly memory?: Readonly<Record<string, unknown>>;
}

function world({ fence = 'pending', state = 'done', memory: given = {} }: Given = {}) {
  const did: string[] = [];
  const act = (what: string) => async () => {
    did.push(what);
  };
  const ports = {
    clock: { monotonicMs: () => did.length * 20_000, sleep: async () => {}, wallMs: () => 2_000 },
    answers: async () => {
      did.push('ask');
      return false;
    },
    warm: () => ({ pause: act('pause') }),
    withReader: async (_: string, work: (reader: unknown) => unknown) =>
      work({ catalog: { lastCommit: () => AT, accountNames: () => ['a'] } }),
    following: { pass: async () => ({ problems: [], accounts: 1 }) },
    standby: {
      features: act('features'),
      bringUp: async () => {
        did.push('bring up');
        return { accounts: 1, problems: [], kept: [], notKept: [], repaired: [] };
      },
      quickCompare: async () => ({ equal: true, accounts: 1, differences: [] }),
    },
  };
  const command = { name: 'power', undoable: true, run: act('fence'), undo: act('unfence') };
  const memory = new Map<string, unknown>(Object.entries(given));
  const io = {
    signal: new AbortController().signal,
    progress: () => {},
    runs: 2,
    note: () => {},
    remember: async (key: string, value: unknown) => void memory.set(key, value),
    recall: (key: string) => memory.get(key),
  } as unknown as StepIo;
  const context = {
    ports,
    parameters: {},
    pair: { failover: {} },
    move: { plan: '20261130-abcd', pair: 'mail', from: 'mail-b', to: 'mail-a' },
    rehomes: [],
    fences: [command],
  } as unknown as TakeOver;
  const record = {
    state,
    steps: [
      { name: 'rehome', direction: 'forward', state: 'done', attempts: 1 },
      { name: 'fence', direction: 'forward', state: fence, attempts: fence === 'pending' ? 0 : 1 },
    ],
  } as unknown as PlanRecord;
  const step = (name: string) =>
    rollbackSteps(context, record)?.find((one) => one.name === name) as PlanStep<TakeOver>;
  return {
    did,
    preflight: () => rollbackPreflight(context, record),
    run: (name: string) => step(name).run(context, io),
    undo: async (name: string) => step(name).undo?.(context, io),
  };
}

test('the former server, which may be a standby that is kept warm, is written to by nobody else', async () => {
  for (const name of ['unfence', 'carry-ahead', 'carry-back']) {
    const { did, run } = world();
    await run(name);
    assert.equal(did[0], 'pause', `${name}: ${did.join(', ')}`);
    assert.ok(did.length > 1, name);
  }
});

test('a rollback that is given up fences again what the plan had fenced, and nothing else', async () => {
  for (const fence of ['done', 'already', 'failed']) {
    const { did, run, undo } = world({ fence });
    await run('unfence');
    await undo('unfence');
    assert.deepEqual(did, ['pause', 'unfence', 'features', 'fence'], fence);
  }
  const { did, run, undo } = world();
  await run('unfence');
  await undo('unfence');
  assert.deepEqual(did, ['pause', 'features']);
});

test('what stands against it names the ways out that a plan in this state has', async () => {
  const fails = (given: Given, remedy: RegExp) =>
    assert.rejects(world(given).preflight(), { code: 'TAKEOVER_FORMER_UNREACHABLE', remedy });
  await fails(
    { state: 'done' },
    /plan rollback 20261130-abcd · or stay: understudy plan commit 20261130-abcd$/,
  );
  await fails(
    { state: 'failed' },
    /plan rollback 20261130-abcd · or go on with it: understudy plan resume 20261130-abcd$/,
  );
  await fails({ state: 'failed' }, /^Bring mail-b up, then/);
  // It may be silent because of its fence, which is taken back.
  const { did, preflight } = world({ fence: 'done' });
  await preflight();
  assert.deepEqual(did, []);
});

test('a directory that the pair has lost meanwhile is missed before anything is done', async () => {
  const { did, run } = world({
    fence: 'done',
    memory: { bindings: [{ account: 'a', dn: 'uid=a', values: [] }] },
  });
  await assert.rejects(run('unfence') as Promise<unknown>, { code: 'TAKEOVER_DIRECTORY_MISSING' });
  assert.deepEqual(did, []);
});
