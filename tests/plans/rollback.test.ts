/**
 * Goal: the way back brings everything along, whoever had led the clients on, and keeps nobody out when it cannot be finished. Method: real servers, the
 * command as operators run it, an independent client.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connectImap } from '../lab/imap-check.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { assertSame, deliver, messageOf, missing, PAIR, until, World } from './pair-world.ts';

const skip = missing;

async function switchedOver(t: TestContext) {
  const world = await World.start(t);
  await world.shadow();
  const { plan } = await world.json(0, 'switchover', PAIR, '--yes');
  return { world, plan };
}

async function killedOnTheWayBack(world: World, id: string, point: string): Promise<void> {
  const rolling = world.begin(['plan', 'rollback', id, '--yes', '--json'], `plan.back.${point}`);
  const { signal, stdout } = await rolling.ended;
  assert.equal(signal, 'SIGKILL', stdout);
}

test('clients that nobody here led on: what they wrote is carried back all the same', { skip }, async (t) => {
  const folder = temporaryDirectory('fence');
  t.after(() => folder.remove());
  const fenced = join(folder.path, 'fenced');
  const program = join(folder.path, 'fence.sh');
  const lines = [
    `case "$1" in`,
    `run) touch ${fenced} ;;`,
    `isDone) test -e ${fenced} ;;`,
    `undo) rm -f ${fenced} ;;`,
    'esac',
  ];
  writeFileSync(program, `#!/bin/sh\n${lines.join('\n')}\n`);
  chmodSync(program, 0o755);
  const hook = (what: string) => `${what}: ["${program}", ${what}]`;
  const world = await World.start(t, {
    directory: false,
    door: false,
    pairLines: [`fence: [ { kind: command, ${hook('run')}, ${hook('isDone')}, ${hook('undo')} } ]`],
  });
  await world.shadow();
  const { plan } = await world.json(0, 'failover', PAIR, '--yes');
  assert.equal(plan.state, 'done');
  assert.ok(existsSync(fenced));
  const [account = ''] = world.accounts;
  const client = await connectImap(world.login(world.standby, account));
  await client.append('INBOX', messageOf('written-on-the-standby'));
  await client.logout();
  const meanwhile = await world.dump(world.standby);

  const back = await world.json(0, 'plan', 'rollback', plan.id, '--yes');
  assert.equal(back.plan.state, 'rolled-back');
  assert.ok(!existsSync(fenced));
  assertSame(meanwhile, await world.dump(world.live));
  const status = await world.json(0, 'status');
  assert.equal(status.pairs[0].acting, 'mail-a', JSON.stringify(status.pairs));
});

test('a way back that cannot be finished lets people work where they are, and is finished later', {
  skip,
}, async (t) => {
  const { world, plan } = await switchedOver(t);
  await killedOnTheWayBack(world, plan.id, 'carry-back.after-intent');
  await world.live.kill9();
  const failed = await world.json(1, 'plan', 'rollback', plan.id, '--yes');
  assert.equal(failed.plan.state, 'failed');
  await world.assertBoundTo(world.standby);
  const [account = ''] = world.accounts;
  const client = await connectImap(world.doorLogin(account));
  await client.append('INBOX', messageOf('while-there-was-no-way-back'));
  await client.logout();
  const meanwhile = await world.dump(world.standby);

  await world.live.restart();
  const back = await world.json(0, 'plan', 'rollback', plan.id, '--yes');
  assert.equal(back.plan.state, 'rolled-back');
  await world.assertBoundTo(world.live);
  assertSame(meanwhile, await world.dump(world.live));
});

test('a last try that fails lets people in, the next one holds them again: nothing that was acknowledged stays behind', {
  skip,
}, async (t) => {
  const { world, plan } = await switchedOver(t);
  await killedOnTheWayBack(world, plan.id, 'hold-back.after-outcome');
  const [locked = '', other = ''] = world.accounts;
  await deliver({ host: world.standby.address, port: world.standby.lmtpPort }, locked, 'at-the-last-moment');
  const store = world.live.storePath(locked);
  chmodSync(store, 0);
  const rolling = world.begin(['plan', 'rollback', plan.id, '--yes', '--json']);
  let isOver = false;
  void rolling.ended.then(() => {
    isOver = true;
  });
  await until('people are let in', 60_000, async () => isOver || (await world.doorMode()) === 'open');
  chmodSync(store, 0o700);
  const acknowledged: string[] = [];
  for (let number = 1; !isOver; number += 1) {
    const id = `meanwhile-${number}`;
    await deliver(world.door.lmtp, other, id).then(
      () => acknowledged.push(id),
      () => {}, // Nothing was promised.
    );
    await delay(20);
  }
  const { status, stdout } = await rolling.ended;
  assert.equal(status, 0, stdout);
  const { steps, state } = JSON.parse(stdout).plan;
  assert.equal(state, 'rolled-back');
  const outcome = steps.find(({ name }: { name: string }) => name === 'sweep-back').outcome;
  assert.equal(outcome.messages, 0, 'nobody could write on the server that was left');
  assert.ok(acknowledged.length > 0);
  const client = await connectImap(world.login(world.live, other));
  await client.mailboxOpen('INBOX');
  const subjects: (string | undefined)[] = [];
  for await (const { envelope } of client.fetch('1:*', { envelope: true })) subjects.push(envelope?.subject);
  await client.logout();
  for (const id of acknowledged) assert.equal(subjects.filter((one) => one === id).length, 1, id);
});

test('an account that cannot be read is a reason not to go back, unless somebody says why; the plan is done as before', {
  skip,
}, async (t) => {
  const { world, plan } = await switchedOver(t);
  const [locked = ''] = world.accounts;
  await deliver(world.door.lmtp, locked, 'written-on-the-standby');
  const store = world.standby.storePath(locked);
  chmodSync(store, 0);
  const failed = await world.json(1, 'plan', 'rollback', plan.id, '--yes');
  assert.deepEqual([failed.plan.state, failed.plan.problem.code], ['done', 'TAKEOVER_NOT_CARRIED_BACK']);
  assert.match(failed.plan.problem.message, new RegExp(locked));
  await world.assertBoundTo(world.standby);
  assert.equal(await world.doorMode(), 'open');

  const back = await world.json(4, 'plan', 'rollback', plan.id, '--yes', '--reason', 'it can wait');
  assert.equal(back.plan.state, 'rolled-back');
  assert.deepEqual(
    [...new Set(back.plan.report.problems.map(({ account }: { account: string }) => account))],
    [locked],
  );
  assert.match(
    back.plan.report.rpo.sentence,
    new RegExp(`of ${locked} what was written on mail-b .* stayed there`),
  );
  await world.assertBoundTo(world.live);
});

test('mail that reaches the server that was left after the rollback comes back too', { skip }, async (t) => {
  const { world, plan } = await switchedOver(t);
  await killedOnTheWayBack(world, plan.id, 'rehome-back.after-outcome');
  const [account = ''] = world.accounts;
  await deliver({ host: world.standby.address, port: world.standby.lmtpPort }, account, 'late');
  const back = await world.json(0, 'plan', 'rollback', plan.id, '--yes');
  assert.equal(back.plan.state, 'rolled-back');
  const client = await connectImap(world.doorLogin(account));
  await client.mailboxOpen('INBOX');
  const found = await client.search({ subject: 'late' });
  await client.logout();
  assert.equal((found as number[]).length, 1);
  // Whoever wants to be sure looks at it once more.
  const once = await world.json(0, 'shadow', 'mail-b', '--once');
  assert.deepEqual([once.accounts, once.problems], [world.accounts.length, []]);
});

test('commands that led clients on lead them back, where there is no front door', { skip }, async (t) => {
  const folder = temporaryDirectory('command');
  t.after(() => folder.remove());
  const moved = join(folder.path, 'moved');
  const world = await World.start(t, {
    door: false,
    pairLines: [
      'rehome:',
      `  - { kind: command, run: [/usr/bin/touch, "${moved}"], undo: [/bin/rm, -f, "${moved}"] }`,
    ],
  });
  await world.shadow();
  const { plan } = await world.json(0, 'failover', PAIR, '--yes');
  assert.ok(existsSync(moved));
  await killedOnTheWayBack(world, plan.id, 'rehome-back.after-intent');
  const back = await world.json(0, 'plan', 'rollback', plan.id, '--yes');
  assert.equal(back.plan.state, 'rolled-back');
  assert.ok(!existsSync(moved));
  assert.ok(back.plan.report.rollbackOutageMs >= 0, JSON.stringify(back.plan.report));
});

test('a rollback to a server that is dead is refused and changes nothing', { skip }, async (t) => {
  const world = await World.start(t);
  await world.shadow();
  const { error: unused } = await world.json(2, 'shadow', 'mail-b', '--once');
  assert.equal(unused.code, 'CONFIG_NOT_SHADOWED', 'it never acted');
  await world.live.kill9();
  const { plan } = await world.json(0, 'failover', PAIR, '--yes');
  const { error } = await world.json(3, 'plan', 'rollback', plan.id, '--yes');
  assert.equal(error.code, 'TAKEOVER_FORMER_UNREACHABLE');
  assert.match(error.remedy, new RegExp(`plan commit ${plan.id}`));
  const shown = await world.json(0, 'plan', 'show', plan.id);
  assert.deepEqual([shown.plan.state, shown.plan.runs.length], ['done', 1]);
  const { plan: final } = await world.json(0, 'plan', 'commit', plan.id, '--yes');
  assert.equal(final.state, 'committed');
  const { totalMs, endedAt } = plan.report;
  assert.deepEqual([final.report.totalMs, final.report.endedAt], [totalMs, endedAt], 'as it was measured');
});
