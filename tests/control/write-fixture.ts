/**
 * Writes tests/fixtures/control-v<format>/: a control journal as the service writes it, and what it says. Run by hand once per format version,
 * `node tests/control/write-fixture.ts`; it never replaces a fixture, since that was written by the code of its time.
 */
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ControlJournal, ControlReader, setRoles } from '../../src/control/index.ts';
import { FORMAT_VERSION } from '../../src/journal/segment-header.ts';
import { defineErrors, silentLog, TestClock } from '../../src/lib/index.ts';
import { type PlanDefinition, PlanEngine, type PlanStep, planKinds } from '../../src/plans/index.ts';
import { setMovedAccounts } from '../../src/plans/mail/index.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { config, summaryOf } from './fixture-summary.ts';

const folder = fileURLToPath(new URL(`../fixtures/control-v${FORMAT_VERSION}/`, import.meta.url));
if (existsSync(folder)) throw new Error(`${folder} exists; a fixture is never replaced`);

const errors = defineErrors({
  TEST_NO_POWER: { kind: 'failed', retry: 'after-repair', summary: 'x.', remedy: 'Plug it in.' },
});

const place = temporaryDirectory('control-fixture');
const dir = join(place.path, 'control');
const clock = new TestClock(Date.parse('2026-03-29T01:30:00Z'));
const journal = await ControlJournal.open({ dir, clock, log: silentLog });

/** Acts that stand. */
const world = new Set<string>();
let hasPower = false;

function step(name: string, more: Partial<PlanStep<typeof world>> = {}): PlanStep<typeof world> {
  return {
    name,
    sentence: () => `Do ${name} – größer`,
    isDone: async () => world.has(name),
    run: async (_, io) => {
      clock.advance(1_500);
      await io.remember(`before-${name}`, { accounts: ['alice', 'bob'], host: null });
      io.note(`${name} is done`);
      world.add(name);
      return { acts: 1 };
    },
    undo: async () => {
      clock.advance(500);
      world.delete(name);
    },
    ...more,
  };
}

const needsPower = step('b', {
  run: async () => {
    clock.advance(1_500);
    if (!hasPower) throw errors.make('TEST_NO_POWER', 'no power');
    world.add('b');
  },
});

function move(kind: string, steps: readonly PlanStep<typeof world>[]): PlanDefinition<object, typeof world> {
  return {
    kind,
    parameters: z.object({ at: z.int().optional() }),
    sentence: (_, pair) => `Move ${pair}`,
    context: async () => world,
    steps: () => steps,
    preflight: async () => [
      { id: 'live.fence', title: 'fence', state: 'red', detail: 'none', remedy: 'Make one.' },
    ],
    report: async () => ({ lost: 0 }),
  };
}

const kinds = planKinds(
  move('failover', [step('a'), needsPower, step('c')]) as never,
  move('switchover', [step('d'), step('e')]) as never,
  move('drill', [
    step('f'),
    step('g', {
      run: async () => {
        clock.advance(1_500);
        throw errors.make('TEST_NO_POWER', 'no power');
      },
    }),
  ]) as never,
);
const engine = new PlanEngine({ journal, kinds, config, clock, log: silentLog });
const quiet = { signal: new AbortController().signal, progress: () => {} };
const by = 'operator@near-line';
const asked = { parameters: { at: 7 }, by, force: true, reason: 'the room is on fire' };

// One that fails, is gone on with, and made final.
const failed = await engine.run({ ...asked, kind: 'failover', pair: 'mail' }, quiet);
hasPower = true;
clock.advance(60_000);
await engine.resume(failed.plan.id, { by: 'another@near-line' }, quiet);
await setRoles(journal, {
  pair: 'mail',
  acting: 'mail-b',
  former: 'mail-a',
  since: clock.wallMs(),
  plan: failed.plan.id,
});
clock.advance(3_600_000);
await engine.commit(failed.plan.id, { by }, quiet);

// One that is taken back; some accounts had moved meanwhile.
clock.advance(60_000);
const { plan } = await engine.run({ ...asked, kind: 'switchover', pair: 'other' }, quiet);
const some = { pair: 'other', server: 'mail-d', plan: plan.id };
await setMovedAccounts(journal, { ...some, accounts: ['carol', 'dave'] });
await setMovedAccounts(journal, { ...some, accounts: ['dave'] });
await engine.rollback(plan.id, { by, reason: 'a mistake' }, quiet);

// Of many records; and one that waits for a person.
await journal.append('numbers', 'long', { text: 'ä😀'.repeat(100_000) });
await engine.run({ ...asked, kind: 'drill', pair: 'other' }, quiet);
await engine.stop();
await journal.close();

const reader = await ControlReader.open({ dir });
const summary = summaryOf(reader);
await reader.close();
mkdirSync(folder, { recursive: true });
cpSync(join(dir, 'journal'), join(folder, 'journal'), { recursive: true });
writeFileSync(join(folder, 'expected.json'), `${JSON.stringify(summary, null, 2)}\n`);
place.remove();
