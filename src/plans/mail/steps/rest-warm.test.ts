/** Goal: one account that the warm standby could not serve does not cost everybody else a comparison while people wait. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lsn } from '../../../journal/index.ts';
import { systemClock } from '../../../lib/index.ts';
import type { WarmStatus } from '../../../workloads/mail/warm/index.ts';
import type { StepIo } from '../../index.ts';
import type { TakeOver } from '../context.ts';
import { restWarm } from './finish.ts';

const AT = { lsn: 7 as Lsn, time: 0 };

function world(after: Partial<WarmStatus>) {
  const brought: { at: Lsn; accounts?: readonly string[] }[] = [];
  let isPaused = false;
  let asked = 0;
  const status = { source: 'mail-a', target: 'mail-b', phase: 'following', problems: [], incomplete: [] };
  const ports = {
    clock: systemClock,
    config: { pairs: { mail: { live: 'mail-a' } } },
    withReader: (_: string, work: (reader: unknown) => unknown) =>
      work({
        catalog: {
          lastCommit: () => AT,
          accountNames: () => ['a', 'b', 'c', 'd'],
        },
      }),
    warm: () => ({
      status: async () => {
        asked += 1;
        return asked === 1 ? status : { ...status, ...after };
      },
      held: async () => [{ account: 'd', at: 5 as Lsn, removed: 60, of: 60 }],
      caughtUp: async () => {},
      pause: async () => {
        isPaused = true;
      },
    }),
    standby: {
      bringUp: async (_: unknown, request: { at: Lsn; accounts?: readonly string[] }) => {
        assert.ok(isPaused, 'one writes there at a time');
        brought.push(request);
        return { accounts: 0, problems: [], kept: [], notKept: [], repaired: [] };
      },
    },
  };
  const memory = new Map<string, unknown>();
  const io = {
    signal: new AbortController().signal,
    progress: () => {},
    note: () => {},
    remember: async (key: string, value: unknown) => void memory.set(key, value),
    recall: (key: string) => memory.get(key),
  } as unknown as StepIo;
  const move = { plan: 'p', pair: 'mail', from: 'mail-a', to: 'mail-b' };
  const context = { ports, parameters: {}, place: {}, move, rehomes: [] } as unknown as TakeOver;
  return { rest: () => restWarm(context, io), brought };
}

const problem = (account: string) => ({ account, code: 'MAIL_X', message: 'x', remedy: 'x' });

test('who was left out is compared as a whole, held accounts as of their hold, and nobody else', async () => {
  const { rest, brought } = world({
    phase: 'held',
    problems: [problem('b'), problem('d')],
    incomplete: ['c', 'unknown'],
  });
  assert.deepEqual(await rest(), AT);
  assert.deepEqual(brought, [
    { at: 7, accounts: ['b', 'c'] },
    { at: 5, accounts: ['d'] },
  ]);
});

test('nothing is compared where nobody was left out, and everybody where the standby has failed since', async () => {
  const well = world({});
  assert.deepEqual(await well.rest(), AT);
  assert.deepEqual(well.brought, []);
  assert.equal(await world({ phase: 'stalled' }).rest(), undefined);
});
