/**
 * Goal: one account that cannot be moved stops none of the others, and none is left on two servers, or behind without a word. Method: the steps
 * of a plan that unbind and rebind, on a real slapd.
 */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import {
  type Directory,
  ldapDirectory,
  type Rebinding,
  type RebindOptions,
} from '../../src/directory/index.ts';
import { systemClock } from '../../src/lib/index.ts';
import type { StepIo } from '../../src/plans/index.ts';
import { recall, remember, type TakeOver } from '../../src/plans/mail/context.ts';
import { bindBack, rebind, unbind } from '../../src/plans/mail/steps/bindings.ts';
import { hold } from '../../src/plans/mail/steps/switchover.ts';
import type { DoorState, Rehome } from '../../src/rehome/index.ts';
import { requirePackages } from '../lab/packages.ts';
import { PEOPLE, type Slapd, type SlapdOptions, startSlapd } from './slapd.ts';

const skip = requirePackages(['slapd', 'ldap-utils', 'openssl']) ?? false;
const FROM = 'mail-a.example.org';
const TO = 'mail-b.example.org';
const READ_ONLY = `access to dn.base="uid=u00003,${PEOPLE}" by * read`;

/** Entries with this description cannot be written, from one moment to the next. */
const FROZEN = `access to dn.subtree="${PEOPLE}" filter=(description=frozen) by * read`;

class World {
  readonly slapd: Slapd;
  readonly context: TakeOver;
  readonly #memory = new Map<string, unknown>();

  static async start(t: TestContext, options: Partial<SlapdOptions> = {}, isUnbound = true): Promise<World> {
    const slapd = await startSlapd({ accounts: 20, mailHost: FROM, ...options });
    t.after(() => slapd.stop());
    return new World(slapd, isUnbound);
  }

  private constructor(slapd: Slapd, isUnbound: boolean) {
    this.slapd = slapd;
    this.context = {
      ports: { clock: systemClock },
      parameters: {},
      pair: { failover: { unbind: isUnbound } },
      move: { plan: 'p', pair: 'mail', from: 'mail-a', to: 'mail-b' },
      from: { host: FROM },
      to: { host: TO },
      directory: ldapDirectory(slapd.options),
      // Something else than the directory keeps people off the old server.
      rehomes: [{ holds: true }],
      fences: [],
    } as never;
  }

  get io(): StepIo {
    return {
      signal: new AbortController().signal,
      progress: () => {},
      runs: 1,
      note: () => {},
      remember: async (key, value) => void this.#memory.set(key, value),
      recall: <T>(key: string) => this.#memory.get(key) as T | undefined,
    };
  }

  freeze(...accounts: readonly string[]): void {
    for (const account of accounts) this.slapd.set(account, ['frozen'], 'description');
  }

  melt(...accounts: readonly string[]): void {
    for (const account of accounts) this.slapd.set(account, [], 'description');
  }

  get problems() {
    return recall(this.io, 'problems')?.map(({ step, account, code }) => [step, account, code]) ?? [];
  }
}

for (const isUnbound of [true, false]) {
  test(`an entry that we may not write fails alone, also when it is done again; unbind: ${isUnbound}`, {
    skip,
  }, async (t) => {
    const world = await World.start(t, { access: READ_ONLY }, isUnbound);
    const { slapd, context, io } = world;
    const problems = (isUnbound ? ['unbind', 'rebind'] : ['rebind']).map((step) => [
      step,
      'u00003',
      'DIRECTORY_NO_WRITE_RIGHTS',
    ]);
    for (const step of [unbind, unbind, rebind, rebind]) await step.run(context, io);
    assert.deepEqual(await rebind.run(context, io), { accounts: 20, bound: 19 });
    assert.deepEqual(slapd.read('u00003'), [FROM]);
    assert.deepEqual(slapd.read('u00004'), [TO]);
    assert.deepEqual(world.problems, problems);
  });
}

test('a directory that takes nothing at all fails the step, so that it can be done later', {
  skip,
}, async (t) => {
  const { context, io, slapd } = await World.start(t, { database: 'readonly on' });
  await assert.rejects(async () => unbind.run(context, io), { code: 'DIRECTORY_READ_ONLY' });
  assert.deepEqual(slapd.read('u00004'), [FROM]);
});

const FEW = ['u00002', 'u00007'];
const named = (error: { code?: string; details?: { accounts?: readonly string[] } }) => {
  assert.equal(error.code, 'TAKEOVER_DIRECTORY_INCOMPLETE');
  assert.deepEqual(error.details?.accounts, FEW);
  return true;
};

test('who cannot be bound again when people are given their server back is told, and keeps nobody at the door', {
  skip,
}, async (t) => {
  const world = await World.start(t, { access: FROZEN });
  const { slapd, io } = world;
  const led: DoorState[] = [];
  const door: Partial<Rehome> = {
    holds: true,
    undo: async (state) => {
      led.push(state);
      return { clientsMoved: 0, clientsCut: 0, elapsedMs: 0 };
    },
  };
  const context = { ...world.context, rehomes: [door as Rehome] };
  await unbind.run(context, io);
  world.freeze(...FEW);
  await assert.rejects(async () => hold.undo?.(context, io), named);
  assert.deepEqual([slapd.read('u00003'), slapd.read('u00007')], [[FROM], []]);
  assert.deepEqual(led, [{ mode: 'open', server: 'mail-a' }]);
  world.melt(...FEW);
  await hold.undo?.(context, io);
  assert.deepEqual(slapd.read('u00007'), [FROM]);
});

test('who cannot be taken off the new server on the way back is told, so that nobody seems held who is not', {
  skip,
}, async (t) => {
  const world = await World.start(t, { access: FROZEN });
  const { slapd, context, io } = world;
  await unbind.run(context, io);
  await rebind.run(context, io);
  world.freeze(...FEW);
  await assert.rejects(bindBack(context, io, ['bound', 'unbound'], 'unbound'), named);
  assert.deepEqual([slapd.read('u00003'), slapd.read('u00007')], [[], [TO]]);
  world.melt(...FEW);
  assert.equal(await bindBack(context, io, ['bound', 'unbound'], 'unbound'), 20);
  assert.deepEqual(slapd.read('u00007'), []);
});

test('what somebody else has written meanwhile stays when all is bound again, and fails nothing', {
  skip,
}, async (t) => {
  const { slapd, context, io } = await World.start(t);
  await unbind.run(context, io);
  slapd.set('u00005', ['mail-c.example.org']);
  assert.equal(await bindBack(context, io, ['unbound', 'bound']), 19);
  assert.deepEqual([slapd.read('u00004'), slapd.read('u00005')], [[FROM], ['mail-c.example.org']]);
});

test('a host with a spare space, which a directory finds as well, leaves nobody bound to both', {
  skip,
}, async (t) => {
  const { context, io, slapd } = await World.start(t);
  const spaced = Buffer.from(`${FROM.toUpperCase()} `).toString('base64');
  slapd.modify(`dn: ${slapd.dn('u00003')}\nchangetype: modify\nreplace: mailHost\nmailHost:: ${spaced}\n-\n`);
  await unbind.run(context, io);
  assert.deepEqual(slapd.read('u00003'), []);
  assert.equal(await unbind.isDone(context, io), true);
  await rebind.run(context, io);
  assert.deepEqual(slapd.read('u00003'), [TO]);
});

test('who came to the old server after all others were read is told', { skip }, async (t) => {
  const world = await World.start(t);
  const { context, io, slapd } = world;
  slapd.set('u00007', []);
  await unbind.run(context, io);
  slapd.set('u00007', [FROM]);
  await rebind.run(context, io);
  assert.deepEqual(slapd.read('u00007'), [FROM]);
  assert.deepEqual(world.problems, [['rebind', 'u00007', 'TAKEOVER_BOUND_LATE']]);
  assert.equal(await rebind.isDone(context, io), false);
});

test('whoever was at work is bound before all others', { skip }, async (t) => {
  const { context, io } = await World.start(t);
  const directory = context.directory as Directory;
  const order: string[] = [];
  const watched: Directory = Object.assign(Object.create(directory), {
    rebind: (changes: readonly Rebinding[], options: RebindOptions) => {
      order.push(...changes.map(({ account }) => account));
      return directory.rebind(changes, options);
    },
  });
  await unbind.run(context, io);
  await remember(io, 'atWork', ['u00012', 'u00005']);
  await rebind.run({ ...context, directory: watched }, io);
  assert.deepEqual(order.slice(0, 3), ['u00005', 'u00012', 'u00000']);
  assert.equal(order.length, 20);
  assert.equal(await rebind.isDone(context, io), true);
});

test('who is bound to both servers is not done', { skip }, async (t) => {
  const perAccount = () => `mailLocalAddress: ${FROM}\n`;
  const { context, io, slapd } = await World.start(t, { accounts: 2, perAccount }, false);
  const both = { ...slapd.options, serverAttribute: 'mailLocalAddress' };
  const there = { ...context, directory: ldapDirectory(both) };
  slapd.set('u00001', [FROM, TO], 'mailLocalAddress');
  await unbind.run(there, io);
  slapd.set('u00000', [TO], 'mailLocalAddress');
  assert.equal(await rebind.isDone(there, io), false);
  await rebind.run(there, io);
  assert.deepEqual(slapd.read('u00001', 'mailLocalAddress'), [TO]);
  assert.equal(await rebind.isDone(there, io), true);
});
