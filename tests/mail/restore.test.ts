/**
 * Goal: what was lost comes back as it was, and nothing else changes: nothing the server holds is overwritten, doubled or
 * lost, whatever is delivered meanwhile. Method: messages, mailboxes, accounts and whole stores are destroyed on a real
 * Dovecot and restored; an independent client compares before and after, and watches during.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Lsn } from '../../src/journal/index.ts';
import { type RestoreReport, type RestoreRequest, restoreMail } from '../../src/workloads/mail/index.ts';
import type { AccountDump } from '../lab/imap-check.ts';
import { connectLmtp } from '../lab/lmtp.ts';
import { IdentityWatch } from './identity-watch.ts';
import {
  ADDED_SINCE,
  act,
  assertAllBack,
  assertIdentityKept,
  assertSame,
  contents,
  deliver,
  fillAccount,
  liveOn,
  loseStore,
  mail,
  mailbox,
} from './restore-world.ts';
import { MailLab, type MailLabOptions, serversMissing } from './support.ts';

const ACCOUNT = 'user0001';

interface World {
  readonly lab: MailLab;
  /** What the account held. */
  readonly before: AccountDump;
  readonly lsn: Lsn;
}

/** An account with some mailboxes, UIDs with gaps, flags, keywords; shadowed. */
async function world(t: TestContext, options: MailLabOptions = {}): Promise<World> {
  const lab = await MailLab.start(t, { accounts: 1, doveadm: true, ...options });
  await fillAccount(lab, ACCOUNT);
  await lab.shadow();
  const state = await lab.assertReplicaIsServer();
  return { lab, before: state.get(ACCOUNT) as AccountDump, lsn: (await lab.vault()).committedLsn };
}

async function restore(lab: MailLab, request: Partial<RestoreRequest>): Promise<RestoreReport> {
  const report = await restoreMail(await lab.deps(), { account: ACCOUNT, dryRun: false, ...request });
  assert.deepEqual(report.problems, []);
  return report;
}

async function serverNow(lab: MailLab): Promise<AccountDump> {
  return (await lab.serverState([ACCOUNT])).get(ACCOUNT) as AccountDump;
}

describe('restore', { skip: serversMissing }, () => {
  it('brings back single messages with flags and dates, and does nothing when repeated', async (t) => {
    const { lab, before } = await world(t);
    await act(lab, ACCOUNT, async (client) => {
      await client.select('INBOX');
      await client.expunge('7:9,20');
    });
    await lab.shadow();
    const one = await restore(lab, { mailbox: 'INBOX', uids: '8' });
    assert.deepEqual([one.messagesWanted, one.messagesPresent, one.messagesRestored], [1, 0, 1]);
    const set = await restore(lab, { mailbox: 'INBOX', uids: '7:12,20' });
    assert.deepEqual([set.messagesWanted, set.messagesPresent, set.messagesRestored], [7, 4, 3]);
    const again = await restore(lab, { mailbox: 'INBOX', uids: '7:12,20' });
    assert.deepEqual([again.messagesRestored, again.mailboxes], [0, []]);

    const after = await serverNow(lab);
    assert.deepEqual(contents(mailbox(after, 'INBOX').messages), contents(mailbox(before, 'INBOX').messages));
    assertSame(
      before,
      after,
      [...before.keys()].filter((name) => name !== 'INBOX'),
    );
    await lab.assertReplicaIsServer();
  });

  it('takes flags as of the wanted point, and leaves those of messages that are there', async (t) => {
    const { lab, lsn } = await world(t);
    await act(lab, ACCOUNT, async (client) => {
      await client.select('Work');
      await client.store('1,3', 'FLAGS', ['\\Answered', 'Changed']);
    });
    await lab.shadow();
    const changed = (await lab.vault()).committedLsn;
    await act(lab, ACCOUNT, async (client) => {
      await client.select('Work');
      await client.expunge('1');
    });
    await restore(lab, { mailbox: 'Work', at: lsn });
    const flagsOf = (dump: AccountDump) =>
      mailbox(dump, 'Work').messages.map(({ uid, flags }) => `${uid} ${flags}`);
    const after = flagsOf(await serverNow(lab));
    assert.ok(after.includes('3 Changed,\\Answered'), 'a message that is there keeps what it has now');
    assert.ok(after.includes('13 $Label1,\\Flagged'), 'one that was gone has the flags of then');
    await act(lab, ACCOUNT, async (client) => {
      await client.select('Work');
      await client.expunge('13');
    });
    await restore(lab, { mailbox: 'Work', at: changed });
    assert.ok(flagsOf(await serverNow(lab)).includes('14 Changed,\\Answered'));
  });

  for (const format of ['maildir', 'mdbox'] as const) {
    it(`brings back deleted mailboxes with UIDVALIDITY, UIDs and UIDNEXT: ${format}`, async (t) => {
      const { lab, before } = await world(t, { format });
      await act(lab, ACCOUNT, async (client) => {
        await client.delete('Work/Deep');
        await client.delete('Work');
        await client.unsubscribe('Work');
        await client.delete('Entwürfe "alt"');
      });
      await lab.shadow();
      const work = await restore(lab, { mailbox: 'Work' });
      assert.deepEqual(
        work.mailboxes.map(({ mailbox, target, identityKept }) => [mailbox, target, identityKept]),
        [['Work', 'created', true]],
      );
      await restore(lab, { mailbox: 'Work/Deep' });
      await restore(lab, { mailbox: 'Entwürfe "alt"' });
      assertSame(before, await serverNow(lab));
      await lab.assertReplicaIsServer();
      assert.equal((await restore(lab, { mailbox: 'Work' })).messagesRestored, 0);
    });

    it(`brings back an account of which everything was deleted: ${format}`, async (t) => {
      const { lab, before, lsn } = await world(t, { format });
      await act(lab, ACCOUNT, async (client) => {
        for (const name of await client.list()) {
          if (name !== 'INBOX') await client.delete(name);
          await client.unsubscribe(name);
        }
        await client.select('INBOX');
        await client.expunge('1:*');
      });
      const dry = await restore(lab, { at: lsn, dryRun: true });
      const report = await restore(lab, { at: lsn });
      assert.deepEqual(dry.mailboxes, report.mailboxes, 'a dry run says what is then done');
      assert.equal(dry.messagesRestored, report.messagesRestored);
      const after = await serverNow(lab);
      assertSame(
        before,
        after,
        [...before.keys()].filter((name) => name !== 'INBOX'),
      );
      assert.deepEqual(
        contents(mailbox(after, 'INBOX').messages),
        contents(mailbox(before, 'INBOX').messages),
      );
      assert.equal((await restore(lab, { at: lsn })).messagesRestored, 0);
    });

    it(`brings back a store that was lost, and puts what was delivered since behind it: ${format}`, async (t) => {
      const { lab, before, lsn } = await world(t, { format });
      const watch = await IdentityWatch.open(lab.dovecot, ACCOUNT, 'INBOX');
      loseStore(lab, ACCOUNT);
      await liveOn(lab, ACCOUNT);
      await restore(lab, { at: lsn });
      const after = await serverNow(lab);
      const { violations } = await watch.end();
      assert.deepEqual(violations, []);
      await lab.assertReplicaIsServer();

      assertAllBack(before, after, ADDED_SINCE);
      // Dovecot cannot rename an INBOX in Maildir, so its first UIDs are taken.
      assertIdentityKept(before, after, format === 'maildir' ? ['INBOX'] : []);
      assert.equal((await restore(lab, { at: lsn })).messagesRestored, 0, 'repeated, it has nothing to do');
      assertSame(after, await serverNow(lab));
    });

    it(`loses and doubles nothing when mail is delivered meanwhile: ${format}`, async (t) => {
      const { lab, before, lsn } = await world(t, { format });
      const watch = await IdentityWatch.open(lab.dovecot, ACCOUNT, 'INBOX');
      loseStore(lab, ACCOUNT);
      await deliver(lab, ACCOUNT, ['since-0']);
      watch.begin();
      const lmtp = await connectLmtp({ host: lab.dovecot.address, port: lab.dovecot.lmtpPort });
      const delivered = ['since-0'];
      let restoring = true;
      const delivering = (async () => {
        while (restoring) {
          const id = `during-${delivered.length}`;
          await lmtp.deliver(mail(id), [ACCOUNT]);
          delivered.push(id);
          await delay(2);
        }
      })();
      await restore(lab, { at: lsn });
      restoring = false;
      await delivering;
      await lmtp.close();
      const { violations, looks } = await watch.end();
      t.diagnostic(`${delivered.length} deliveries and ${looks} looks during the restore`);
      assert.deepEqual(violations, []);
      await lab.shadow();
      await lab.assertReplicaIsServer();
      const inbox = mailbox(await serverNow(lab), 'INBOX').messages;
      const known = contents(mailbox(before, 'INBOX').messages);
      const found = contents(inbox);
      for (const line of known) assert.ok(found.includes(line), `lost: ${line}`);
      assert.equal(inbox.length, known.length + delivered.length, 'each delivery is there once');
      assert.equal(new Set(inbox.map(({ sha256 }) => sha256)).size, inbox.length, 'nothing is there twice');
    });
  }

  it('gives new UIDs where the server cannot set them, and says so', async (t) => {
    const { lab, before, lsn } = await world(t, { doveadm: false, hideCondstore: true });
    loseStore(lab, ACCOUNT);
    await deliver(lab, ACCOUNT, ['since-1']);
    const report = await restore(lab, { at: lsn });
    assert.ok(
      report.mailboxes
        .filter(({ messagesRestored }) => messagesRestored > 0)
        .every((row) => !row.identityKept),
    );
    const after = await serverNow(lab);
    assert.deepEqual([...after.keys()], [...before.keys()]);
    for (const [name, { messages }] of before) {
      const found = contents(mailbox(after, name).messages);
      for (const line of contents(messages)) assert.ok(found.includes(line), `${name}: ${line}`);
      assert.equal(found.length, messages.length + (name === 'INBOX' ? 1 : 0), name);
    }
    assert.equal((await restore(lab, { at: lsn })).messagesRestored, 0);
  });

  it('puts messages into another mailbox, made anew or used, once', async (t) => {
    const { lab, before } = await world(t);
    const made = await restore(lab, { mailbox: 'Work', into: 'Brought back/Work' });
    assert.equal(made.messagesRestored, mailbox(before, 'Work').messages.length);
    assert.deepEqual(
      made.mailboxes.map(({ mailbox, into, target }) => [mailbox, into, target]),
      [['Work', 'Brought back/Work', 'created']],
    );
    assert.equal((await restore(lab, { mailbox: 'Work', into: 'Brought back/Work' })).messagesRestored, 0);
    const three = await restore(lab, { mailbox: 'INBOX', uids: '1,3,4', into: 'Work' });
    assert.equal(three.messagesRestored, 3);
    const after = await serverNow(lab);
    assert.deepEqual(
      contents(mailbox(after, 'Brought back/Work').messages),
      contents(mailbox(before, 'Work').messages),
    );
    assert.equal(mailbox(after, 'Work').messages.length, mailbox(before, 'Work').messages.length + 3);
    assertSame(
      before,
      after,
      [...before.keys()].filter((name) => name !== 'Work'),
    );
  });

  it('ends within a mailbox when it is interrupted, and goes on when it is repeated', async (t) => {
    const { lab, before } = await world(t);
    await act(lab, ACCOUNT, (client) => client.delete('Work'));
    await lab.shadow();
    const abort = new AbortController();
    const reason = new Error('interrupted');
    const progress = ({ messagesDone = 0 }: { messagesDone?: number }) => {
      if (messagesDone > 0) abort.abort(reason);
    };
    const request = { account: ACCOUNT, mailbox: 'Work', dryRun: false };
    await assert.rejects(restoreMail(await lab.deps(), request, { signal: abort.signal, progress }), reason);
    const again = await restore(lab, { mailbox: 'Work' });
    assert.ok(again.messagesRestored > 0, 'some were left');
    assert.ok(again.messagesPresent > 0, 'some were there');
    assertSame(before, await serverNow(lab), ['Work']);
  });

  it('changes nothing in a dry run', async (t) => {
    const { lab, lsn } = await world(t);
    await act(lab, ACCOUNT, async (client) => {
      await client.delete('Work/Deep');
      await client.select('INBOX');
      await client.expunge('1:10');
    });
    await lab.shadow();
    const damaged = await serverNow(lab);
    const report = await restore(lab, { at: lsn, dryRun: true });
    assert.equal(report.dryRun, true);
    assert.ok(report.messagesRestored >= 9);
    await restore(lab, { mailbox: 'Work', into: 'Nowhere', dryRun: true });
    assertSame(damaged, await serverNow(lab));
  });

  it('refuses what never was, with the nearest name, and changes nothing', async (t) => {
    const { lab, before } = await world(t);
    const refused = async (request: Partial<RestoreRequest>, code: string, words: RegExp) => {
      await assert.rejects(
        restore(lab, request),
        (error: { code: string; message: string; remedy: string }) => {
          assert.equal(error.code, code);
          assert.match(`${error.message} ${error.remedy}`, words);
          return true;
        },
      );
    };
    await refused({ account: 'user001' }, 'CATALOG_ACCOUNT_UNKNOWN', /user0001/);
    await refused({ mailbox: 'Werk' }, 'CATALOG_MAILBOX_UNKNOWN', /Work/);
    await refused({ mailbox: 'INBOX', uids: '900' }, 'MAIL_RESTORE_UID_ABSENT', /900/);
    assertSame(before, await serverNow(lab));
  });
});
