/** Goal: who is followed and who is kept warm follows from the control journal alone, also in the middle of a plan. Method: entries by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../config/index.ts';
import type { ControlEntry, ControlView } from '../control/index.ts';
import { followedServers, placeFor, warmPairs } from './followed.ts';

const config = parseConfig(
  `dataDir: data
servers:
  mail-a: { workload: mail, host: 192.0.2.1, imap: {}, accounts: { list: [{ name: alice, secret: x }, { name: bob, secret: x }] } }
  mail-b: { workload: mail, host: 192.0.2.2, imap: {} }
  mail-c: { workload: mail, host: 192.0.2.3, imap: {}, accounts: { list: [{ name: carol, secret: x }] } }
pairs:
  ab: { live: mail-a, standby: mail-b, warm: true }
  ca: { live: mail-c, standby: mail-a }
`,
  'understudy.yaml',
);

type Said = readonly [topic: string, id: string, data: object];

function control(...said: readonly Said[]): ControlView {
  const all = said.map(
    ([topic, id, data], index) =>
      ({ topic, id, data, time: index + 1 }) as never as ControlEntry & { topic: string },
  );
  return {
    entries: (topic, id) =>
      all.filter((entry) => entry.topic === topic && (id === undefined || entry.id === id)),
  };
}

const roles = (pair: string, acting: string, former: string): Said => [
  'roles',
  pair,
  { pair, acting, former, since: 5, plan: 'p' },
];

const begin: Said = [
  'plan',
  'p',
  {
    e: 'begin',
    kind: 'switchover',
    pair: 'ab',
    sentence: '',
    parameters: {},
    by: 'x',
    forced: false,
    findings: [],
    steps: ['assess', 'prepare', 'rehome'].map((name) => ({ name, sentence: name })),
  },
];
const intent = (step: string): Said => ['plan', 'p', { e: 'intent', direction: 'forward', step }];
const state = (now: string): Said => ['plan', 'p', { e: 'state', state: now }];

function warm(...said: readonly Said[]) {
  return warmPairs(config, control(...said)).map(({ pair }) => pair);
}

function followed(...said: readonly Said[]) {
  return followedServers(config, control(...said))
    .map(({ server }) => server)
    .sort();
}

test('a standby is kept warm until a plan has it to itself, and again when the plan was taken back', () => {
  assert.deepEqual(warm(), ['ab']);
  assert.deepEqual(warm(begin, intent('assess')), ['ab']);
  assert.deepEqual(warm(begin, intent('prepare')), []);
  assert.deepEqual(warm(begin, intent('prepare'), intent('rehome'), state('interrupted')), []);
  assert.deepEqual(warm(begin, intent('prepare'), state('failed')), []);
  assert.deepEqual(warm(begin, intent('prepare'), state('rolled-back')), ['ab']);
});

test('a standby that acts, for all or for some, is not kept warm', () => {
  assert.deepEqual(warm(roles('ab', 'mail-b', 'mail-a')), []);
  const moved: Said = ['moved', 'ab', { pair: 'ab', server: 'mail-b', accounts: ['alice'], plan: 'p' }];
  assert.deepEqual(warm(moved), []);
});

test('the server whose place was taken is let go, and followed again when it acts again', () => {
  assert.deepEqual(followed(), ['mail-a', 'mail-c']);
  assert.deepEqual(followed(roles('ab', 'mail-b', 'mail-a')), ['mail-b', 'mail-c']);
  assert.deepEqual(followed(roles('ab', 'mail-b', 'mail-a'), roles('ab', 'mail-a', 'mail-b')), [
    'mail-a',
    'mail-c',
  ]);
});

test('a standby with people of its own is followed for them, also after it was given a place and gave it back', () => {
  assert.deepEqual(followed(roles('ca', 'mail-c', 'mail-a')), ['mail-a', 'mail-c']);
});

test('mail is brought to a standby, with accounts of its own too, and never to where people work', () => {
  const swapped = parseConfig(
    `dataDir: data
servers:
  mail-a: { workload: mail, host: 192.0.2.1, imap: {}, accounts: { list: [{ name: alice, secret: x }] } }
  mail-b: { workload: mail, host: 192.0.2.2, imap: {}, accounts: { list: [{ name: alice, secret: x }] } }
  mail-c: { workload: mail, host: 192.0.2.3, imap: {}, accounts: { list: [{ name: carol, secret: x }] } }
  mail-d: { workload: mail, host: 192.0.2.4, imap: {} }
pairs:
  ab: { live: mail-b, standby: mail-a }
`,
    'understudy.yaml',
  );
  const place = (source: string, target: string, ...said: readonly Said[]) =>
    placeFor(swapped, control(...said), source, target);
  for (const said of [[], [roles('ab', 'mail-b', 'mail-a')]]) {
    assert.equal(place('mail-b', 'mail-a', ...said), 'own-accounts');
    assert.equal(place('mail-a', 'mail-b', ...said), 'serves', 'it acts');
    assert.equal(place('mail-b', 'mail-b', ...said), 'serves', 'it acts');
    assert.equal(place('mail-c', 'mail-a', ...said), 'serves', 'it stands by for another');
    assert.equal(place('mail-b', 'mail-c', ...said), 'serves', 'it stands by for nobody');
    assert.equal(place('mail-b', 'mail-d', ...said), 'free');
  }
  const back = roles('ab', 'mail-a', 'mail-b');
  assert.equal(place('mail-b', 'mail-a', back), 'serves', 'it acts');
  assert.equal(place('mail-a', 'mail-b', back), 'free', 'its place was taken');
  const some: Said = ['moved', 'ab', { pair: 'ab', server: 'mail-a', accounts: ['alice'], plan: 'p' }];
  assert.equal(place('mail-b', 'mail-a', some), 'serves', 'some accounts have moved to it');
});

test('a server that acts in one pair is no place for the mail of another', () => {
  assert.equal(placeFor(config, control(), 'mail-c', 'mail-a'), 'serves');
  assert.equal(placeFor(config, control(), 'mail-a', 'mail-b'), 'free');
});
