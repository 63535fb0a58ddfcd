/**
 * Goal: the way back brings everything along, whoever had led the clients on, and keeps nobody out when it cannot be finished. Method: real servers, the
 * command as operators run it, an independent client.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { connectImap } from '../lab/imap-check.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { assertSame, messageOf, missing, PAIR, World } from './pair-world.ts';

const skip = missing;

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
  const world = await World.start(t);
  await world.shadow();
  const { plan } = await world.json(0, 'switchover', PAIR, '--yes');
  const killed = await world.begin(
    ['plan', 'rollback', plan.id, '--yes', '--json'],
    'plan.back.carry-back.after-intent',
  ).ended;
  assert.equal(killed.signal, 'SIGKILL');
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
