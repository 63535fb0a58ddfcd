/**
 * Goal: the standby may be of another release of Dovecot than the live server, in both directions. Method: real servers, the command as operators run
 * it, an independent client before and after.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { dovecot24, dovecot24Missing } from '../lab/dovecot24.ts';
import { connectImap } from '../lab/imap-check.ts';
import { assertSame, deliver, missing, PAIR, World, type WorldOptions } from './pair-world.ts';

const skip = missing || dovecot24Missing;

const ways: readonly [string, () => WorldOptions][] = [
  ['2.3 → 2.4', () => ({ standby: { release: dovecot24() } })],
  ['2.4 → 2.3', () => ({ live: { release: dovecot24() } })],
];

for (const [way, options] of ways) {
  test(`the live server is killed, people go on, and it is taken back: ${way}`, { skip }, async (t) => {
    const world = await World.start(t, options());
    await world.shadow();
    const before = await world.dump(world.live);
    await world.live.kill9();

    const { plan } = await world.json(0, 'failover', PAIR, '--yes');
    assert.equal(plan.state, 'done');
    assert.deepEqual(plan.report.problems, []);
    assert.equal(plan.report.certificate.quick.equal, true);
    await world.assertBoundTo(world.standby);
    assertSame(before, await world.dump(world.standby));
    const [account = ''] = world.accounts;
    const client = await connectImap(world.doorLogin(account));
    await client.logout();
    await deliver(world.door.lmtp, account, 'written-meanwhile');

    await world.live.restart();
    const back = await world.json(0, 'plan', 'rollback', plan.id, '--yes');
    assert.equal(back.plan.state, 'rolled-back');
    await world.assertBoundTo(world.live);
    const inbox = (await world.dump(world.live)).get(account)?.get('INBOX')?.messages ?? [];
    assert.equal(inbox.length, (before.get(account)?.get('INBOX')?.messages.length ?? 0) + 1);
  });
}
