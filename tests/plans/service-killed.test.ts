/**
 * Goal: the service is killed in the middle of a plan and started again: it ends the plan by itself, and the operator who gives the command once more
 * moves nobody back; one that had failed gives people their server back. Method: the service killed at points of a switchover and of its rollback, one
 * after the other, in one world.
 */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import test from 'node:test';
import { assertSame, deliver, missing, PAIR, type Printed, until, World } from './pair-world.ts';

const points = [
  ['plan.hold.after-act', 'plan.back.carry-ahead.after-act'],
  ['plan.rehome.after-act', 'plan.back.carry-back.after-intent'],
  ['plan.protect.after-act', 'plan.back.protect-back.after-act'],
  ['plan.verify.after-outcome', 'plan.back.probe-back.after-outcome'],
] as const;

test('a switchover and its rollback, the service killed in the middle of each', {
  skip: missing,
}, async (t) => {
  const world = await World.start(t, { messages: 20 });
  const [account = ''] = world.accounts;
  for (const [there, back] of points) {
    await killedIn(world, there, ['switchover', PAIR]);
    const done = await endsByItself(world, there);
    assert.equal(done.state, 'done', there);
    await world.assertBoundTo(world.standby);
    const { error } = await world.json(3, 'switchover', PAIR, '--yes');
    assert.equal(error.code, 'TAKEOVER_UNDECIDED', there);
    await deliver(world.door.lmtp, account, `after-${there}`);
    const before = await world.dump(world.standby);
    await world.endService();

    await killedIn(world, back, ['plan', 'rollback', done.id]);
    assert.equal((await endsByItself(world, back)).state, 'rolled-back', back);
    await world.assertBoundTo(world.live);
    assertSame(before, await world.dump(world.live));
    await world.endService();
  }
});

test('a switchover killed when it has failed, and before it is taken back: the service that starts takes it back', {
  skip: missing,
}, async (t) => {
  const world = await World.start(t, { messages: 20 });
  await world.shadow();
  const killed = await world.begin(['switchover', PAIR, '--yes', '--json'], 'plan.hold.after-outcome').ended;
  assert.equal(killed.signal, 'SIGKILL', killed.stdout);
  const [locked = ''] = world.accounts;
  await deliver({ host: world.live.address, port: world.live.lmtpPort }, locked, 'never-seen');
  chmodSync(world.live.storePath(locked), 0);
  const [{ id }] = (await world.json(0, 'plan', 'list')).plans;
  const again = await world.begin(['plan', 'resume', id, '--yes', '--json'], 'plan.given-back.before').ended;
  assert.equal(again.signal, 'SIGKILL', again.stdout);
  const { plan } = await world.json(0, 'plan', 'show', id);
  assert.deepEqual([plan.state, plan.direction, await world.doorMode()], ['failed', 'forward', 'hold']);

  await world.startService();
  await until('people have their server back', 60_000, async () => {
    return (await world.json(0, 'plan', 'show', id)).plan.state === 'rolled-back';
  });
  assert.equal(await world.doorMode(), 'open');
  await world.assertBoundTo(world.live);
});

async function killedIn(world: World, point: string, command: readonly string[]): Promise<void> {
  const service = await world.startService(point);
  // A switchover wants a server that has been looked at.
  await until('it follows', 30_000, async () => {
    const { servers } = await world.json(0, 'status');
    return servers.some(({ state }: Printed) => state === 'following');
  });
  const asked = await world.run(...command, '--yes', '--json');
  assert.notEqual(asked.status, 0, `${point}: ${asked.stdout}`);
  assert.equal((await service.ended).signal, 'SIGKILL', point);
}

async function endsByItself(world: World, point: string): Promise<Printed> {
  await world.startService();
  let newest: Printed;
  await until(`the plan that was killed at ${point} has ended`, 60_000, async () => {
    [newest] = (await world.json(0, 'plan', 'list')).plans;
    return ['done', 'rolled-back', 'failed'].includes(newest.state);
  });
  return newest;
}
