/**
 * Goal: our process is killed at every named point of a failover and a switchover, and started again: the plan ends right, and nobody is ever
 * led to a server that is not bound. Method: one plan, killed once per step at the same kind of point, each time begun by the same command.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { systemClock } from '../../src/lib/index.ts';
import { proxyStats } from '../../src/rehome/index.ts';
import { assertSame, missing, PAIR, World } from './pair-world.ts';

const skip = missing;

const failoverSteps = [
  'assess',
  'close-door',
  'unbind',
  'end-sessions',
  'finish',
  'certify',
  'rehome',
  'rebind',
  'protect',
  'probe',
  'verify',
];
const switchoverSteps = [
  'assess',
  'prepare',
  'hold',
  'drain',
  'rehome',
  'rebind',
  'protect',
  'sweep',
  'probe',
  'verify',
];
const points = ['before-intent', 'after-intent', 'after-act', 'after-outcome'];

for (const point of points) {
  test(`failover, killed at ${point} of every step`, { skip }, async (t) => {
    const world = await World.start(t, { messages: 20 });
    await world.shadow();
    const before = await world.dump(world.live);
    await world.live.kill9();
    await killedAtEach(world, 'failover', failoverSteps, point);
    await endsRight(world, 'failover', before);
  });

  test(`switchover, killed at ${point} of every step`, { skip }, async (t) => {
    const world = await World.start(t, { messages: 20 });
    await world.shadow();
    const before = await world.dump(world.live);
    await killedAtEach(world, 'switchover', switchoverSteps, point);
    await endsRight(world, 'switchover', before);
  });
}

async function killedAtEach(
  world: World,
  kind: string,
  steps: readonly string[],
  point: string,
): Promise<void> {
  for (const step of steps) {
    const ended = await world.begin([kind, PAIR, '--yes', '--json'], `plan.${step}.${point}`).ended;
    assert.equal(ended.signal, 'SIGKILL', `${step}: ${ended.stdout}\n${ended.stderr}`);
    await assertNeverBoth(world, `${step}.${point}`);
  }
}

async function endsRight(world: World, kind: string, before: Awaited<ReturnType<World['dump']>>) {
  const { plan, resumed } = await world.json(0, kind, PAIR, '--yes');
  assert.equal(resumed, true);
  assert.equal(plan.state, 'done');
  assert.deepEqual(plan.report.problems, []);
  await world.assertBoundTo(world.standby);
  assertSame(before, await world.dump(world.standby));
  const { plans } = await world.json(0, 'plan', 'list');
  assert.equal(plans.length, 1);
}

/** The door leads to a server only while no account is bound to the other one. */
async function assertNeverBoth(world: World, when: string): Promise<void> {
  const stats = await proxyStats(world.config, PAIR, { clock: systemClock });
  if (stats?.state.mode !== 'open') return;
  const other = stats.state.server === 'mail-a' ? world.standby.address : world.live.address;
  const bound = Object.values(await world.mailHosts()).flat();
  assert.ok(!bound.includes(other), `${when}: the door leads to ${stats.state.server}, ${other} is bound`);
}
