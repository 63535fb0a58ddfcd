/**
 * Goal: plans are the same whoever looks and by whatever way: the command without a service and with one, as text and as JSON, and HTTP; and who may
 * not look, or asks for what there is not, is told so. Method: one failover, looked at in all ways.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { missing, PAIR, type Printed, World } from './pair-world.ts';

test('plans by HTTP, by the command under a service and by the command alone', {
  skip: missing,
}, async (t) => {
  const world = await World.start(t, { messages: 10 });
  await world.shadow();
  assert.equal((await world.run('plan', 'list')).stdout, 'no plans\n');
  await world.live.kill9();
  const { plan } = await world.json(0, 'failover', PAIR, '--yes');

  const alone = await lookedAt(world, plan.id);
  assert.equal(alone.list.plans.length, 1);
  assert.equal(alone.show.plan.state, 'done');
  assert.match(alone.listText, new RegExp(`${plan.id} +failover +${PAIR} +done +\\d+ of \\d+`));
  for (const { sentence } of alone.show.plan.steps) assert.ok(alone.showText.includes(sentence), sentence);

  await world.startService();
  assert.deepEqual(await lookedAt(world, plan.id), alone);
  const http = apiOf(world);
  assert.deepEqual(await http('plan-list', {}), { status: 200, body: alone.list });
  assert.deepEqual(await http('plan-list', { pair: PAIR }), { status: 200, body: alone.list });
  assert.deepEqual(await http('plan-show', { id: plan.id }), { status: 200, body: alone.show });
  const back = await http('plan-rollback', { id: plan.id, dryRun: true });
  assert.deepEqual([back.status, back.body.dryRun, back.body.kind], [200, true, 'failover']);
  const stopped = await http('plan-interrupt', { id: plan.id });
  assert.deepEqual([stopped.status, stopped.body.interrupted, stopped.body.plan.state], [200, false, 'done']);

  for (const [name, body, status, code] of [
    ['plan-show', { id: '20000101-0000' }, 400, 'PLAN_UNKNOWN'],
    ['plan-list', { pair: 'nobody' }, 400, 'CONFIG_UNKNOWN_PAIR'],
    ['plan-show', {}, 400, 'API_INVALID_INPUT'],
    ['plan-resume', { id: plan.id }, 409, 'PLAN_ENDED'],
  ] as const) {
    const answer = await http(name, body);
    assert.deepEqual([answer.status, answer.body.error?.code], [status, code], JSON.stringify(answer));
    assert.ok(answer.body.error.remedy.length > 0, name);
  }
  assert.equal((await http('plan-list', {}, 'another')).status, 401);

  const unknown = await world.run('plan', 'show', '20000101-0000');
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /PLAN_UNKNOWN[\s\S]*understudy plan list/);

  const committed = await http('plan-commit', { id: plan.id });
  assert.deepEqual([committed.status, committed.body.plan.state], [200, 'committed']);
  const refused = await http('plan-rollback', { id: plan.id });
  assert.deepEqual([refused.status, refused.body.error?.code], [409, 'PLAN_ENDED']);
});

async function lookedAt(world: World, id: string) {
  const [listText, showText] = await Promise.all([world.run('plan', 'list'), world.run('plan', 'show', id)]);
  const list = await world.json(0, 'plan', 'list');
  const show = await world.json(0, 'plan', 'show', id);
  return { listText: listText.stdout, showText: showText.stdout, list, show };
}

function apiOf(world: World) {
  const token = readFileSync(join(world.config.dataDir, 'api-token'), 'utf8').trim();
  return async (
    operation: string,
    input: object,
    other = token,
  ): Promise<{ status: number; body: Printed }> => {
    const response = await fetch(`http://127.0.0.1:${world.parts.ports.api}/api/v1/${operation}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${other}`, 'content-type': 'application/json' },
      body: JSON.stringify(input),
    });
    return { status: response.status, body: await response.json() };
  };
}
