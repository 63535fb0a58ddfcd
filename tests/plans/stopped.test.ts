/**
 * Goal: a plan that somebody has stopped stays so until somebody goes on with it: a service that starts again leaves it alone, also where the one
 * before was killed between the asking and the end of the step. Method: a fence command that waits for a file, so that a step is under way.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { temporaryDirectory } from '../lab/temp.ts';
import { missing, PAIR, type Printed, until, World } from './pair-world.ts';

const skip = missing;

/** As long as a service that goes on by itself would take to begin, many times over. */
const LEFT_ALONE_MS = 1_500;

test('stopped under a service: neither its end nor its next start goes on with the plan', {
  skip,
}, async (t) => {
  const { world, gate } = await inTheMiddle(t);
  const service = await world.startService();
  const { command, id } = await fencing(world, gate);
  const stopping = world.json(0, 'plan', 'interrupt', id);
  await until('the asking is on record', 15_000, async () => (await show(world, id)).stopped !== undefined);
  writeFileSync(gate.open, '');
  assert.equal((await stopping).interrupted, true);
  assert.equal((await command.ended).status, 1);
  await service.terminate();
  await staysStopped(world, id);
  await goesOn(world, id);
});

test('stopped, and the service killed before the step had ended', { skip }, async (t) => {
  const { world, gate } = await inTheMiddle(t);
  const service = await world.startService();
  const { command, id } = await fencing(world, gate);
  const stopping = world.begin(['plan', 'interrupt', id, '--json']);
  await until('the asking is on record', 15_000, async () => (await show(world, id)).stopped !== undefined);
  await service.kill9();
  await Promise.all([command.ended, stopping.ended]);
  writeFileSync(gate.open, '');
  await staysStopped(world, id);
  await goesOn(world, id);
});

test('a plan whose command was killed is stopped without a service: one that starts leaves it alone', {
  skip,
}, async (t) => {
  const { world, gate } = await inTheMiddle(t);
  writeFileSync(gate.open, '');
  const killed = await world.begin(['failover', PAIR, '--yes', '--json'], 'plan.finish.after-act').ended;
  assert.equal(killed.signal, 'SIGKILL');
  const [{ id }] = (await world.json(0, 'plan', 'list')).plans;
  const { interrupted, plan } = await world.json(0, 'plan', 'interrupt', id);
  assert.deepEqual([interrupted, plan.state], [false, 'interrupted']);
  assert.match(plan.problem.message, /has stopped this plan/);
  await staysStopped(world, id);
  await goesOn(world, id);
});

interface Gate {
  /** Made by the fence when it begins. */
  readonly reached: string;
  /** The fence ends when it is there. */
  readonly open: string;
}

async function inTheMiddle(t: TestContext): Promise<{ world: World; gate: Gate }> {
  const folder = temporaryDirectory('gate');
  t.after(() => folder.remove());
  const gate = { reached: join(folder.path, 'reached'), open: join(folder.path, 'open') };
  const fence = join(folder.path, 'fence.sh');
  const script = `#!/bin/sh\ntouch ${gate.reached}\nfor i in $(seq 1200); do test -e ${gate.open} && exit 0; sleep 0.05; done\nexit 1\n`;
  writeFileSync(fence, script);
  chmodSync(fence, 0o755);
  const world = await World.start(t, {
    messages: 10,
    pairLines: [`fence: [{ kind: command, run: [${fence}], timeout: 60s }]`],
  });
  await world.shadow();
  await world.live.kill9();
  return { world, gate };
}

/** A failover whose fence is under way. */
async function fencing(world: World, gate: Gate) {
  const command = world.begin(['failover', PAIR, '--yes', '--json']);
  await until('the fence is under way', 30_000, () => existsSync(gate.reached));
  const [{ id }] = (await world.json(0, 'plan', 'list')).plans;
  return { command, id: id as string };
}

async function show(world: World, id: string): Promise<Printed> {
  return (await world.json(0, 'plan', 'show', id)).plan;
}

async function staysStopped(world: World, id: string): Promise<void> {
  const service = await world.startService();
  await delay(LEFT_ALONE_MS);
  const plan = await show(world, id);
  assert.deepEqual([plan.state, plan.runs.length], ['interrupted', 1]);
  assert.match(plan.problem.message, /has stopped this plan/);
  await world.assertDoorClosed();
  await service.terminate();
}

async function goesOn(world: World, id: string): Promise<void> {
  const { plan, resumed } = await world.json(0, 'failover', PAIR, '--yes');
  assert.deepEqual([plan.id, plan.state, resumed, plan.stopped], [id, 'done', true, undefined]);
  await world.assertBoundTo(world.standby);
}
