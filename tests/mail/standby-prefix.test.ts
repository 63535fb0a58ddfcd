/**
 * Goal: where mailboxes have to be in a personal namespace (`INBOX.`), those that a restore makes beside INBOX are there too. Method: real Dovecots with
 * one; an INBOX on the standby with another identity and mail of its own, and an INBOX that was lost.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { restoreMail } from '../../src/workloads/mail/index.ts';
import { connectImap, dumpAccount } from '../lab/imap-check.ts';
import { act, deliver, loseStore, mail } from './restore-world.ts';
import { StandbyWorld } from './standby-world.ts';
import { MailLab, serversMissing } from './support.ts';

const PREFIXED = 'namespace inbox {\n  prefix = INBOX.\n  separator = .\n}';

describe('a server with a personal namespace', { skip: serversMissing }, () => {
  for (const format of ['maildir', 'mdbox'] as const) {
    it(`takes an INBOX in place of another one, and keeps what only that held: ${format}`, async (t) => {
      const world = await StandbyWorld.start(t, { format, accounts: 1, extraConfig: PREFIXED });
      const [account] = world.lab.dovecot.accounts as [string];
      await act(world.lab, account, async (client) => {
        await client.create('INBOX.Work');
        for (const id of ['a@x', 'b@x', 'c@x']) await client.append('INBOX', mail(id));
        await client.append('INBOX.Work', mail('d@x'));
        await client.select('INBOX');
        await client.expunge('2');
      });
      const stranger = await connectImap(world.standbyLogin(account));
      await stranger.append('INBOX', 'Subject: a stranger\r\n\r\nonly here\r\n');
      await stranger.append('INBOX', 'Subject: another stranger\r\n\r\nonly here\r\n');
      await stranger.logout();
      await world.lab.shadow();
      const { notKept } = await world.bringUpWell();
      // Elsewhere Dovecot takes every name of the namespace for one below INBOX, and does not rename that.
      const keeps = format === 'maildir';
      await world.assertSame(keeps ? {} : { ignore: ['uid', 'uidValidity', 'uidNext'] });
      assert.deepEqual(
        notKept.map(({ what, mailbox }) => [what, mailbox]),
        keeps
          ? []
          : [
              ['uidvalidity', 'INBOX'],
              ['uids', 'INBOX'],
            ],
      );
      const names = [...(await world.standbyState(account)).keys()];
      assert.ok(names.includes('INBOX.INBOX-only-on-standby'), names.join(' '));
      assert.equal(await world.countOnStandby(account, 'a stranger'), 1);
      assert.equal(names.filter((name) => name.includes('-being-')).length, 0, names.join(' '));
    });
  }

  it('gives an INBOX back that was lost, and what came since behind it', async (t) => {
    const lab = await MailLab.start(t, {
      format: 'mdbox',
      accounts: 1,
      doveadm: true,
      extraConfig: PREFIXED,
    });
    const [account] = lab.dovecot.accounts as [string];
    await deliver(lab, account, ['a@x', 'b@x', 'c@x']);
    await act(lab, account, async (client) => {
      await client.select('INBOX');
      await client.expunge('2');
    });
    await lab.shadow();
    const at = (await lab.vault()).committedLsn;
    loseStore(lab, account);
    await deliver(lab, account, ['since@x']);
    const report = await restoreMail(await lab.deps(), { account, at, dryRun: false }, {});
    assert.deepEqual(report.problems, []);
    const state = await dumpAccount(lab.login(account));
    assert.equal(state.get('INBOX')?.messages.length, 3);
    assert.deepEqual(
      [...state.keys()].filter((name) => name.includes('since-the-loss')),
      [],
    );
  });
});
