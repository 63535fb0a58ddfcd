/**
 * Goal: a restore may be killed anywhere; the next one does the rest, and nothing is doubled or lost. Method: the stores of
 * several accounts are lost and used anew; for each named point of a restore one account's is killed there with
 * `kill -9`, mail goes on coming in, and the command is given again.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AccountDump } from '../lab/imap-check.ts';
import { IdentityWatch } from './identity-watch.ts';
import {
  ADDED_SINCE,
  act,
  assertAllBack,
  assertIdentityKept,
  assertSame,
  deliver,
  fillAccount,
  liveOn,
  loseStore,
} from './restore-world.ts';
import { assertEqualStates, MailLab, SERVER, serversMissing } from './support.ts';
import { run } from './understudy.ts';

const points = [
  'restore.aside.after',
  'restore.create.after',
  'restore.create.after:3',
  'restore.append.before',
  'restore.append.before:4',
  'restore.append.after',
  'restore.append.after:3',
  'restore.identity.after',
  'restore.identity.after:3',
  'restore.bring-back.after',
  'restore.bring-back.after:2',
];

describe('a restore killed', { skip: serversMissing }, () => {
  for (const { format, doveadm } of [
    { format: 'mdbox', doveadm: true },
    { format: 'maildir', doveadm: true },
    { format: 'maildir', doveadm: false },
  ] as const) {
    const name = `${format}${doveadm ? '' : ', new UIDs'}`;
    it(`at each named point is finished by the next one: ${name}`, async (t) => {
      const passed = doveadm ? points : points.filter((point) => /create|append/.test(point));
      const lab = await MailLab.start(t, { format, doveadm, accounts: passed.length });
      for (const account of lab.dovecot.accounts) await fillAccount(lab, account);
      await lab.shadow();
      const before = await lab.assertReplicaIsServer();
      const lsn = (await lab.vault()).committedLsn;
      const watches = new Map<string, IdentityWatch>();
      for (const account of lab.dovecot.accounts) {
        watches.set(account, await IdentityWatch.open(lab.dovecot, account, 'INBOX'));
        loseStore(lab, account);
        await liveOn(lab, account);
      }
      await lab.closeVault();

      for (const [index, point] of passed.entries()) {
        const account = lab.dovecot.accounts[index] as string;
        const watch = watches.get(account) as IdentityWatch;
        const was = before.get(account) as AccountDump;
        const restore = ['restore', SERVER, '--account', account, '--at', `lsn:${lsn}`, '--json'];
        await watch.look();
        const killed = await run(lab.configFile, restore, { crashAt: point });
        assert.equal(killed.signal, 'SIGKILL', `${point} was not passed: ${killed.stdout}${killed.stderr}`);
        await watch.look();
        // Every other time mail comes in, and a pass sees the half-done state.
        const added = { ...ADDED_SINCE };
        const disturbed = index % 2 === 0;
        if (disturbed) {
          await deliver(lab, account, ['in-between']);
          added['INBOX'] = (added['INBOX'] ?? 0) + 1;
          assert.equal((await run(lab.configFile, ['shadow', SERVER, '--once'])).status, 0);
        }
        const again = await run(lab.configFile, restore);
        assert.equal(again.status, 0, `${point}: ${again.stdout}${again.stderr}`);
        const after = (await lab.serverState([account])).get(account) as AccountDump;
        assertAllBack(was, after, added);
        // What is delivered into a new INBOX takes its first UIDs.
        const inboxIsNew = format === 'maildir' || disturbed;
        if (doveadm) assertIdentityKept(was, after, inboxIsNew ? ['INBOX'] : []);
        assert.deepEqual((await watch.end()).violations, [], point);
      }
      const after = await lab.serverState();
      const third = await run(lab.configFile, ['restore', SERVER, '--at', `lsn:${lsn}`, '--json']);
      assert.equal(JSON.parse(third.stdout).messagesRestored, 0, 'there is nothing left to do');
      assertEqualStates(after, await lab.serverState());
      await lab.assertReplicaIsServer();
    });
  }

  it('while it brings back one deleted mailbox keeps its identity', async (t) => {
    const killedAt = [
      'restore.create.after',
      'restore.append.after:2',
      'restore.append.before:3',
      'restore.identity.after',
    ];
    const lab = await MailLab.start(t, { format: 'maildir', doveadm: true, accounts: killedAt.length });
    for (const account of lab.dovecot.accounts) await fillAccount(lab, account);
    await lab.shadow();
    const before = await lab.serverState();
    for (const account of lab.dovecot.accounts) await act(lab, account, (client) => client.delete('Work'));
    await lab.shadow();
    await lab.closeVault();
    for (const [index, point] of killedAt.entries()) {
      const account = lab.dovecot.accounts[index] as string;
      const restore = ['restore', SERVER, '--account', account, '--mailbox', 'Work', '--json'];
      assert.equal((await run(lab.configFile, restore, { crashAt: point })).signal, 'SIGKILL', point);
      const again = await run(lab.configFile, restore);
      assert.equal(again.status, 0, `${point}: ${again.stdout}${again.stderr}`);
    }
    const after = await lab.serverState();
    for (const [account, dump] of before) assertSame(dump, after.get(account) as AccountDump);
  });
});
