/** What is judged of the near-line server: figures in, one finding out. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { silentLog, TestClock } from '../../lib/index.ts';
import type { WarmStatus } from '../../workloads/mail/warm/index.ts';
import { journalFindings, judgeDisk, warmFindings } from './near-line-findings.ts';
import type { FollowingNow, ReadinessPorts } from './ports.ts';
import { judgeClock } from './standby-findings.ts';

const subject = { id: 'x', title: 'x' };
const GiB = 1024 ** 3;

test('a disk is judged by two segments, and by seven days of growth', () => {
  const state = (free: number, growth: number | undefined) =>
    judgeDisk(subject, { free, growth, segmentBytes: GiB / 4, dataDir: '/d' }).state;
  assert.equal(state(GiB / 4, undefined), 'red');
  assert.equal(state(10 * GiB, undefined), 'green');
  assert.equal(state(10 * GiB, 2 * GiB), 'amber');
  assert.equal(state(10 * GiB, GiB), 'green');
  assert.equal(state(10 * GiB, 0), 'green');
});

test('clocks may differ by two seconds, and by a minute at most', () => {
  const states = [0, -1_900, 3_000, -59_000, 61_000].map((skew) => judgeClock(subject, 'a', skew).state);
  assert.deepEqual(states, ['green', 'green', 'amber', 'amber', 'red']);
  assert.match(judgeClock(subject, 'a', -30_000).detail, /30 s behind/);
});

function portsWith(following: FollowingNow | undefined): ReadinessPorts {
  const catalog = {
    lastCommit: () => ({ lsn: 9, time: Date.parse('2026-01-01T00:00:00Z') }),
    totals: () => ({ accounts: 1, messages: 2 }),
  };
  return {
    clock: new TestClock(Date.parse('2026-01-01T01:00:00Z')),
    log: silentLog,
    withReader: (_: string, work: (reader: { catalog: typeof catalog }) => unknown) => work({ catalog }),
    following: async () => following,
  } as unknown as ReadinessPorts;
}

test('a journal is judged by how far it is behind, and by what keeps it', async () => {
  const state = async (following: FollowingNow | undefined) =>
    (await journalFindings(portsWith(following), 'a'))[0]?.state;
  assert.equal(await state({ lagMs: 500, firstPassDone: true }), 'green');
  assert.equal(await state({ lagMs: 90_000, firstPassDone: true }), 'amber');
  assert.equal(await state({ lagMs: 3_600_000, firstPassDone: true }), 'red');
  assert.equal(await state({ lagMs: 0, firstPassDone: false }), 'amber');
  assert.equal(await state(undefined), 'amber');
  const problem = { code: 'MAIL_AUTH_FAILED', message: 'no', remedy: 'yes' };
  assert.equal(await state({ lagMs: 0, problem }), 'red');
});

test('a warm standby is judged by its phase, its lag and what it holds', () => {
  const well = {
    source: 'a',
    phase: 'following',
    lagMs: 20,
    accountsBehind: 0,
    held: [],
    problems: [],
    incomplete: [],
  } as const;
  const state = (warm: Partial<WarmStatus> | undefined, wanted = true) =>
    warmFindings(warm as WarmStatus | undefined, { pair: 'p', wanted, source: 'a' })[0]?.state;
  assert.equal(state(undefined, false), undefined);
  assert.equal(state(undefined), 'amber');
  assert.equal(state(well), 'green');
  assert.equal(state({ ...well, lagMs: 120_000 }), 'amber');
  assert.equal(state({ ...well, phase: 'filling' }), 'amber');
  assert.equal(state({ ...well, phase: 'stalled' }), 'amber');
  assert.equal(state({ ...well, source: 'b' }), 'amber');
  const held = [{ account: 'alice', removed: 60, of: 80, before: 'lsn:4', at: 4, since: 0 }] as never;
  assert.equal(state({ ...well, phase: 'held', held }), 'amber');
});

test('a warm standby is judged by the accounts too that its lag leaves out: each list is named, bounded', () => {
  const status = (warm: Partial<WarmStatus>) =>
    ({
      source: 'a',
      phase: 'following',
      lagMs: 0,
      accountsBehind: 0,
      held: [],
      problems: [],
      incomplete: [],
      ...warm,
    }) as unknown as WarmStatus;
  const judge = (warm: Partial<WarmStatus>) =>
    warmFindings(status(warm), { pair: 'p', wanted: true, source: 'a' });
  const names = Array.from({ length: 300 }, (_, index) => `user${index}`);
  const problems = names.map((account) => ({
    account,
    code: 'MAIL_ACCOUNT_REFUSED',
    message: 'no such user',
    remedy: 'make it',
  }));
  const [failing, ...none] = judge({ problems });
  assert.deepEqual(none, []);
  assert.deepEqual([failing?.state, failing?.remedy], ['amber', 'make it']);
  assert.match(failing?.detail ?? '', /user0, .*user4 and 295 more.*MAIL_ACCOUNT_REFUSED: no such user/);
  const [waiting] = judge({ incomplete: names });
  assert.equal(waiting?.state, 'amber');
  assert.match(waiting?.detail ?? '', /user0, .*user4 and 295 more/);
  const held = [{ account: 'alice', removed: 60, of: 80, before: 'lsn:4', at: 4, since: 0 }] as never;
  assert.deepEqual(
    judge({ phase: 'held', held, problems, incomplete: ['bob'] }).map(({ state }) => state),
    ['amber', 'amber', 'amber'],
  );
});
