/**
 * Goal: accounts that moved by themselves are never brought back to an old state by a plan for the rest, and have a way home; a command never goes on
 * with a plan about others. Method: real servers, the command as operators run it, an independent client.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Dovecot } from '../lab/dovecot.ts';
import { connectImap } from '../lab/imap-check.ts';
import { assertSame, deliver, messageOf, missing, PAIR, World } from './pair-world.ts';

const skip = missing;

async function write(world: World, server: Dovecot, account: string, id: string): Promise<void> {
  const client = await connectImap(world.login(server, account));
  await client.append('INBOX', messageOf(id));
  await client.mailboxOpen('INBOX');
  await client.messageFlagsAdd('1:1', ['\\Flagged', id]);
  await client.logout();
}

async function only(world: World, server: Dovecot, accounts: readonly string[]) {
  return new Map([...(await world.dump(server))].filter(([account]) => accounts.includes(account)));
}

test('one account moves, then the rest does, and is taken back: what the one got since stays', {
  skip,
}, async (t) => {
  const world = await World.start(t);
  await world.shadow();
  const [first = '', ...others] = world.accounts;
  const one = await world.json(0, 'failover', PAIR, '--yes', '--account', first);
  await world.json(0, 'plan', 'commit', one.plan.id, '--yes');
  await write(world, world.standby, first, 'since-it-moved');
  const alone = await only(world, world.standby, [first]);
  const rest = await only(world, world.live, others);

  const all = await world.json(0, 'switchover', PAIR, '--yes');
  assert.equal(all.plan.state, 'done');
  await world.assertBoundTo(world.standby);
  assertSame(alone, await only(world, world.standby, [first]));
  assertSame(rest, await only(world, world.standby, others));
  assert.equal(all.plan.report.certificate.deep.equal, true, JSON.stringify(all.plan.report.certificate));

  await write(world, world.standby, others[0] ?? '', 'written-meanwhile');
  const meanwhile = await only(world, world.standby, others);
  const back = await world.json(0, 'plan', 'rollback', all.plan.id, '--yes');
  assert.equal(back.plan.state, 'rolled-back');
  const hosts = await world.mailHosts();
  assert.deepEqual(hosts[first], [world.standby.address]);
  for (const other of others) assert.deepEqual(hosts[other], [world.live.address]);
  assertSame(meanwhile, await only(world, world.live, others));
  assertSame(alone, await only(world, world.standby, [first]));
});

test('an account that moved by itself goes home with what it got since', { skip }, async (t) => {
  const world = await World.start(t);
  await world.shadow();
  const [first = '', second = ''] = world.accounts;
  const { plan } = await world.json(0, 'switchover', PAIR, '--yes', '--account', first);
  await world.json(0, 'plan', 'commit', plan.id, '--yes');
  await write(world, world.standby, first, 'since-it-moved');
  const there = await only(world, world.standby, [first]);

  const both = await world.run('switchover', PAIR, '--yes', '--json', '--account', `${first},${second}`);
  assert.equal(both.status, 2, both.stdout);
  assert.match(both.stdout, /user0001 is on mail-b, the others on mail-a/);

  const home = await world.json(0, 'switchover', PAIR, '--yes', '--account', first);
  assert.equal(home.plan.state, 'done');
  await world.assertBoundTo(world.live);
  assertSame(there, await only(world, world.live, [first]));
  // It is followed at home again, and goes with the others.
  await deliver({ host: world.live.address, port: world.live.lmtpPort }, first, 'at-home');
  const before = await world.dump(world.live);
  await world.json(0, 'switchover', PAIR, '--yes');
  assertSame(before, await world.dump(world.standby));
});

test('a command about other accounts does not go on with a plan about these', { skip }, async (t) => {
  const world = await World.start(t);
  await world.shadow();
  const [first = '', second = ''] = world.accounts;
  const begun = ['failover', PAIR, '--yes', '--json', '--account', first];
  const killed = await world.begin(begun, 'plan.unbind.after-act').ended;
  assert.equal(killed.signal, 'SIGKILL');
  const { servers } = await world.json(0, 'status');
  for (const other of [['--account', second], ['--at', `lsn:${servers[0].lsn}`, '--account', first], []]) {
    const refused = await world.run('failover', PAIR, '--yes', '--json', ...other);
    assert.equal(refused.status, 3, refused.stdout);
    assert.match(refused.stdout, /PLAN_UNDER_WAY/);
  }
  const { plan, resumed } = await world.json(0, 'failover', PAIR, '--yes', '--account', first);
  assert.deepEqual([plan.state, resumed], ['done', true]);
  const hosts = await world.mailHosts();
  assert.deepEqual([hosts[first], hosts[second]], [[world.standby.address], [world.live.address]]);
});
