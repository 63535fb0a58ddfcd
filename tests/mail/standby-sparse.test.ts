/**
 * Goal: UIDs far apart are on the standby as they were, however its store gets there, and killed in the middle too. Method: the live
 * server's list of UIDs is written by hand; the standby is one of each store; the command is killed with `kill -9` at each named
 * point and given again; at the end an independent client finds no difference.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { fillDovecot } from '../lab/fill.ts';
import { connectImap } from '../lab/imap-check.ts';
import { spreadUids } from '../lab/sparse-uids.ts';
import { STANDBY, StandbyWorld } from './standby-world.ts';
import { SERVER, serversMissing } from './support.ts';
import { run } from './understudy.ts';

const APART = 50;
const MAILBOXES = ['INBOX', 'Work'];

async function worldWithGaps(
  t: TestContext,
  standbyFormat: 'maildir' | 'mdbox',
  size: { accounts: number; messages: number },
): Promise<StandbyWorld> {
  const world = await StandbyWorld.start(t, {
    format: 'maildir',
    standbyFormat,
    accounts: size.accounts,
  });
  const { dovecot } = world.lab;
  await fillDovecot(dovecot, {
    messages: size.messages * size.accounts,
    seed: 5,
    approxBytes: 1_000,
    mailboxes: MAILBOXES,
  });
  for (const account of dovecot.accounts) {
    for (const mailbox of MAILBOXES) spreadUids(dovecot, account, mailbox, APART);
  }
  await world.lab.shadow();
  return world;
}

/** By store: where a mailbox with gaps is on its way. */
const points = {
  maildir: ['standby.append.after', 'standby.renumber.before', 'standby.renumber.after:2'],
  mdbox: ['standby.append.after', 'standby.fillers.before'],
};

describe('UIDs far apart', { skip: serversMissing }, () => {
  for (const format of ['maildir', 'mdbox'] as const) {
    it(`are the same on the standby: 500 over 25,000, in ${format}`, async (t) => {
      const world = await worldWithGaps(t, format, { accounts: 1, messages: 500 });
      const [account] = world.lab.dovecot.accounts as [string];
      const report = await world.bringUpWell();
      assert.equal(report.messagesRestored, 500);
      assert.equal(report.messagesWanted, 500);
      assert.equal(report.messagesPresent, 0);
      assert.deepEqual(report.repaired, []);
      assert.deepEqual(report.kept, []);
      await world.assertSame();
      assert.deepEqual([...(await world.standbyState(account)).keys()].filter(isBeside), []);
      const again = await world.bringUpWell();
      assert.equal(again.messagesPresent, 500);
      assert.deepEqual(again.repaired, []);
      assert.equal(again.messagesRestored, 0);
      // What comes next gets the next UID, as it would have there.
      for (const mailbox of MAILBOXES) {
        const [live, standby] = await Promise.all([
          nextUid(world.lab.login(account), mailbox),
          nextUid(world.standbyLogin(account), mailbox),
        ]);
        assert.equal(standby, live);
      }
    });

    it(`and when it is killed in the middle, in ${format}`, async (t) => {
      const world = await worldWithGaps(t, format, { accounts: points[format].length, messages: 80 });
      await world.lab.closeVault();
      const configFile = world.writeConfig();
      for (const [index, point] of points[format].entries()) {
        const account = world.lab.dovecot.accounts[index] as string;
        const command = ['restore', SERVER, '--to', STANDBY, '--account', account, '--json'];
        const killed = await run(configFile, command, { crashAt: point });
        assert.equal(killed.signal, 'SIGKILL', `${point} was not passed: ${killed.stdout}${killed.stderr}`);
        const again = await run(configFile, command);
        assert.equal(again.status, 0, `${point}: ${again.stdout}${again.stderr}`);
        const names = [...(await world.standbyState(account)).keys()];
        assert.deepEqual(names.filter(isBeside), [], `nothing is left beside: ${point}`);
      }
      await world.assertSame();
    });
  }
});

/** The UID that a message gets which is appended now. */
async function nextUid(login: Parameters<typeof connectImap>[0], mailbox: string): Promise<number> {
  const client = await connectImap(login);
  try {
    const appended = await client.append(mailbox, 'Subject: next\r\n\r\nnext\r\n');
    assert.ok(appended && appended.uid !== undefined);
    return appended.uid;
  } finally {
    await client.logout();
  }
}

function isBeside(name: string): boolean {
  return /-(being-numbered|being-replaced|only-on-standby)$/.test(name);
}
