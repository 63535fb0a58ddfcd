/** Goal: "nothing is lost" is said only where all that is known says so. Method: what a plan remembers, in; the sentence and the figure, out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlanRecord } from '../index.ts';
import type { Memory, TakeOver } from './context.ts';
import { failoverRpo, switchoverRpo } from './rpo.ts';

const STARTED = Date.parse('2026-11-30T12:00:00Z');
const context = {
  move: { from: 'mail-a', to: 'mail-b' },
  ports: {
    withReader: (_: string, work: (reader: unknown) => unknown) =>
      work({
        catalog: {
          commitAtOrBefore: () => ({ lsn: 5, time: STARTED - 60_000 }),
          firstCommit: () => ({ lsn: 1, time: STARTED - 3_600_000 }),
        },
      }),
  },
} as unknown as TakeOver;
const record = {
  startedAt: STARTED,
  steps: [{ name: 'rehome', direction: 'forward', state: 'done' }],
} as unknown as PlanRecord;
const certain = {
  committedAt: STARTED - 10,
  lagMs: 0,
  unprotectedEvents: 0,
  setAside: 0,
  synchronous: true,
  sentence: 'as far as it can be known nothing is lost',
};
const knowing =
  (memory: Record<string, unknown>) =>
  <K extends keyof Memory>(key: K) =>
    memory[key] as Memory[K] | undefined;
const problem = (step: string, account: string) => ({ step, account, code: 'X', message: '', remedy: '' });

test('a failover with synchronous protection lost nothing, but where an account is not as the journal has it', async () => {
  const rpo = (memory: Record<string, unknown>) =>
    failoverRpo(context, record, knowing({ loss: certain, ...memory }), undefined);
  assert.deepEqual(await rpo({}), { atMostMs: 0, sentence: certain.sentence });
  const other = { problems: [problem('rebind', 'a')] };
  assert.deepEqual(await rpo(other), { atMostMs: 0, sentence: certain.sentence });

  const held = await rpo({ held: [{ account: 'alice', at: 5, removed: 9, of: 10 }] });
  assert.equal(held.atMostMs, 60_000);
  assert.match(held.sentence, /of alice what came after a burst .* not on mail-b\. Of the rest: as far/);

  const unfinished = await rpo({ problems: [problem('finish', 'bob'), problem('quick', 'bob')] });
  assert.equal(unfinished.atMostMs, 3_600_000);
  assert.match(unfinished.sentence, /bob could not be brought up on mail-b .*Of the rest/);
});

test('what a rollback finds on the former server is not said of the new one', async () => {
  const back = { name: 'carry-back', direction: 'back', state: 'done', attempts: 1 };
  const taken = { ...record, steps: [...record.steps, back] } as unknown as PlanRecord;
  const memory = { loss: certain, problems: [problem('quick', 'alice'), problem('certify', 'alice')] };
  assert.match((await failoverRpo(context, record, knowing(memory), undefined)).sentence, /^Not all/);
  assert.equal((await failoverRpo(context, taken, knowing(memory), undefined)).sentence, certain.sentence);
  assert.match((await switchoverRpo(context, taken, knowing(memory))).sentence, /^Nothing/);
});

test('what a rollback left behind is told, whatever was moved before it', async () => {
  const taken = { ...record, state: 'rolled-back' } as unknown as PlanRecord;
  const memory = { loss: certain, doorOpen: STARTED + 1_000, problems: [problem('pass-back', '*')] };
  for (const rpo of [
    await switchoverRpo(context, taken, knowing(memory)),
    await failoverRpo(context, taken, knowing(memory), undefined),
  ]) {
    assert.match(
      rpo.sentence,
      /what was written on mail-b and could not be carried back to mail-a stayed there/,
    );
  }
  const one = { ...memory, problems: [problem('carry-back', 'alice')] };
  assert.match((await switchoverRpo(context, taken, knowing(one))).sentence, /of alice what was written/);
  assert.match((await switchoverRpo(context, record, knowing(one))).sentence, /^Nothing/, 'given up');
});

test('an earlier state that was asked for is what is missing', async () => {
  const chosen = { lsn: 3 as never, time: STARTED - 1_000 };
  const { atMostMs, sentence } = await failoverRpo(context, record, knowing({}), chosen);
  assert.equal(atMostMs, 1_000);
  assert.match(sentence, /^What is newer than 2026-11-30T11:59:59/);
});

test('what the look behind a switchover has found is told', async () => {
  const found = (more: object) => ({ messages: [], flagsSet: 0, removed: 0, problems: [], ...more });
  const rpo = (stragglers: object) => switchoverRpo(context, record, knowing({ stragglers }));
  assert.match((await rpo(found({}))).sentence, /^Nothing/);
  const messages = [{ result: 'appended' }, { result: 'there' }];
  const late = await rpo(found({ messages, removed: 2, flagsSet: 1 }));
  assert.match(late.sentence, /1 message reached mail-a after the move, and came to mail-b as new mail/);
  assert.match(late.sentence, /2 messages went from mail-a after the move, and stayed on mail-b/);
  assert.match(late.sentence, /flags of 1 message/);
  const failed = await rpo(found({ problems: [problem('sweep', 'carol')] }));
  assert.match(failed.sentence, /late for carol could not be brought to mail-b/);
});
