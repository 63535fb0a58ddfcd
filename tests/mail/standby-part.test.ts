/**
 * Goal: a mailbox, or some messages of one, come to another server, and nothing else there is touched. Method: real servers, the command, an
 * independent client.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { type AccountDump, compareDumps, dumpAccount } from '../lab/imap-check.ts';
import { ImapClient } from './imap-client.ts';
import { fillAccount, mail } from './restore-world.ts';
import { STANDBY, StandbyWorld } from './standby-world.ts';
import { SERVER, serversMissing } from './support.ts';
import { run } from './understudy.ts';

async function filled(t: TestContext, format: 'maildir' | 'mdbox' = 'maildir') {
  const world = await StandbyWorld.start(t, { format, accounts: 2 });
  const [account = ''] = world.lab.dovecot.accounts;
  await fillAccount(world.lab, account);
  await world.lab.shadow();
  await world.lab.closeVault();
  const config = world.writeConfig();
  const restoreInPlace = async (status: number, ...args: string[]) => {
    const ended = await run(config, ['restore', SERVER, '--yes', '--json', ...args]);
    assert.equal(ended.status, status, ended.stdout + ended.stderr);
    return JSON.parse(ended.stdout);
  };
  const restore = (status: number, ...args: string[]) => restoreInPlace(status, '--to', STANDBY, ...args);
  const live = await dumpAccount(world.lab.login(account));
  return { world, account, restore, restoreInPlace, live };
}

function only(dump: AccountDump, mailbox: string): AccountDump {
  return new Map([...dump].filter(([name]) => name === mailbox));
}

describe('on another server', { skip: serversMissing }, () => {
  for (const format of ['maildir', 'mdbox'] as const) {
    it(`one mailbox comes with its identity, and nothing else does: ${format}`, async (t) => {
      const { world, account, restore, live } = await filled(t, format);
      const before = await world.standbyState(account);
      const tried = await restore(0, '--account', account, '--mailbox', 'Work/Deep', '--dry-run');
      assert.deepEqual(compareDumps(before, await world.standbyState(account)), []);
      const done = await restore(0, '--account', account, '--mailbox', 'Work/Deep');
      assert.deepEqual([tried.messagesRestored, done.standby.mailboxes], [done.messagesRestored, 1]);
      const after = await world.standbyState(account);
      assert.deepEqual(compareDumps(only(live, 'Work/Deep'), only(after, 'Work/Deep')), []);
      assert.deepEqual([...after.keys()].sort(), [...before.keys(), 'Work/Deep'].sort());
      const again = await restore(0, '--account', account, '--mailbox', 'Work/Deep');
      assert.equal(again.messagesRestored, 0);
    });
  }

  it('messages that are missing are added, whether the mailbox is there or not', async (t) => {
    const { world, account, restore, live } = await filled(t);
    const wanted = live.get('Work')?.messages ?? [];
    const [first, second] = wanted.map(({ uid }) => uid);
    const two = ['--account', account, '--mailbox', 'Work', '--uid', `${first},${second}`];
    const tried = await restore(0, ...two, '--dry-run');
    assert.deepEqual([tried.messagesRestored, tried.mailboxes[0].target], [2, 'created']);
    assert.ok(!(await world.standbyState(account)).has('Work'));
    const done = await restore(0, ...two);
    assert.deepEqual([done.messagesRestored, done.mailboxes[0].identityKept], [2, false]);
    const after = (await world.standbyState(account)).get('Work');
    const bytesOf = (messages: readonly { sha256?: string }[]) => messages.map(({ sha256 }) => sha256);
    assert.deepEqual(bytesOf(after?.messages ?? []), bytesOf(wanted.slice(0, 2)));
    assert.equal((await restore(0, ...two)).messagesRestored, 0);

    // People work there: nothing of theirs is moved, and what has to take a new UID does.
    const client = await ImapClient.open(world.standby, account);
    await client.append('INBOX', mail('of-somebody@standby'));
    const all = ['--account', account, '--mailbox', 'INBOX', '--into', 'INBOX'];
    const inbox = live.get('INBOX')?.messages ?? [];
    const added = await restore(0, ...all);
    assert.deepEqual([added.messagesRestored, added.mailboxes[0].identityKept], [inbox.length, false]);
    assert.equal((await restore(0, ...all)).messagesRestored, 0, 'they are there');
    assert.deepEqual((await world.standbyState(account)).get('INBOX')?.messages.length, inbox.length + 1);
    await client.close();
  });

  it('a mailbox of any name takes them', async (t) => {
    const { world, account, restore, live } = await filled(t);
    const wanted = live.get('Work/Deep')?.messages ?? [];
    const args = ['--account', account, '--mailbox', 'Work/Deep', '--into', 'Back'];
    const done = await restore(0, ...args);
    assert.equal(done.messagesRestored, wanted.length);
    const sizes = (dump: AccountDump, name: string) =>
      (dump.get(name)?.messages ?? []).map(({ sha256 }) => sha256).sort();
    const after = await world.standbyState(account);
    assert.deepEqual(sizes(after, 'Back'), sizes(live, 'Work/Deep'));
    assert.ok(!after.has('Work/Deep'));
  });

  it('of a mailbox that was renamed since, the present one stays', async (t) => {
    const { world, account, restore } = await filled(t);
    const { at: before0 } = await restore(0, '--account', account);
    const client = await ImapClient.open(world.lab.dovecot, account);
    await client.rename('Work/Deep', 'Renamed');
    await client.close();
    await world.lab.shadow();
    await world.lab.closeVault();
    await restore(0, '--account', account);
    const before = only(await world.standbyState(account), 'Renamed');
    assert.equal(before.size, 1);
    const then = ['--account', account, '--mailbox', 'Work/Deep', '--at', `lsn:${before0}`];
    const [first] = before.get('Renamed')?.messages ?? [];
    assert.ok(first);
    assert.equal((await restore(0, ...then, '--uid', String(first.uid))).messagesRestored, 0, 'it is there');
    await restore(0, ...then);
    const after = await world.standbyState(account);
    assert.deepEqual(compareDumps(before, only(after, 'Renamed')), []);
  });

  it('a mailbox that the live server has no more comes as it was last', async (t) => {
    const { world, account, restore, live } = await filled(t);
    const client = await ImapClient.open(world.lab.dovecot, account);
    await client.delete('Work/Deep/Er');
    await client.close();
    await world.lab.shadow();
    await world.lab.closeVault();
    await restore(0, '--account', account, '--mailbox', 'Work/Deep/Er');
    const after = await world.standbyState(account);
    assert.deepEqual(compareDumps(only(live, 'Work/Deep/Er'), only(after, 'Work/Deep/Er')), []);
    const { error } = await restore(2, '--account', account, '--mailbox', 'Wrok');
    assert.equal(error.code, 'CATALOG_MAILBOX_UNKNOWN');
  });
});

it('a server that is down is said to be, and its accounts are not', { skip: serversMissing }, async (t) => {
  const { world, account, restore, restoreInPlace } = await filled(t);
  await world.standby.stop();
  for (const args of [
    [],
    ['--account', account],
    ['--account', account, '--mailbox', 'INBOX', '--uid', '1'],
  ]) {
    const { error } = await restore(1, ...args);
    assert.equal(error.code, 'MAIL_UNREACHABLE', args.join(' '));
  }
  await world.lab.dovecot.stop();
  assert.equal((await restoreInPlace(1)).error.code, 'MAIL_UNREACHABLE');
});
