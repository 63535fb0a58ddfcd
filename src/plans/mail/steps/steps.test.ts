/** Goal: what was found different stays found until that account is compared again, and nobody is moved while sessions go on unseen. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Lsn } from '../../../journal/index.ts';
import { systemClock } from '../../../lib/index.ts';
import type { StepIo } from '../../index.ts';
import { type Memory, recall, type TakeOver } from '../context.ts';
import type { QuickReport, SessionsEnded, TakeOverPorts } from '../ports.ts';
import { quickCertificate } from './finish.ts';
import { endSessionsFirmly } from './sessions.ts';

const AT = { lsn: 7 as Lsn, time: 0 };
const ACCOUNTS = ['a', 'b', 'c', 'd'];

/** Accounts that differ on the standby, whatever is repaired. */
class World {
  readonly differing = new Set<string>();
  ended: SessionsEnded = { accounts: [] };
  readonly notes: string[] = [];
  readonly memory = new Map<string, unknown>();

  get context(): TakeOver {
    const compare = (accounts: readonly string[]): QuickReport => {
      const found = accounts.filter((account) => this.differing.has(account));
      const differences = found.map((account) => ({
        account,
        mailbox: 'INBOX',
        what: 'uidnext' as const,
        expected: '2',
        found: '1',
      }));
      return { equal: found.length === 0, accounts: accounts.length, differences };
    };
    const ports: Partial<TakeOverPorts> = {
      clock: systemClock,
      withReader: (_, work) => work({ catalog: { accountNames: () => ACCOUNTS } } as never),
      standby: {
        quickCompare: async (_: unknown, { accounts = ACCOUNTS }: { accounts?: readonly string[] }) =>
          compare(accounts),
        bringUp: async () => ({ accounts: 0, problems: [], kept: [], notKept: [], repaired: [] }),
      } as never,
      sessions: { end: async () => this.ended } as never,
    };
    const move = { plan: 'p', pair: 'mail', from: 'mail-a', to: 'mail-b' };
    return { ports, parameters: {}, place: {}, move, rehomes: [] } as never;
  }

  io(more: Partial<StepIo> = {}): StepIo {
    return {
      signal: new AbortController().signal,
      progress: () => {},
      runs: 1,
      note: (text) => this.notes.push(text),
      remember: async (key, value) => void this.memory.set(key, value),
      recall: <T>(key: string) => this.memory.get(key) as T | undefined,
      ...more,
    };
  }

  recall<K extends keyof Memory>(key: K): Memory[K] | undefined {
    return recall(this.io(), key);
  }
}

describe('the certificate of the last changes', () => {
  it('is of all accounts, and keeps what was found different in others', async () => {
    const world = new World();
    world.differing.add('a');
    const first = await quickCertificate(world.context, world.io(), AT, []);
    assert.deepEqual([first.equal, first.accounts], [false, 4]);
    const last = await quickCertificate(world.context, world.io(), AT, [], ['b', 'c'], first);
    assert.deepEqual([last.equal, last.accounts, last.repairedAccounts], [false, 4, 1]);
    assert.deepEqual(
      (last.differences as unknown as QuickReport['differences']).map(({ account }) => account),
      ['a'],
    );
    assert.deepEqual(
      world.recall('problems')?.map(({ account, code }) => [account, code]),
      [['a', 'TAKEOVER_STANDBY_DIFFERS']],
    );
  });

  it('is equal once what was different has changed and is equal', async () => {
    const world = new World();
    world.differing.add('a');
    const first = await quickCertificate(world.context, world.io(), AT, []);
    world.differing.clear();
    const last = await quickCertificate(world.context, world.io(), AT, [], ['a', 'b'], first);
    assert.deepEqual([last.equal, last.accounts, last.differences], [true, 4, []]);
    assert.deepEqual(world.recall('problems'), []);
  });
});

describe('what had kept accounts from being brought up', () => {
  const problem = (step: string, account: string) => ({
    step,
    account,
    code: 'X',
    message: 'x',
    remedy: 'x',
  });

  it('is over for those that the comparison finds equal, and stays for others', async () => {
    const world = new World();
    world.differing.add('b');
    world.memory.set('problems', [
      problem('finish', 'a'),
      problem('finish', 'b'),
      problem('rebind', 'a'),
      problem('pass', 'a'),
    ]);
    await quickCertificate(world.context, world.io(), AT, []);
    assert.deepEqual(
      world.recall('problems')?.map(({ step, account }) => [step, account]),
      [
        ['finish', 'b'],
        ['rebind', 'a'],
        ['pass', 'a'],
        ['quick', 'b'],
      ],
    );
  });
});

describe('sessions that cannot be ended', () => {
  const ended = { why: 'the key may not', remedy: 'Let it.' };

  it('stop a switchover where only the directory keeps people off', async () => {
    const world = new World();
    world.ended = ended;
    await assert.rejects(endSessionsFirmly(world.context, world.io()), {
      code: 'TAKEOVER_SESSIONS_GO_ON',
      remedy: 'Let it.',
    });
  });

  it('are told where there is a reason to go on, or a front door', async () => {
    const world = new World();
    world.ended = ended;
    await endSessionsFirmly(world.context, world.io({ reason: 'nobody is there' }));
    await endSessionsFirmly({ ...world.context, rehomes: [{ holds: true }] as never }, world.io());
    assert.equal(world.notes.length, 2);
    for (const note of world.notes) assert.match(note, /the key may not.*by hand/);
  });
});
