/**
 * Goal: the accounts of a standby may be known to the directory alone, or be broken one by one, and the pair is moved all the same; what a standby
 * cannot keep is said before. Method: failovers to real servers without a doveadm API, with a broken account, with a directory that names
 * the servers otherwise than the configuration.
 */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import { connectImap } from '../lab/imap-check.ts';
import { assertSame, missing, PAIR, type Printed, World } from './pair-world.ts';

const skip = missing;
const PLAIN = { ignore: ['uid', 'uidValidity', 'uidNext'] } as const;

test('a failover to a plain IMAP server, whose accounts only the directory knows, and back', {
  skip,
}, async (t) => {
  const world = await World.start(t, { standbyDoveadm: false });
  await world.shadow();
  const before = await world.dump(world.live);
  await world.live.kill9();

  const { findings } = await world.json(0, 'failover', PAIR, '--dry-run');
  const pins = findingOf(findings, 'standby.pins');
  assert.equal(pins.state, 'amber');
  assert.match(pins.detail, /download|other UIDs|cannot be kept/);

  const { plan } = await world.json(0, 'failover', PAIR, '--yes');
  assert.equal(plan.state, 'done', JSON.stringify(plan.problem));
  assert.deepEqual(plan.report.problems, []);
  assertSame(before, await world.dump(world.standby), PLAIN);
  await world.assertBoundTo(world.standby);

  await world.live.restart();
  const [account = ''] = world.accounts;
  const client = await connectImap(world.doorLogin(account));
  await client.append('INBOX', 'Subject: written there\r\n\r\nx\r\n');
  await client.logout();
  const meanwhile = await world.dump(world.standby);
  const back = await world.json(0, 'plan', 'rollback', plan.id, '--yes');
  assert.equal(back.plan.state, 'rolled-back');
  await world.assertBoundTo(world.live);
  assertSame(meanwhile, await world.dump(world.live), PLAIN);
});

for (const standbyDoveadm of [true, false]) {
  test(`the first account is broken on the standby: the others move ${standbyDoveadm ? '' : 'without the doveadm API '}and it is told`, {
    skip,
  }, async (t) => {
    const world = await World.start(t, { standbyDoveadm });
    await world.shadow();
    const before = await world.dump(world.live);
    const [broken = '', ...others] = world.accounts;
    // Its home is no folder.
    rmSync(world.standby.home(broken), { recursive: true, force: true });
    writeFileSync(world.standby.home(broken), '');
    await world.live.kill9();

    const killed = await world.begin(['failover', PAIR, '--yes', '--json'], 'plan.certify.after-outcome')
      .ended;
    assert.equal(killed.signal, 'SIGKILL', `${killed.stdout}\n${killed.stderr}`);
    const { plans } = await world.json(0, 'plan', 'list');
    await world.json(2, 'plan', 'resume', plans[0].id);
    const { plan } = await world.json(4, 'plan', 'resume', plans[0].id, '--yes');
    assert.equal(plan.state, 'done', JSON.stringify(plan.problem));
    const troubled = plan.report.problems.map(({ account }: { account: string }) => account);
    assert.deepEqual([...new Set(troubled)], [broken]);
    assert.ok(others.includes(plan.report.probe.account), plan.report.probe.account);
    const after = await Promise.all(
      others.map(async (account) => [account, await world.dumpOf(world.standby, account)] as const),
    );
    assertSame(
      new Map(others.map((account) => [account, before.get(account) ?? new Map()])),
      new Map(after),
      standbyDoveadm ? {} : PLAIN,
    );
  });
}

for (const kind of ['failover', 'switchover']) {
  test(`a ${kind} binds nobody where the directory calls the live server otherwise: refused, unless somebody says why`, {
    skip,
  }, async (t) => {
    const world = await World.start(t, { mailHost: 'mail-a.example.org' });
    await world.shadow();
    const stamps = world.directoryStamps();
    const preview = await world.json(3, kind, PAIR, '--dry-run');
    const bound = findingOf(preview.findings, 'directory.bound');
    assert.equal(bound.state, 'red');
    assert.equal(findingOf(preview.findings, 'directory.rights').state, 'amber');
    assert.deepEqual(world.directoryStamps(), stamps, 'a dry run writes nothing');

    const refused = await world.json(3, kind, PAIR, '--yes');
    assert.equal(refused.error.code, 'PLAN_REFUSED', JSON.stringify(refused));
    assert.match(refused.error.message, /no account is bound to/);
    assert.match(refused.error.remedy, /overrule it: --reason/);
    const checked = await world.json(3, 'check', PAIR);
    const found = findingOf(checked.checked[0].findings, 'directory.bound');
    assert.deepEqual(found, bound, 'check says the same');

    const { plan } = await world.json(0, kind, PAIR, '--yes', '--reason', 'people come by the door');
    assert.deepEqual([plan.state, plan.forced], ['done', true]);
  });
}

function findingOf(findings: Printed, id: string): Printed {
  const found = findings.find((finding: { id: string }) => finding.id === id);
  assert.ok(found, `${id} in ${JSON.stringify(findings)}`);
  return found;
}
