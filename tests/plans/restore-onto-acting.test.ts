/**
 * Goal: what the lost server had is added on the one that acts for it, where people work, once, whoever asks and however often. Method: a
 * failover by the running service, the command twice at once, an independent client.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { connectImap } from '../lab/imap-check.ts';
import { missing, PAIR, until, World } from './pair-world.ts';

test('a mailbox of the lost server is put beside those of the one that acts', {
  skip: missing,
}, async (t) => {
  const world = await World.start(t, { messages: 40 });
  await world.shadow();
  await world.startService();
  const [account = ''] = world.accounts;
  await until('the service follows', 30_000, async () => {
    const { servers } = await world.json(0, 'status');
    return servers[0].state === 'following';
  });
  await world.live.kill9();
  const { plan } = await world.json(0, 'failover', PAIR, '--yes');
  assert.equal(plan.state, 'done');
  const before = await world.dumpOf(world.standby, account);
  const inbox = before.get('INBOX')?.messages ?? [];
  assert.ok(inbox.length > 0);

  const whole = await world.json(3, 'restore', 'mail-a', '--to', 'mail-b');
  assert.equal(whole.error.code, 'API_TARGET_SERVES', 'people work there');
  const part = ['restore', 'mail-a', '--to', 'mail-b', '--account', account, '--mailbox', 'INBOX'];
  const both = await Promise.all([1, 2].map(() => world.json(0, ...part, '--into', 'Back')));
  assert.deepEqual(both.map(({ messagesRestored }) => messagesRestored).sort(), [0, inbox.length]);
  const after = await world.dumpOf(world.standby, account);
  const bytes = (messages: readonly { sha256?: string }[]) => messages.map(({ sha256 }) => sha256).sort();
  assert.deepEqual(bytes(after.get('Back')?.messages ?? []), bytes(inbox));
  assert.deepEqual(after.get('INBOX'), before.get('INBOX'));

  // A message that somebody deleted there since comes back into its own mailbox.
  const [first] = inbox;
  const client = await connectImap(world.login(world.standby, account));
  await client.mailboxOpen('INBOX');
  await client.messageDelete(String(first?.uid), { uid: true });
  await client.logout();
  const one = await world.json(0, ...part, '--uid', String(first?.uid));
  assert.deepEqual([one.messagesWanted, one.messagesRestored], [1, 1]);
  const end = (await world.dumpOf(world.standby, account)).get('INBOX')?.messages ?? [];
  assert.deepEqual(bytes(end), bytes(inbox));
});
