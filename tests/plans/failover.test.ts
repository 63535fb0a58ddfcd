/**
 * Goal: after a failover people find on the standby what they had, whatever was killed meanwhile, and nobody ever reaches the old server. Method:
 * real servers, the command as operators run it, an independent client before and after.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { connectImap } from '../lab/imap-check.ts';
import { assertSame, deliver, missing, PAIR, World } from './pair-world.ts';

const skip = missing;

test('the live server is killed; one command, without a service, and people go on', { skip }, async (t) => {
  const world = await World.start(t);
  await world.shadow();
  const before = await world.dump(world.live);
  await world.live.kill9();

  const preview = await world.json(0, 'failover', PAIR, '--dry-run');
  assert.equal(preview.dryRun, true);
  await world.assertBoundTo(world.live);

  const refused = await world.run('failover', PAIR, '--json');
  assert.equal(refused.status, 2, refused.stdout);

  const { plan } = await world.json(0, 'failover', PAIR, '--yes');
  assert.equal(plan.state, 'done');
  assertSame(before, await world.dump(world.standby));
  await world.assertBoundTo(world.standby);

  const [account = ''] = world.accounts;
  const client = await connectImap(world.doorLogin(account));
  await client.logout();
  await deliver(world.door.lmtp, account, 'after-failover');

  const { report } = plan;
  assert.equal(report.certificate.quick.equal, true);
  assert.deepEqual(report.problems, []);
  assert.ok(report.rtoMs > 0 && report.outageMs > 0, JSON.stringify(report));
  assert.ok(existsSync(report.files.html) && existsSync(report.files.json));
  assert.match(readFileSync(report.files.html, 'utf8'), /What a person must still do/);
  assert.ok(report.cleanUp.length > 3);

  // The acting server is protected: a pass over it has a vault of its own.
  assert.ok(existsSync(`${world.config.dataDir}/mail-b/journal`));

  // The old server comes back: nobody reaches it by us, and what only it held is told.
  await world.live.restart();
  await deliver({ host: world.live.address, port: world.live.lmtpPort }, account, 'only-on-the-old-one');
  await world.assertBoundTo(world.standby);
});
