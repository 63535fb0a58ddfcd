/**
 * Goal: our process is killed at every named point of a rollback, and started again: it ends right, what people wrote meanwhile and what only
 * the former server held are there once, and nobody is ever led to a server that is not bound. Method: one rollback, killed once per step at the same
 * kind of point, each time begun by the same command; mail arrives between the kills for as long as people can work.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { systemClock } from '../../src/lib/index.ts';
import { proxyStats } from '../../src/rehome/index.ts';
import { connectImap } from '../lab/imap-check.ts';
import { assertSame, deliver, messageOf, missing, PAIR, World } from './pair-world.ts';

const skip = missing;

/** By the rollback's own steps, once people have worked on the new server. */
const wayBack = [
  'unfence',
  'carry-ahead',
  'hold-back',
  'carry-back',
  'bind-back',
  'rehome-back',
  'protect-back',
  'sweep-back',
  'probe-back',
];
/** Steps of a failover that nobody has worked behind, the last first. */
const undone = ['unbind', 'close-door'];
const points = ['before-intent', 'after-intent', 'after-act', 'after-outcome'];

for (const point of points) {
  test(`the way back from a failover, killed at ${point} of every step`, { skip }, async (t) => {
    const world = await World.start(t, { messages: 20 });
    await world.shadow();
    const [account = ''] = world.accounts;
    const live = { host: world.live.address, port: world.live.lmtpPort };
    await deliver(live, account, 'never-seen');
    await world.live.kill9();
    const { plan } = await world.json(0, 'failover', PAIR, '--yes');
    await world.live.restart();

    const delivered = await killedOnTheWayBack(world, plan.id, point);
    await endsBack(world, plan.id);
    const subjects = await subjectsOf(world, account);
    for (const subject of [...delivered, 'never-seen']) {
      assert.equal(subjects.filter((one) => one === subject).length, 1, `${subject}: ${subjects.join(', ')}`);
    }
  });
}

for (const point of ['after-intent', 'after-act']) {
  test(`the way back from a switchover, killed at ${point} of every step`, { skip }, async (t) => {
    const world = await World.start(t, { messages: 20 });
    await world.shadow();
    const { plan } = await world.json(0, 'switchover', PAIR, '--yes');
    await workOnIt(world);
    const delivered = await killedOnTheWayBack(world, plan.id, point);
    const meanwhile = await world.dump(world.standby);
    await endsBack(world, plan.id);
    assertSame(meanwhile, await world.dump(world.live));
    const subjects = await subjectsOf(world, world.accounts[0] ?? '');
    for (const subject of delivered) assert.ok(subjects.includes(subject), subject);
  });
}

for (const point of points) {
  test(`a failover undone before anybody moved, killed at ${point} of every step`, { skip }, async (t) => {
    const world = await World.start(t, { messages: 20 });
    await world.shadow();
    const before = await world.dump(world.live);
    // By mistake: the server is there.
    const began = await world.begin(['failover', PAIR, '--yes', '--json'], 'plan.certify.after-act').ended;
    assert.equal(began.signal, 'SIGKILL', began.stderr);
    const [{ id }] = (await world.json(0, 'plan', 'list')).plans;
    for (const step of undone) await killedAt(world, id, `plan.${step}.undo.${point}`);
    await endsBack(world, id);
    assertSame(before, await world.dump(world.live));
  });
}

/** Gives the subjects of what people were promised meanwhile. */
async function killedOnTheWayBack(world: World, id: string, point: string): Promise<readonly string[]> {
  const [account = ''] = world.accounts;
  const delivered: string[] = [];
  const arrives = async (subject: string) => {
    await deliver(world.door.lmtp, account, subject);
    delivered.push(subject);
  };
  await arrives('before-the-rollback');
  for (const step of wayBack) {
    await killedAt(world, id, `plan.back.${step}.${point}`);
    const stats = await proxyStats(world.config, PAIR, { clock: systemClock });
    if (stats?.state.mode === 'open' && stats.state.server === 'mail-b') await arrives(`after-${step}`);
  }
  assert.ok(delivered.includes('after-unfence'), 'people go on working while most of it is carried back');
  return delivered;
}

async function killedAt(world: World, id: string, point: string): Promise<void> {
  const ended = await world.begin(['plan', 'rollback', id, '--yes', '--json'], point).ended;
  assert.equal(ended.signal, 'SIGKILL', `${point}: ${ended.stdout}\n${ended.stderr}`);
  await assertNeverBoth(world, point);
}

async function endsBack(world: World, id: string): Promise<void> {
  const { plan, resumed } = await world.json(0, 'plan', 'rollback', id, '--yes');
  assert.deepEqual([plan.state, resumed], ['rolled-back', true]);
  await world.assertBoundTo(world.live);
  const stats = await proxyStats(world.config, PAIR, { clock: systemClock });
  assert.deepEqual(stats?.state, { mode: 'open', server: 'mail-a' });
  const again = await world.run('plan', 'rollback', id, '--yes', '--json');
  assert.equal(again.status, 3, again.stdout);
  assert.match(again.stdout, /PLAN_ENDED/);
  const { pairs } = await world.json(0, 'status');
  assert.equal(pairs[0].acting, 'mail-a');
}

/** One change of each kind, by the front door. */
async function workOnIt(world: World): Promise<void> {
  const client = await connectImap(world.doorLogin(world.accounts[0] ?? ''));
  await client.mailboxOpen('INBOX');
  await client.messageFlagsAdd('1:1', ['\\Flagged', 'seen-there']);
  await client.messageDelete('2:2');
  await client.mailboxCreate('New folder');
  await client.append('New folder', messageOf('in-a-new-folder'));
  await client.logout();
}

/** Of every message that the account has, by the front door. */
async function subjectsOf(world: World, account: string): Promise<readonly string[]> {
  const client = await connectImap(world.doorLogin(account));
  const subjects: string[] = [];
  for (const { path, flags } of await client.list()) {
    if (flags.has('\\Noselect')) continue;
    const lock = await client.getMailboxLock(path);
    for await (const { envelope } of client.fetch('1:*', { envelope: true })) {
      subjects.push(envelope?.subject ?? '');
    }
    lock.release();
  }
  await client.logout();
  return subjects;
}

/** The door leads to a server only while no account is bound to the other one. */
async function assertNeverBoth(world: World, when: string): Promise<void> {
  const stats = await proxyStats(world.config, PAIR, { clock: systemClock });
  if (stats?.state.mode !== 'open') return;
  const other = stats.state.server === 'mail-a' ? world.standby.address : world.live.address;
  const bound = Object.values(await world.mailHosts()).flat();
  assert.ok(!bound.includes(other), `${when}: the door leads to ${stats.state.server}, ${other} is bound`);
}
