/**
 * Goal: a server that goes back in time is followed, not believed: restored from an older copy, its indexes lost, its
 * mailboxes unreadable for a while. Method: a real Dovecot's files are set back, removed or made unreadable behind its back.
 */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, cpSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { restoreMail, shadowOnce } from '../../src/workloads/mail/index.ts';
import type { AccountDump } from '../lab/imap-check.ts';
import { IdentityWatch } from './identity-watch.ts';
import { act, assertAllBack, assertIdentityKept, deliver, fillAccount, mail } from './restore-world.ts';
import { assertEqualStates, MailLab, replicaState, serversMissing, variants } from './support.ts';

const ACCOUNT = 'user0001';

describe('a server that goes back in time', { skip: serversMissing }, () => {
  for (const { name, options } of variants) {
    it(`is followed to an older copy of itself, and its past stays: ${name}`, async (t) => {
      const lab = await MailLab.start(t, { ...options, accounts: 1 });
      await fillAccount(lab, ACCOUNT);
      const copy = `${lab.dovecot.home(ACCOUNT)}-copy`;
      cpSync(lab.dovecot.home(ACCOUNT), copy, { recursive: true, preserveTimestamps: true });
      own(copy);
      await act(lab, ACCOUNT, async (client) => {
        for (let number = 1; number <= 8; number += 1)
          await client.append('INBOX', mail(`after-the-copy-${number}`));
        await client.select('INBOX');
        await client.store('1:10', '+FLAGS', ['\\Answered']);
        await client.expunge('12');
      });
      await lab.shadow();
      const before = await lab.assertReplicaIsServer();
      const lsn = (await lab.vault()).committedLsn;

      rmSync(lab.dovecot.home(ACCOUNT), { recursive: true });
      cpSync(copy, lab.dovecot.home(ACCOUNT), { recursive: true, preserveTimestamps: true });
      own(lab.dovecot.home(ACCOUNT));
      await lab.shadow();
      await lab.assertReplicaIsServer('set back');
      await act(lab, ACCOUNT, async (client) => {
        await client.append('INBOX', mail('another under a UID that was given before'));
        await client.select('INBOX');
        await client.store('7', '+FLAGS', ['\\Flagged']);
      });
      await lab.shadow();
      await lab.assertReplicaIsServer('and gone on from there');
      const vault = await lab.vault();
      assertEqualStates(before, replicaState(vault.catalog, [ACCOUNT], lsn), 'the past', {
        ignore: ['uidNext'],
      });

      const report = await restoreMail(await lab.deps(), { account: ACCOUNT, at: lsn, dryRun: false });
      assert.deepEqual(report.problems, []);
      const after = await lab.assertReplicaIsServer('after the restore');
      const subjects = (state: typeof before) =>
        new Set(
          state
            .get(ACCOUNT)
            ?.get('INBOX')
            ?.messages.map((m) => m.sha256),
        );
      for (const digest of subjects(before)) assert.ok(subjects(after).has(digest));
    });
  }

  it('is not taken at its word when it deals out the same UIDs again before we look', async (t) => {
    const lab = await MailLab.start(t, { format: 'maildir', accounts: 1 });
    await fillAccount(lab, ACCOUNT);
    const copy = `${lab.dovecot.home(ACCOUNT)}-copy`;
    cpSync(lab.dovecot.home(ACCOUNT), copy, { recursive: true, preserveTimestamps: true });
    await deliver(lab, ACCOUNT, ['first-1', 'first-2', 'first-3']);
    await lab.shadow();
    rmSync(lab.dovecot.home(ACCOUNT), { recursive: true });
    cpSync(copy, lab.dovecot.home(ACCOUNT), { recursive: true, preserveTimestamps: true });
    own(lab.dovecot.home(ACCOUNT));
    await deliver(lab, ACCOUNT, ['second-1', 'second-2']);
    await lab.shadow();
    await lab.assertReplicaIsServer();
  });

  for (const { name, options } of variants.filter(({ options }) => options.format === 'maildir')) {
    it(`is compared message by message when its indexes were lost: ${name}`, async (t) => {
      const lab = await MailLab.start(t, { ...options, accounts: 1 });
      await fillAccount(lab, ACCOUNT);
      await act(lab, ACCOUNT, async (client) => {
        await client.select('INBOX');
        for (let count = 0; count < 20; count += 1)
          await client.store('1:*', count % 2 ? '+FLAGS' : '-FLAGS', ['\\Draft']);
      });
      await lab.shadow();
      await lab.assertReplicaIsServer();
      const store = lab.dovecot.storePath(ACCOUNT);
      for (const file of readdirSync(store)) if (file.startsWith('dovecot.index')) rmSync(join(store, file));
      await act(lab, ACCOUNT, async (client) => {
        await client.select('INBOX');
        await client.store('3', 'FLAGS', ['\\Flagged', 'New']);
      });
      await lab.shadow();
      await lab.assertReplicaIsServer();
      await lab.assertPassAppendsNothing();
    });
  }

  it('and loses a mailbox twice never gives a UID again', async (t) => {
    const lab = await MailLab.start(t, { format: 'mdbox', doveadm: true, accounts: 1 });
    await fillAccount(lab, ACCOUNT);
    await lab.shadow();
    const before = (await lab.assertReplicaIsServer()).get(ACCOUNT) as AccountDump;
    const lsn = (await lab.vault()).committedLsn;
    const watch = await IdentityWatch.open(lab.dovecot, ACCOUNT, 'Work');
    const lose = () => act(lab, ACCOUNT, (client) => client.delete('Work'));
    const restore = async () => {
      const report = await restoreMail(await lab.deps(), {
        account: ACCOUNT,
        mailbox: 'Work',
        at: lsn,
        dryRun: false,
      });
      assert.deepEqual(report.problems, []);
      await watch.look();
    };
    await lose();
    await restore();
    await act(lab, ACCOUNT, (client) => client.append('Work', mail('between the losses')));
    await watch.look();
    await lab.shadow();
    await lose();
    await restore();
    await act(lab, ACCOUNT, (client) => client.append('Work', mail('after the second')));
    assert.deepEqual((await watch.end()).violations, []);
    const after = (await lab.serverState()).get(ACCOUNT) as AccountDump;
    assertAllBack(before, after, { Work: 1 });
    assertIdentityKept(before, after);
  });
});

describe('a mailbox that the server cannot open', { skip: serversMissing }, () => {
  for (const { name, options } of variants.filter(({ options }) => options.format === 'maildir')) {
    it(`is a problem, not a deletion: ${name}`, async (t) => {
      const lab = await MailLab.start(t, { ...options, accounts: 2 });
      await fillAccount(lab, ACCOUNT);
      await lab.shadow();
      const before = await lab.assertReplicaIsServer();
      const folder = join(lab.dovecot.storePath(ACCOUNT), '.Work');
      chmodSync(folder, 0o000);
      await deliver(lab, 'user0002', ['elsewhere']);
      const { problems } = await shadowOnce(await lab.deps());
      assert.deepEqual([...new Set(problems.map(({ account }) => account))], [ACCOUNT]);
      const { catalog } = await lab.vault();
      assert.ok(catalog.mailboxByName(ACCOUNT, 'Work'), 'the replica keeps it');
      assert.equal(catalog.account('user0002')?.messageCount, 1, 'other accounts go on');
      chmodSync(folder, 0o700);
      await lab.shadow();
      const after = await lab.assertReplicaIsServer();
      assert.deepEqual(after.get(ACCOUNT)?.get('Work'), before.get(ACCOUNT)?.get('Work'));
      assert.equal(catalog.mailboxHistory(ACCOUNT).filter((life) => life.goneLsn !== undefined).length, 0);
    });
  }
});

/** Files copied by root belong to root; mail belongs to the server's user. */
function own(path: string): void {
  const { uid, gid } = statSync(join(path, '..'));
  for (const entry of readdirSync(path, { recursive: true, encoding: 'utf8' }))
    chownSync(join(path, entry), uid, gid);
  chownSync(path, uid, gid);
}
