/** Goal: what a person is told of plans has everything that matters in each state: who, why, what was done, what is next. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  printPlanInterrupt,
  printPlanList,
  printPlanPreview,
  printPlanResult,
  printPlanShow,
} from './plan.ts';

type Plan = Parameters<typeof printPlanShow>[0]['plan'];
type Step = Plan['steps'][number];

const at = '2026-11-24T03:00:00.000Z';

function step(name: string, state: Step['state'], more: Partial<Step> = {}): Step {
  return { name, sentence: `Do ${name}`, direction: 'forward', state, attempts: 1, notes: [], ...more };
}

function plan(more: Partial<Plan> = {}): Plan {
  return {
    id: '20261124-1a2b',
    kind: 'failover',
    pair: 'mail',
    sentence: 'Fail over mail: b takes the place of a',
    state: 'done',
    direction: 'forward',
    by: 'root@near',
    forced: false,
    startedAt: at,
    parameters: {},
    findings: [],
    steps: [],
    runs: [{ at, direction: 'forward', by: 'root@near' }],
    ...more,
  };
}

test('a list: a row per plan, and words where there is none', () => {
  assert.equal(printPlanList({ plans: [] }), 'no plans\n');
  const { id, kind, pair, state, by, startedAt } = plan();
  const text = printPlanList({ plans: [{ id, kind, pair, state, by, startedAt, stepsDone: 3, steps: 11 }] });
  assert.match(text, /^plan +kind +pair +state +steps +begun +by/);
  assert.match(text, /20261124-1a2b +failover +mail +done +3 of 11 +2026-11-24T03:00:00.000Z +root@near/);
});

test('a plan that was forced and failed: why it was begun, each step, what was noted, what to do', () => {
  const text = printPlanShow({
    plan: plan({
      state: 'failed',
      forced: true,
      reason: 'its power is off',
      findings: [
        {
          id: 'fence',
          title: 'can be fenced',
          state: 'red',
          detail: 'nothing keeps clients off',
          remedy: 'Add one.',
        },
        { id: 'door', title: 'front door', state: 'green', detail: 'runs', remedy: '' },
      ],
      steps: [
        step('assess', 'done', { durationMs: 1_500, notes: [{ at, text: 'nothing is lost' }] }),
        step('rebind', 'failed'),
        step('probe', 'pending', { attempts: 0 }),
      ],
      problem: { code: 'DIRECTORY_UNREACHABLE', message: 'it does not answer', remedy: 'Start it.' },
    }),
  });
  assert.match(text, /^20261124-1a2b failover mail: failed\n/);
  assert.match(text, /begun .* by root@near \(forced\), because: its power is off\n/);
  assert.match(text, /red: can be fenced: nothing keeps clients off\n {2}remedy: Add one\.\n/);
  assert.doesNotMatch(text, /green/);
  assert.match(text, /Do assess +done +1\.5 s\n/);
  assert.match(text, /Do rebind +failed/);
  assert.match(text, /Do probe +pending/);
  assert.match(text, /assess: nothing is lost\n/);
  assert.match(text, /DIRECTORY_UNREACHABLE: it does not answer\nremedy: Start it\.\n$/);
});

test('a rollback that left something behind says what', () => {
  const problems = [
    { step: 'pass-back', account: 'alice', code: 'MAIL_UNREACHABLE', message: 'm', remedy: 'r' },
  ];
  const report = { problems, files: { json: 'j', html: '/data/reports/x.html' } };
  const text = printPlanResult({ resumed: false, plan: plan({ state: 'rolled-back', report }) });
  assert.match(text, /1 problem:\n.*alice +pass-back +MAIL_UNREACHABLE.*report: \/data\/reports\/x\.html/s);
});

test('gone on with, and taken back: who, when and why, in order', () => {
  const runs: Plan['runs'] = [
    { at, direction: 'forward', by: 'root@near' },
    { at, direction: 'forward', by: 'service', reason: 'the service started again' },
    { at, direction: 'back', by: 'anna@desk' },
    { at, direction: 'commit', by: 'anna@desk' },
  ];
  const text = printPlanResult({ resumed: true, plan: plan({ state: 'rolled-back', runs }) });
  assert.match(text, /^went on with plan 20261124-1a2b\n/);
  const told = text.split('\n').filter((line) => / by (service|anna)/.test(line));
  assert.deepEqual(told, [
    `gone on with ${at} by service, because: the service started again`,
    `taken back ${at} by anna@desk`,
    `made final ${at} by anna@desk`,
  ]);
});

test('a dry run: what would be done, what is done, and what cannot be told', () => {
  const text = printPlanPreview({
    dryRun: true,
    kind: 'failover',
    pair: 'mail',
    sentence: 'Fail over mail',
    findings: [],
    steps: [
      { name: 'a', sentence: 'Do a', done: true, pointOfNoReturn: false },
      { name: 'b', sentence: 'Do b', done: false, pointOfNoReturn: true },
      {
        name: 'c',
        sentence: 'Do c',
        pointOfNoReturn: false,
        problem: { code: 'X', message: 'no answer', remedy: '' },
      },
    ],
  });
  assert.match(text, /^Fail over mail: nothing was changed\n/);
  assert.match(text, /Do a +done already/);
  assert.match(text, /Do b +would be done +no way back after it/);
  assert.match(text, /Do c +cannot be told +no answer/);
});

test('one that nobody works on cannot be stopped, and it says so', () => {
  assert.match(
    printPlanInterrupt({ interrupted: false, plan: plan() }),
    /^nobody here works on plan 20261124-1a2b\n/,
  );
  assert.match(printPlanInterrupt({ interrupted: true, plan: plan() }), /^20261124-1a2b failover/);
});
