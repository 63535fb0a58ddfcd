/**
 * Goal: after a failover people find on the standby what they had, and go on; and all of it comes back. Method: real servers, the command as
 * operators run it, clients under way all the time, and a ledger of what they were promised.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { PAIR, Site, STANDBY, siteMissing } from './site.ts';

describe('taking over', { skip: siteMissing }, () => {
  it('goes from the command line, without a service', async (t) => {
    const site = await Site.start(t, { warm: false });
    const shadowed = await site.understudy('shadow', 'mail-a', '--once');
    assert.equal(shadowed.status, 0, shadowed.stderr);
    await site.live.kill9();

    const preview = await site.json('failover', PAIR, '--dry-run');
    assert.equal(preview.dryRun, true);
    assert.deepEqual(site.mailHosts(), Array(3).fill(site.live.address));
    const unanswered = await site.understudy('failover', PAIR);
    assert.equal(unanswered.status, 2, unanswered.stderr);

    const moved = await site.understudy('failover', PAIR, '--yes');
    assert.equal(moved.status, 0, `${moved.stdout}\n${moved.stderr}`);
    assert.deepEqual(site.mailHosts(), Array(3).fill(site.standby.address));
    const { plans } = await site.json('plan', 'list');
    assert.deepEqual(
      plans.map(({ kind, state }: { kind: string; state: string }) => [kind, state]),
      [['failover', 'done']],
    );
    const { plan } = await site.json('plan', 'show', plans[0].id);
    const { report } = plan;
    assert.equal(report.certificate.quick.equal, true);
    assert.equal(report.certificate.deep.equal, true);
    assert.deepEqual(report.problems, []);
    assert.match(readFileSync(report.files.html, 'utf8'), /What a person must still do/);
    assert.ok(existsSync(`${site.dataDir}/${STANDBY}/journal`), 'the acting server is protected');
  });

  it('under load, with a service: nothing is lost, nothing doubled, and it is taken back', async (t) => {
    const site = await Site.start(t);
    const service = await site.service();
    await site.warm();
    const load = await site.clients('failover');
    await delay(2_000);

    const diedAt = load.nowMs();
    await site.live.kill9();
    const moved = await site.understudy('failover', PAIR, '--yes');
    assert.equal(moved.status, 0, `${moved.stdout}\n${moved.stderr}`);
    t.diagnostic(moved.stdout);
    await load.settled(load.nowMs(), { withinMs: 20_000 });
    t.diagnostic(`outages: ${load.outages(diedAt).map(({ outageMs }) => Math.round(outageMs))}`);
    assert.deepEqual(site.mailHosts(), Array(3).fill(site.standby.address));
    await delay(1_500);

    await site.live.restart();
    const [{ id }] = (await site.json('plan', 'list')).plans;
    const back = await site.understudy('plan', 'rollback', id, '--yes');
    assert.equal(back.status, 0, `${back.stdout}\n${back.stderr}`);
    await load.settled(load.nowMs(), { withinMs: 20_000 });
    assert.deepEqual(site.mailHosts(), Array(3).fill(site.live.address));
    assert.equal((await site.json('plan', 'show', id)).plan.state, 'rolled-back');
    const report = await site.assertKept(load, site.live);
    t.diagnostic(`${report.acknowledged} deliveries, ${report.changes} changes`);
    const ended = await service.terminate();
    assert.equal(ended.status, 0, ended.stderr);
  });

  it('switches over under load and loses nothing', async (t) => {
    const site = await Site.start(t);
    const service = await site.service();
    await site.warm();
    const load = await site.clients('switchover');
    await delay(2_000);
    const began = load.nowMs();
    const moved = await site.understudy('switchover', PAIR, '--yes');
    assert.equal(moved.status, 0, `${moved.stdout}\n${moved.stderr}`);
    t.diagnostic(moved.stdout);
    await load.settled(load.nowMs(), { withinMs: 20_000 });
    t.diagnostic(`outages: ${load.outages(began).map(({ outageMs }) => Math.round(outageMs))}`);
    await delay(1_000);
    await site.assertKept(load, site.standby);
    await service.terminate();
  });

  it('is gone on with by a service that was killed in the middle, and by nobody else meanwhile', async (t) => {
    const site = await Site.start(t, { accounts: 2 });
    const first = await site.service({ crashAt: 'plan.rebind.after-act' });
    await site.warm();
    await site.live.kill9();
    const broken = await site.understudy('failover', PAIR, '--yes');
    assert.notEqual(broken.status, 0, broken.stdout);
    assert.equal((await first.ended).signal, 'SIGKILL');

    const second = await site.service();
    const deadline = performance.now() + 30_000;
    for (;;) {
      const [plan] = (await site.json('plan', 'list')).plans;
      if (plan.state === 'done') break;
      assert.ok(performance.now() < deadline, `done in time: ${JSON.stringify(plan)}`);
      await delay(100);
    }
    assert.deepEqual(site.mailHosts(), Array(2).fill(site.standby.address));
    const { servers, pairs } = await site.json('status');
    assert.equal(pairs[0].acting, STANDBY);
    const phases = servers.map(({ server, state }: { server: string; state: string }) => [server, state]);
    assert.deepEqual(phases.find(([server]: [string]) => server === STANDBY)?.[1], 'following');

    // A service that begins anew knows who acts.
    await second.terminate();
    await site.service();
    assert.equal((await site.json('status')).pairs[0].acting, STANDBY);
  });

  it('is begun by one of two who ask at once; the other is told so', async (t) => {
    const site = await Site.start(t, { accounts: 2 });
    await site.service();
    await site.warm();
    await site.live.kill9();
    const both = await Promise.all([
      site.understudy('failover', PAIR, '--yes'),
      site.understudy('failover', PAIR, '--yes'),
    ]);
    assert.deepEqual(both.map(({ status }) => status).sort(), [0, 3], JSON.stringify(both));
    assert.match(both.map(({ stderr }) => stderr).join(), /PLAN_UNDER_WAY/);
    assert.equal((await site.json('plan', 'list')).plans.length, 1);
  });
});
