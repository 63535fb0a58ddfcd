/**
 * Goal: what a burst took before a failover is there afterwards, nobody can let it go meanwhile, and it comes back when the failover is taken
 * back. Method: real servers and the command, without a service: only the journal, and the standby itself, can tell that it is held.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type AccountDump, connectImap } from '../lab/imap-check.ts';
import { assertSame, missing, PAIR, World } from './pair-world.ts';

test('a burst is held over a failover and its rollback', { skip: missing }, async (t) => {
  const world = await World.start(t, { accounts: 2, messages: 300, warm: true });
  const [account] = world.accounts as [string];
  await world.shadow();
  await world.json(0, 'restore', 'mail-a', '--to', 'mail-b', '--yes');
  const before = await world.dump(world.live);

  const client = await connectImap(world.login(world.live, account));
  for (const [mailbox, { messages }] of before.get(account) as AccountDump) {
    if (messages.length === 0) continue;
    await client.mailboxOpen(mailbox);
    await client.messageDelete('1:*', { uid: true });
  }
  await client.logout();
  await world.shadow();
  await world.live.kill9();

  const { plan } = await world.json(0, 'failover', PAIR, '--yes');
  assert.deepEqual(
    plan.report.held.map((held: { account: string }) => held.account),
    [account],
  );
  assertSame(before, await world.dump(world.standby));

  // The standby acts now: there is none that could take it.
  const refused = await world.run('standby', 'accept', PAIR, '--yes', '--json');
  assert.equal(refused.status, 3, refused.stdout);
  assert.match(refused.stdout, /API_STANDBY_NOT_WARM.*mail-b acts/s);

  await world.live.restart();
  const back = await world.json(0, 'plan', 'rollback', plan.id, '--yes');
  assert.equal(back.plan.state, 'rolled-back');
  assertSame(before, await world.dump(world.live));
  assert.deepEqual((await world.json(0, 'standby', 'accept', PAIR, '--yes')).accepted, []);
});

test('nobody restores by hand what a plan works on', { skip: missing }, async (t) => {
  const world = await World.start(t, { accounts: 1 });
  await world.shadow();
  await world.live.kill9();
  const killed = await world.begin(['failover', PAIR, '--yes', '--json'], 'plan.finish.after-intent').ended;
  assert.equal(killed.signal, 'SIGKILL');
  const refused = await world.json(3, 'restore', 'mail-a', '--to', 'mail-b', '--yes');
  assert.equal(refused.error.code, 'API_TARGET_BUSY');
  const { plan } = await world.json(0, 'failover', PAIR, '--yes');
  assert.equal(plan.state, 'done');
});
