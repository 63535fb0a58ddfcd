/** A second server is brought to what the replica says, whatever it held before. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { corpusMissing, nastyMessages } from '../lab/corpus.ts';
import { fillDovecot } from '../lab/fill.ts';
import { connectImap } from '../lab/imap-check.ts';
import { StandbyWorld } from './standby-world.ts';
import { serversMissing } from './support.ts';

const formats = ['maildir', 'mdbox'] as const;
const mail = (subject: string) => Buffer.from(`From: a@example.test\r\nSubject: ${subject}\r\n\r\nhello\r\n`);

async function onLive<T>(
  world: StandbyWorld,
  account: string,
  work: (client: Awaited<ReturnType<typeof connectImap>>) => Promise<T>,
): Promise<T> {
  const client = await connectImap(world.lab.login(account));
  try {
    return await work(client);
  } finally {
    await client.logout();
  }
}

/** HIGHESTMODSEQ of every mailbox of an account. */
async function modSeqs(client: Awaited<ReturnType<typeof connectImap>>): Promise<Map<string, bigint>> {
  const found = new Map<string, bigint>();
  for (const { path } of await client.list()) {
    const status = await client.status(path, { highestModseq: true });
    if (status) found.set(path, status.highestModseq ?? 0n);
  }
  return found;
}

describe('a standby is brought up', { skip: serversMissing }, () => {
  for (const format of formats) {
    it(`from nothing, in ${format}`, async (t) => {
      const world = await StandbyWorld.start(t, { format, accounts: 3 });
      await fillDovecot(world.lab.dovecot, { messages: 600, seed: 7 });
      const [account] = world.lab.dovecot.accounts as [string];
      await onLive(world, account, async (client) => {
        // Gaps of every size, and a UIDNEXT beyond the last message.
        for (let n = 0; n < 30; n += 1)
          await client.append('INBOX', mail(`n${n}`), n % 3 ? ['\\Seen', 'Work'] : []);
        await client.mailboxOpen('INBOX');
        await client.messageDelete('1:4,7,9:15,40:*', { uid: true });
        await client.mailboxClose();
      });
      await world.lab.shadow();
      const report = await world.bringUpWell();
      assert.equal(report.messagesRestored, report.messagesWanted);
      assert.deepEqual(report.kept, []);
      await world.assertSame();
      const [live, standby] = await Promise.all([
        onLive(world, account, modSeqs),
        world.onStandby(account, modSeqs),
      ]);
      for (const [name, modSeq] of live) assert.ok((standby.get(name) ?? 0n) >= modSeq, `MODSEQ of ${name}`);

      const again = await world.bringUpWell();
      assert.equal(again.messagesRestored, 0);
      assert.equal(again.messagesPresent, again.messagesWanted);
      assert.deepEqual(again.repaired, []);
      await world.assertSame();
    });

    it(`with mail that breaks parsers, in ${format}`, { skip: corpusMissing }, async (t) => {
      const world = await StandbyWorld.start(t, { format, accounts: 1 });
      const [account] = world.lab.dovecot.accounts as [string];
      await onLive(world, account, async (client) => {
        for (const { raw } of nastyMessages()) await client.append('INBOX', raw);
      });
      await world.lab.shadow();
      await world.bringUpWell();
      await world.assertSame();
    });

    it(`where it went wrong, in ${format}`, async (t) => {
      const world = await StandbyWorld.start(t, { format, accounts: 1 });
      const [account] = world.lab.dovecot.accounts as [string];
      await onLive(world, account, async (client) => {
        for (const name of ['Work', 'Work/2020', 'Other', 'Third']) {
          await client.mailboxCreate(name);
          await client.mailboxSubscribe(name);
          for (let n = 0; n < 12; n += 1) await client.append(name, mail(`${name} ${n}`), ['\\Seen']);
        }
        for (let n = 0; n < 12; n += 1) await client.append('INBOX', mail(`inbox ${n}`));
      });
      await world.lab.shadow();
      await world.bringUpWell();
      await world.onStandby(account, async (client) => {
        // A delivery that only the standby has, lost messages in the middle, other flags, an extra mailbox.
        await client.append('INBOX', mail('delivered to the standby'));
        await client.mailboxOpen('Work');
        await client.messageDelete('4:6', { uid: true });
        await client.messageFlagsSet('1:2', ['\\Flagged', 'Odd'], { uid: true });
        await client.mailboxClose();
        await client.mailboxDelete('Other');
        await client.mailboxCreate('Other');
        await client.append('Other', mail('in a new incarnation'));
        await client.mailboxCreate('Extra');
        await client.append('Extra', mail('extra'));
        await client.mailboxUnsubscribe('Third');
      });
      // And the live server goes on.
      await onLive(world, account, async (client) => {
        await client.append('INBOX', mail('later'));
        await client.append('Work', mail('later'));
        await client.mailboxRename('Third', 'Fourth');
      });
      await world.lab.shadow();
      const dry = await world.bringUpWell({ dryRun: true });
      assert.ok(dry.repaired.length > 0);
      const report = await world.bringUp();
      const kinds = new Set(report.repaired.map(({ what }) => what));
      for (const what of ['uidnext', 'extra-mailbox', 'subscription'] as const)
        assert.ok(kinds.has(what), what);
      // By chance the new incarnation may have the UIDVALIDITY of the old one.
      assert.ok(kinds.has('uidvalidity') || kinds.has('other-message'));
      // What only the standby had is there.
      const subjects = new Set<string>();
      await world.onStandby(account, async (client) => {
        for (const { path } of await client.list()) {
          await client.mailboxOpen(path, { readOnly: true });
          for await (const { envelope } of client.fetch('1:*', { envelope: true })) {
            subjects.add(envelope?.subject ?? '');
          }
        }
      });
      for (const subject of ['delivered to the standby', 'in a new incarnation', 'extra', 'later']) {
        assert.ok(subjects.has(subject), subject);
      }
      assert.deepEqual(report.problems, []);
      await world.assertSame();
    });
  }

  it('where UIDs cannot be set', async (t) => {
    const world = await StandbyWorld.start(t, { format: 'maildir', accounts: 2, standbyDoveadm: false });
    await fillDovecot(world.lab.dovecot, { messages: 200, seed: 3 });
    await world.lab.shadow();
    const dry = await world.bringUpWell({ dryRun: true });
    assert.ok(dry.notKept.some(({ what }) => what === 'uids'));
    await world.bringUpWell();
    const options = { ignore: ['uid', 'uidValidity', 'uidNext'] as const };
    await world.assertSame(options);
    const again = await world.bringUpWell();
    assert.equal(again.messagesRestored, 0);
    await world.assertSame(options);
  });
});
