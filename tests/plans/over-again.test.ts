/**
 * Goal: a pair that was taken back once can be moved again like any other: what stepped aside on the former server is mail like any other there. And a
 * command that is given once more moves nobody back. Method: mail that only the killed server held, a failover, its rollback, and a switchover after
 * it; commands repeated before and after a decision.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { assertSame, deliver, missing, PAIR, World } from './pair-world.ts';

test('what a rollback kept aside goes along with the next move, and counts as equal', {
  skip: missing,
}, async (t) => {
  const world = await World.start(t);
  await world.shadow();
  const [account = ''] = world.accounts;
  await deliver({ host: world.live.address, port: world.live.lmtpPort }, account, 'never-seen');
  await world.live.kill9();
  const { plan } = await world.json(0, 'failover', PAIR, '--yes');
  await deliver(world.door.lmtp, account, 'written-meanwhile');
  await world.live.restart();
  await world.json(0, 'plan', 'rollback', plan.id, '--yes');

  const before = await world.dump(world.live);
  assert.ok([...(before.get(account)?.keys() ?? [])].some((name) => name.endsWith('-only-on-standby')));
  const { plan: next } = await world.json(0, 'switchover', PAIR, '--yes');
  assert.deepEqual(next.report.certificate.quick.differences, []);
  assert.deepEqual(next.report.certificate.deep.differences, []);
  assert.deepEqual(next.report.problems, []);
  assertSame(before, await world.dump(world.standby));
});

test('the same command after its plan has ended moves nobody back, whatever the reason; a decision, or the loss of the acting server, lets a new plan', {
  skip: missing,
}, async (t) => {
  const world = await World.start(t);
  await world.shadow();
  const { plan } = await world.json(0, 'switchover', PAIR, '--yes');
  const [account = ''] = world.accounts;
  const repeated = [
    ['switchover', PAIR],
    ['switchover', PAIR, '--reason', 'I was told to'],
    ['failover', PAIR, '--reason', 'I was told to'],
    ['switchover', PAIR, '--account', account],
    ['switchover', PAIR, '--dry-run'],
  ];
  for (const command of repeated) {
    const { error } = await world.json(3, ...command, '--yes');
    assert.equal(error.code, 'TAKEOVER_UNDECIDED', command.join(' '));
    assert.match(error.remedy, new RegExp(`plan commit ${plan.id}.*plan rollback ${plan.id}`));
  }
  await world.assertBoundTo(world.standby);
  assert.equal(await world.doorMode(), 'open');
  assert.equal((await world.json(0, 'plan', 'list')).plans.length, 1);

  const before = await world.dump(world.standby);
  await world.standby.kill9();
  const lost = await world.json(0, 'failover', PAIR, '--yes');
  assert.equal(lost.plan.state, 'done');
  await world.assertBoundTo(world.live);
  assertSame(before, await world.dump(world.live));

  await world.standby.restart();
  await world.json(0, 'plan', 'commit', lost.plan.id, '--yes');
  const { plan: again } = await world.json(0, 'switchover', PAIR, '--yes');
  assert.equal(again.state, 'done');
  await world.assertBoundTo(world.standby);
});
