/**
 * Goal: nobody else writes to the server that a rollback restores, and nothing is done where it could not end. Method: the steps alone, with a world
 * that notes what is asked of it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lsn } from '../../journal/index.ts';
import type { PlanRecord, PlanStep, StepIo } from '../index.ts';
import type { TakeOver } from './context.ts';
import { rollbackSteps } from './rollback.ts';

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
    run: (name: string) => step(name).run(context, io),
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

test('a directory that the pair has lost meanwhile is missed before anything is done', async () => {
  const { did, run } = world({
    fence: 'done',
    memory: { bindings: [{ account: 'a', dn: 'uid=a', values: [] }] },
  });
  await assert.rejects(run('unfence') as Promise<unknown>, { code: 'TAKEOVER_DIRECTORY_MISSING' });
  assert.deepEqual(did, []);
});
