/**
 * Goal: a pair that was taken back once can be moved again like any other: what stepped aside on the former server is mail like any other there.
 * Method: mail that only the killed server held, a failover, its rollback, and a switchover after it.
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
