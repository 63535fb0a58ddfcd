/**
 * Goal: a message on the standby that looks like the right one (same UID, size and date) and is another is found and set right when somebody
 * asks for it, and what stood there is kept. Method: real Dovecots; the wrong bytes come by IMAP, or into the file itself.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { DoveadmClient } from '../../src/workloads/mail/doveadm/index.ts';
import { quickCompare, verifyAgainst } from '../../src/workloads/mail/standby/index.ts';
import { act } from './restore-world.ts';
import { StandbyWorld } from './standby-world.ts';
import { serversMissing } from './support.ts';

const DATE = '03-Feb-2020 10:11:12 +0300';
const COUNT = 6;
const KEPT = 'Work-only-on-standby';

/** All as long as each other. */
function mail(subject: string, body = 'hello'): Buffer {
  return Buffer.from(`From: a@example.test\r\nSubject: ${subject}\r\n\r\n${body}\r\n`);
}

async function start(
  t: Parameters<typeof StandbyWorld.start>[0],
  options: Parameters<typeof StandbyWorld.start>[1],
) {
  const world = await StandbyWorld.start(t, { ...options, accounts: 1 });
  const [account] = world.lab.dovecot.accounts as [string];
  await act(world.lab, account, async (client) => {
    await client.create('Work');
    for (const mailbox of ['INBOX', 'Work']) {
      for (let number = 1; number <= COUNT; number += 1) {
        const flags = number % 2 ? ['\\Seen'] : [];
        await client.append(mailbox, mail(`${mailbox.length} ${number}`), { flags, date: DATE });
      }
    }
  });
  await world.lab.shadow();
  await world.bringUpWell();
  return { world, account };
}

/** The mailbox is made anew on the standby with the same identity, and one message of it is another. */
async function forge(world: StandbyWorld, account: string): Promise<void> {
  const live = await world.standbyState(account);
  const { uidValidity = 0 } = live.get('Work') ?? {};
  await world.onStandby(account, async (client) => {
    await client.mailboxDelete('Work');
    await client.mailboxCreate('Work');
    // It subscribes to what it makes.
    await client.mailboxUnsubscribe('Work');
    for (let number = 1; number <= COUNT; number += 1) {
      const body = number === 3 ? 'HELLO' : 'hello';
      const flags = number % 2 ? ['\\Seen'] : [];
      await client.append('Work', mail(`4 ${number}`, body), flags, new Date('2020-02-03T07:11:12Z'));
    }
  });
  const { doveadmUrl: url, doveadmKey: apiKey } = world.standby;
  const doveadm = new DoveadmClient({ url, apiKey });
  await doveadm.pinMailboxes([{ user: account, mailbox: 'Work', uidValidity }]);
  doveadm.close();
}

async function textsIn(world: StandbyWorld, account: string, mailbox: string): Promise<string[]> {
  return world.onStandby(account, async (client) => {
    await client.mailboxOpen(mailbox, { readOnly: true });
    const texts: string[] = [];
    for await (const { source } of client.fetch('1:*', { source: true })) texts.push(String(source));
    return texts;
  });
}

describe('a message on the standby with other bytes', { skip: serversMissing }, () => {
  for (const format of ['maildir', 'mdbox'] as const) {
    it(`is found, kept aside and replaced under its UID, in ${format}`, async (t) => {
      const { world, account } = await start(t, { format });
      await forge(world, account);
      // What does not read bodies sees nothing.
      await world.withDeps(async (deps) => {
        assert.deepEqual((await quickCompare(deps)).differences, []);
        const { differences } = await verifyAgainst(deps, { bodies: 'all' });
        assert.deepEqual(
          differences.map(({ what, uid }) => [what, uid]),
          [['body', 3]],
        );
      });
      assert.deepEqual((await world.bringUpWell()).repaired, []);

      const dry = await world.bringUpWell({ checkBodies: true, dryRun: true });
      assert.deepEqual(
        dry.repaired.map(({ what, count }) => [what, count]),
        [['other-message', 1]],
      );
      assert.deepEqual(dry.kept, []);
      assert.equal(dry.messagesRestored, 1);

      const report = await world.bringUpWell({ checkBodies: true });
      assert.deepEqual(
        report.repaired.map(({ what, mailbox, count }) => [what, mailbox, count]),
        [['other-message', 'Work', 1]],
      );
      assert.deepEqual(report.kept, [{ account, mailbox: 'Work', into: KEPT, uids: '3', messages: 1 }]);
      assert.deepEqual(await textsIn(world, account, KEPT), [String(mail('4 3', 'HELLO'))]);
      await world.assertSame();
      assert.deepEqual((await world.bringUpWell({ checkBodies: true })).repaired, []);
    });
  }

  it('is replaced in an INBOX that cannot be renamed', async (t) => {
    const { world } = await start(t, { format: 'maildir' });
    const files = readdirSync(world.standby.mailRoot, { recursive: true, encoding: 'utf8' });
    const [file] = files.flatMap((name) => {
      const path = join(world.standby.mailRoot, name);
      return /\/(cur|new)\//.test(name) && readFileSync(path, 'latin1').includes('Subject: 5 2')
        ? [path]
        : [];
    });
    assert.ok(file !== undefined);
    writeFileSync(file, readFileSync(file, 'latin1').replace('hello', 'HELLO'), 'latin1');
    const report = await world.bringUpWell({ checkBodies: true });
    assert.deepEqual(
      report.repaired.map(({ what, mailbox }) => [what, mailbox]),
      [['other-message', 'INBOX']],
    );
    assert.deepEqual(
      report.kept.map(({ into, messages }) => [into, messages]),
      [['INBOX-only-on-standby', 1]],
    );
    await world.assertSame();
  });

  it('is replaced where UIDs cannot be set', async (t) => {
    const { world, account } = await start(t, { format: 'maildir', standbyDoveadm: false });
    await forge(world, account);
    const report = await world.bringUpWell({ checkBodies: true });
    assert.deepEqual(
      report.repaired.map(({ what, mailbox }) => [what, mailbox]),
      [['extra-message', 'Work']],
    );
    assert.deepEqual(await textsIn(world, account, KEPT), [String(mail('4 3', 'HELLO'))]);
    const wanted = Array.from({ length: COUNT }, (_, index) => String(mail(`4 ${index + 1}`)));
    assert.deepEqual((await textsIn(world, account, 'Work')).sort(), wanted);
  });
});
