/** Clients that knew the live server find on the standby what they know: nothing is fetched again. UIDs far apart are kept. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { verifyMail } from '../../src/workloads/mail/index.ts';
import { quickCompare, verifyAgainst } from '../../src/workloads/mail/standby/index.ts';
import { type AccountDump, dumpAccount } from '../lab/imap-check.ts';
import { requirePackages } from '../lab/packages.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { ImapClient } from './imap-client.ts';
import { deliver, fillAccount, mail } from './restore-world.ts';
import { STANDBY, StandbyWorld } from './standby-world.ts';
import { serversMissing } from './support.ts';
import { filesBelow, synchronisers, workOffline } from './synchronisers.ts';

describe('the identity of a standby', { skip: serversMissing }, () => {
  for (const program of synchronisers) {
    const skip = requirePackages([program.packageName]) ?? false;
    for (const format of ['maildir', 'mdbox'] as const) {
      it(`is that of the live server to ${program.name}: ${format}`, { skip }, async (t) => {
        const world = await StandbyWorld.start(t, { format, accounts: 1 });
        const [account] = world.lab.dovecot.accounts as [string];
        await fillAccount(world.lab, account);
        const folder = temporaryDirectory(program.name, t).path;
        program.synchronise(folder, world.lab.dovecot, account);
        const before = filesBelow(folder);
        const known = [...(await dumpAccount(world.lab.login(account)))];
        const kept = new Map(known.filter(([name]) => !program.leavesOut(name)));
        assert.equal(before.length, messagesOf(kept));

        await world.lab.shadow();
        await world.bringUpWell();
        const said = program.synchronise(folder, world.standby, account);
        assert.doesNotMatch(said, /UIDVALIDITY|Copy message/i);
        assert.deepEqual(filesBelow(folder), before, 'nothing came, nothing went');
        await world.assertSame();

        workOffline(folder, mail('filed-offline'));
        program.synchronise(folder, world.standby, account);
        const stayed = new Set(filesBelow(folder));
        const changed = before.filter((name) => !stayed.has(name));
        assert.equal(changed.length, 1, `the one that was flagged has another name: ${changed.join(' ')}`);
        assert.equal(stayed.size, before.length + 1);
        const [live, standby] = await Promise.all([
          dumpAccount(world.lab.login(account)),
          world.standbyState(account),
        ]);
        assert.equal(flaggedOf(standby), flaggedOf(live) + 1, 'the flag came to the standby');
        assert.equal(messagesOf(standby), messagesOf(live) + 1, 'so did the message');
        assert.equal(await world.countOnStandby(account, 'filed-offline'), 1);
      });
    }
  }

  it('is kept where UIDs are far apart', async (t) => {
    const world = await StandbyWorld.start(t, { format: 'mdbox', accounts: 1 });
    const [account] = world.lab.dovecot.accounts as [string];
    const client = await ImapClient.open(world.lab.dovecot, account);
    for (let number = 0; number < 1_000; number += 1) {
      // Fours, far apart.
      if (number % 4 === 0) await world.pinLive(account, 'INBOX', 1 + number * 50);
      await client.append('INBOX', mail(`sparse-${number}`));
    }
    await client.close();
    await world.lab.shadow();
    const report = await world.bringUpWell();
    assert.equal(report.messagesRestored, 1_000);
    t.diagnostic(`1,000 messages over 50,000 UIDs in ${Math.round(report.elapsedMs)} ms`);
    await world.assertSame();
  });

  it('is compared by STATUS and in depth', async (t) => {
    const world = await StandbyWorld.start(t, { format: 'maildir', accounts: 2 });
    const [account] = world.lab.dovecot.accounts as [string];
    for (const one of world.lab.dovecot.accounts) await fillAccount(world.lab, one);
    await world.lab.shadow();
    await world.bringUpWell();
    await world.withDeps(async (deps) => {
      assert.deepEqual((await quickCompare(deps)).differences, []);
      const verified = await verifyAgainst(deps, { bodies: 'all' });
      assert.deepEqual(verified.differences, []);
      assert.equal(verified.equal, true);
    });
    await world.onStandby(account, (client) => client.append('Work', mail('too many')));
    await world.withDeps(async (deps) => {
      const { differences, equal } = await quickCompare(deps);
      assert.equal(equal, false);
      assert.deepEqual(differences.map(({ what }) => what).sort(), ['message-extra', 'uidnext']);
      assert.deepEqual((await quickCompare(deps, { accounts: [account] })).accounts, 1);
      assert.ok(
        (await verifyAgainst(deps, { bodies: 'all' })).differences.some(
          ({ what }) => what === 'message-extra',
        ),
      );
    });
  });

  it('is compared with a past that the replica has left behind', async (t) => {
    const world = await StandbyWorld.start(t, { format: 'maildir', accounts: 1 });
    const [account] = world.lab.dovecot.accounts as [string];
    await fillAccount(world.lab, account);
    const at = (await world.lab.shadow()).lsn;
    await world.bringUpWell();
    await deliver(world.lab, account, ['came-meanwhile']);
    await world.lab.shadow();
    await world.withDeps(async (deps) => {
      const { config, clock, log, reader } = deps;
      const { catalog, dir } = reader;
      // As a comparison sees it that began before.
      const vault = { catalog, dir, committedLsn: at, journalId: catalog.journalId, failure: undefined };
      const begun = await verifyMail({ server: STANDBY, config, clock, log, vault }, { bodies: 'all', at });
      assert.deepEqual(begun.differences, []);
      assert.deepEqual((await verifyAgainst(deps, { bodies: 'all', at })).differences, []);
    });

    await world.onStandby(account, async (client) => {
      await client.append('INBOX', mail('too many'));
      await client.append('INBOX', mail('one more'));
      await client.mailboxOpen('INBOX');
      await client.messageDelete('31:*', { uid: true });
    });
    await world.withDeps(async (deps) => {
      const { differences } = await verifyAgainst(deps, { bodies: 'all', at });
      assert.deepEqual(
        differences.map(({ mailbox, what }) => [mailbox, what]),
        [['INBOX', 'uidnext']],
      );
    });
  });

  it('is not looked for in an account that the replica does not have', async (t) => {
    const world = await StandbyWorld.start(t, { format: 'maildir', accounts: 1 });
    await world.lab.shadow();
    await world.withDeps(async (deps) => {
      await assert.rejects(verifyAgainst(deps, { bodies: 'all', account: 'usr0001' }), {
        code: 'CATALOG_ACCOUNT_UNKNOWN',
        remedy: 'Did you mean user0001?',
      });
    });
  });
});

function messagesOf(dump: AccountDump): number {
  return [...dump.values()].reduce((sum, { messages }) => sum + messages.length, 0);
}

function flaggedOf(dump: AccountDump): number {
  const all = [...dump.values()].flatMap(({ messages }) => messages);
  return all.filter(({ flags }) => flags.includes('\\Flagged')).length;
}
