/**
 * Goal: a network or a server at fault costs time and never mail: what can be had is had, the rest is named with its
 * code, and when the fault is gone the next pass brings it in. Method: a real Dovecot behind a proxy that cuts,
 * stalls, drips and lies where it is told to.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type ShadowSummary, verifyMail } from '../../src/workloads/mail/index.ts';
import { freePort } from '../lab/address.ts';
import type { Dovecot } from '../lab/dovecot.ts';
import { ImapClient } from './imap-client.ts';
import { JournalWatch } from './journal-watch.ts';
import {
  assertVerified,
  command,
  depsNow,
  document,
  editConfig,
  idsIn,
  type LabBehindProxy,
  labBehindProxy,
  numberedMessage,
  passOver,
} from './service-support.ts';
import { MailLab, SERVER, serversMissing } from './support.ts';

const FIRST = 'user0001';
const MESSAGES = 12;

/** Every account gets messages 1…12 of 6 KB in INBOX and 13…16 in Archive; `extra` comes as the 7th of the first one. */
async function fill(dovecot: Dovecot, extra?: Buffer): Promise<void> {
  for (const account of dovecot.accounts) {
    const client = await ImapClient.open(dovecot, account);
    await client.create('Archive');
    for (let number = 1; number <= MESSAGES + 4; number += 1) {
      const special = number === 7 && account === FIRST ? extra : undefined;
      const raw = special ?? numberedMessage(`${account}-${number}`, 6_000);
      const answer = await client.append(number <= MESSAGES ? 'INBOX' : 'Archive', raw);
      assert.ok(answer.ok, answer.text);
    }
    await client.close();
  }
}

const codes = ({ problems }: ShadowSummary) => problems.map(({ account, code }) => [account, code]);

describe('a fault of the network that strikes once', { skip: serversMissing }, () => {
  const faults = [
    { what: 'reset', afterBytes: 30_000 },
    { what: 'end', afterBytes: 50_000 },
    { what: 'bye', atText: '* 5 FETCH' },
  ] as const;
  for (const fault of faults) {
    const where = 'atText' in fault ? 'between two messages' : 'in the middle of a literal';
    it(`is not noticed in the result: ${fault.what} ${where}`, async (t) => {
      const { lab, proxy, script } = await labBehindProxy(t);
      await fill(lab.dovecot);
      script.faults.push({ ...fault, connection: 0 });
      assert.deepEqual((await passOver(lab)).problems, []);
      assert.equal(proxy.struck, 1);
      await assertVerified(lab);
      await lab.assertPassAppendsNothing();
    });
  }

  it('is waited for when it is slowness: bytes that drip are no silence', async (t) => {
    const { lab, proxy, script } = await labBehindProxy(t, { timeout: '500ms' });
    await fill(lab.dovecot);
    script.faults.push({ connection: 0, afterBytes: 5_000, what: 'drip', bytesPerTick: 400, tickMs: 5 });
    const began = performance.now();
    assert.deepEqual((await passOver(lab)).problems, []);
    assert.ok(performance.now() - began > 1_000, 'slower than the longest silence allowed');
    assert.equal(proxy.struck, 1);
    script.faults.length = 0;
    await assertVerified(lab);
  });

  it('sets the account aside when it is silence, and the next pass completes it', async (t) => {
    const { lab, proxy, script } = await labBehindProxy(t, { timeout: '700ms' });
    await fill(lab.dovecot);
    script.faults.push({ connection: 0, afterBytes: 30_000, what: 'half-open' });
    const began = performance.now();
    const summary = await passOver(lab);
    assert.ok(performance.now() - began < 8_000);
    assert.equal(proxy.struck, 1);
    assert.deepEqual(
      summary.problems.map(({ code }) => code),
      ['MAIL_NO_ANSWER'],
    );
    const { catalog } = await lab.vault();
    const whole = lab.dovecot.accounts.filter(
      (account) =>
        idsIn(catalog, account).length + idsIn(catalog, account, 'Archive').length === MESSAGES + 4,
    );
    assert.equal(whole.length, lab.dovecot.accounts.length - 1, 'the other accounts are complete');
    assert.deepEqual((await passOver(lab)).problems, []);
    await assertVerified(lab);
  });
});

describe('a look that failed halfway', { skip: serversMissing }, () => {
  for (const hideCondstore of [false, true]) {
    it(`is made up for, flags changed meanwhile included: ${hideCondstore ? 'without' : 'with'} CONDSTORE`, async (t) => {
      const { lab, proxy, script } = await labBehindProxy(t, { timeout: '700ms', hideCondstore });
      await fill(lab.dovecot);
      script.faults.push({ afterBytes: 40_000, connection: 0, what: 'half-open' });
      assert.equal((await passOver(lab)).problems.length, 1);
      assert.equal(proxy.struck, 1);
      for (const account of lab.dovecot.accounts) {
        const client = await ImapClient.open(lab.dovecot, account);
        await client.select('INBOX');
        assert.ok((await client.store('1:3', '+FLAGS', ['\\Flagged'])).ok);
        await client.close();
      }
      assert.deepEqual((await passOver(lab)).problems, []);
      await assertVerified(lab);
      await lab.assertPassAppendsNothing();
    });
  }

  it('is repeated only when what it had on its way to the disk is there: nothing is journaled twice', async (t) => {
    const { lab, proxy, script } = await labBehindProxy(t);
    await fill(lab.dovecot);
    script.faults.push({ connection: 0, afterBytes: 40_000, what: 'reset' });
    const vault = await lab.vault();
    const commit = vault.commit.bind(vault);
    vault.commit = async (records) => {
      await delay(300);
      return commit(records);
    };
    assert.deepEqual((await passOver(lab)).problems, []);
    assert.equal(proxy.struck, 1);
    const watch = await JournalWatch.open(lab.vaultDir);
    t.after(() => watch.close());
    const { steps } = await watch.look();
    const journaled = steps.flatMap((step) => (step.t === 'message' ? [`${step.id}/${step.uid}`] : []));
    assert.deepEqual(journaled.length, new Set(journaled).size);
  });
});

describe('a fault that stays', { skip: serversMissing }, () => {
  /** What the first account lacks while message 7 cannot be had; everybody else has everything. */
  async function assertOnlySeventhMissing({ lab }: LabBehindProxy): Promise<void> {
    const { catalog } = await lab.vault();
    const state = await lab.serverState();
    for (const [account, dump] of state) {
      for (const [mailbox, { messages }] of dump) {
        const wanted = messages
          .map(({ uid }) => uid)
          .filter((uid) => account !== FIRST || mailbox !== 'INBOX' || uid !== 7);
        const row = catalog.mailboxByName(account, mailbox);
        assert.ok(row, `${account}/${mailbox}`);
        assert.deepEqual(
          catalog.messages(row.id).map(({ uid }) => uid),
          wanted,
          `${account}/${mailbox}`,
        );
      }
    }
  }

  /** Set aside with `code`, journaled once, and there when the fault is gone. */
  async function assertSetAsideThenRecovered(behind: LabBehindProxy, code: string): Promise<void> {
    const { lab, proxy, script } = behind;
    const first = await passOver(lab);
    assert.deepEqual(
      first.problems.map((problem) => [problem.account, problem.mailbox, problem.uid, problem.code]),
      [[FIRST, 'INBOX', 7, code]],
    );
    assert.ok(proxy.struck > 0);
    await assertOnlySeventhMissing(behind);
    const vault = await lab.vault();
    assert.deepEqual(
      vault.catalog.setAside().map((row) => [row.uid, row.code]),
      [[7, code]],
    );

    const second = await passOver(lab);
    assert.deepEqual(codes(second), [[FIRST, code]]);
    assert.equal(second.lsn, first.lsn, 'the same trouble is journaled once');

    script.faults.length = 0;
    script.rewrites.length = 0;
    const third = await passOver(lab);
    assert.deepEqual([third.problems, third.messagesAdded], [[], 1]);
    assert.deepEqual(vault.catalog.setAside(), []);
    await assertVerified(lab);
    await lab.assertPassAppendsNothing();
  }

  for (const what of ['reset', 'bye'] as const) {
    it(`at one message sets that message aside, and no other: ${what} in the middle of it`, async (t) => {
      const behind = await labBehindProxy(t);
      await fill(behind.lab.dovecot, numberedMessage('cut-here', 6_000));
      // Gaps before and after it: the server says nothing about UIDs that are gone.
      const client = await ImapClient.open(behind.lab.dovecot, FIRST);
      await client.select('INBOX');
      assert.ok((await client.expunge('2,5:6,8')).ok);
      await client.close();
      behind.script.faults.push({ atText: 'Subject: cut-here', what });
      await assertSetAsideThenRecovered(behind, 'MAIL_CONNECTION_LOST');
    });
  }

  it('in what the server says of a size sets that message aside as damaged', async (t) => {
    const behind = await labBehindProxy(t);
    const raw = Buffer.concat([numberedMessage('lying'), Buffer.alloc(7_321, 'z')]).subarray(0, 7_321);
    await fill(behind.lab.dovecot, raw);
    behind.script.rewrites.push({ from: 'RFC822.SIZE 7321 ', to: 'RFC822.SIZE 7322 ' });
    await assertSetAsideThenRecovered(behind, 'MAIL_MESSAGE_DAMAGED');
  });

  it('in what is said of a message, so that it is not served at all, sets it aside as damaged', async (t) => {
    const behind = await labBehindProxy(t);
    const raw = Buffer.concat([numberedMessage('silent'), Buffer.alloc(7_321, 'z')]).subarray(0, 7_321);
    await fill(behind.lab.dovecot, raw);
    behind.script.rewrites.push({ from: 'RFC822.SIZE 7321 ', to: 'XFC822.SIZE 7321 ' });
    await assertSetAsideThenRecovered(behind, 'MAIL_MESSAGE_DAMAGED');
  });

  it('in what is said of a message that is set aside for it is a difference to verify', async (t) => {
    const { lab, proxy, script } = await labBehindProxy(t, { accounts: 1 });
    const raw = Buffer.concat([numberedMessage('cut-here'), Buffer.alloc(7_321, 'z')]).subarray(0, 7_321);
    await fill(lab.dovecot, raw);
    script.faults.push({ atText: 'RFC822.SIZE 7321', what: 'reset' });
    assert.deepEqual(codes(await passOver(lab)), [[FIRST, 'MAIL_CONNECTION_LOST']]);
    const struck = proxy.struck;
    const report = await verifyMail(await depsNow(lab), { bodies: 'all' });
    assert.ok(proxy.struck > struck);
    assert.equal(report.equal, false);
    assert.deepEqual(
      report.differences.map(({ mailbox, uid, what }) => [mailbox, uid, what]),
      [['INBOX', 7, 'message-extra']],
    );
    assert.match(report.differences[0]?.expected ?? '', /^set aside/);
    assert.match(report.differences[0]?.found ?? '', /^MAIL_CONNECTION_LOST/);
    assert.deepEqual(report.problems, []);
    assert.equal(report.certificate.bodiesCompared, MESSAGES + 3);
  });

  it('at more messages than are given up in one look leaves none behind but those', async (t) => {
    const { lab, script } = await labBehindProxy(t, { accounts: 1 });
    const client = await ImapClient.open(lab.dovecot, FIRST);
    for (let number = 1; number <= 12; number += 1)
      assert.ok((await client.append('INBOX', numberedMessage(`cut-here-${number}`))).ok);
    for (let number = 1; number <= 3; number += 1)
      assert.ok((await client.append('INBOX', numberedMessage(`well-${number}`))).ok);
    await client.close();
    script.faults.push({ atText: 'Subject: cut-here', what: 'reset' });
    assert.deepEqual(codes(await passOver(lab)).at(-1), [FIRST, 'MAIL_CONNECTION_LOST']);
    await passOver(lab);
    const { catalog } = await lab.vault();
    assert.deepEqual(idsIn(catalog, FIRST), ['well-1', 'well-2', 'well-3']);
    assert.equal(catalog.setAside().length, 12);
    script.faults.length = 0;
    assert.deepEqual((await passOver(lab)).problems, []);
    await assertVerified(lab);
  });

  it('at one mailbox leaves the others to be followed, and removes nothing meanwhile', async (t) => {
    const { lab, script, proxy } = await labBehindProxy(t, { accounts: 1 });
    await fill(lab.dovecot);
    assert.deepEqual((await passOver(lab)).problems, []);
    const client = await ImapClient.open(lab.dovecot, FIRST);
    for (const name of ['Before', 'Zebra']) {
      assert.ok((await client.create(name)).ok);
      assert.ok((await client.append(name, numberedMessage(name))).ok);
    }
    // The first that the server lists beside INBOX: the others come after it.
    const [closed = '', ...others] = (await client.list()).filter((name) => name !== 'INBOX');
    await client.select('INBOX');
    assert.ok((await client.move('3', closed)).ok);
    for (const name of others) assert.ok((await client.append(name, numberedMessage(`new in ${name}`))).ok);
    await client.close();
    script.rewrites.push({
      after: `EXAMINE "${closed}"`,
      from: 'OK [READ-ONLY] Examine completed',
      to: 'NO this one is not to be opened.',
    });
    const summary = await passOver(lab);
    assert.deepEqual(codes(summary), [[FIRST, 'MAIL_COMMAND_REFUSED']]);
    assert.ok(proxy.struck > 0);
    const { catalog } = await lab.vault();
    assert.equal(others.length, 2);
    for (const name of others) assert.ok(idsIn(catalog, FIRST, name).includes(`new in ${name}`), name);
    assert.ok(idsIn(catalog, FIRST).includes(`${FIRST}-3`), 'what was moved is where it was');
    script.rewrites.length = 0;
    assert.deepEqual((await passOver(lab)).problems, []);
    await assertVerified(lab);
  });

  it('in every connection is the fault of the server: nothing passes any more', async (t) => {
    const { lab, script } = await labBehindProxy(t, { timeout: '500ms' });
    await fill(lab.dovecot);
    script.faults.push({ afterBytes: 2_000, what: 'half-open' });
    await assert.rejects(passOver(lab), { code: 'MAIL_NO_ANSWER' });
    script.faults.length = 0;
    assert.deepEqual((await passOver(lab)).problems, []);
    await assertVerified(lab);
  });
});

describe('a server with CONDSTORE and no QRESYNC', { skip: serversMissing }, () => {
  it('is followed in its removals though HIGHESTMODSEQ does not move with them', async (t) => {
    const { lab, proxy, script } = await labBehindProxy(t, { accounts: 1 });
    script.rewrites.push({ from: 'QRESYNC', to: 'XRESYNC' });
    await fill(lab.dovecot);
    assert.deepEqual((await passOver(lab)).problems, []);
    const client = await ImapClient.open(lab.dovecot, FIRST);
    await client.select('INBOX');
    const modSeq = async () => {
      const { untagged } = await client.command('STATUS', 'INBOX', { raw: '(HIGHESTMODSEQ)' });
      return /HIGHESTMODSEQ \d+/.exec(untagged.join())?.[0] ?? '';
    };
    const before = await modSeq();
    assert.ok((await client.expunge('4')).ok);
    const after = await modSeq();
    await client.close();
    assert.ok(before !== after && before.length === after.length, `${before}, ${after}`);
    script.rewrites.push({ from: after, to: before });
    assert.deepEqual((await passOver(lab)).problems, []);
    assert.ok(proxy.struck > 0);
    assert.equal(idsIn((await lab.vault()).catalog, FIRST).length, MESSAGES - 1);
  });
});

describe('a server that refuses', { skip: serversMissing }, () => {
  it('the master user fails the pass as a whole, and names the remedy', async (t) => {
    const lab = await MailLab.start(t);
    await fill(lab.dovecot);
    editConfig(lab, `masterSecret: ${lab.dovecot.masterSecret}`, 'masterSecret: wrong');
    await assert.rejects(passOver(lab), { code: 'MAIL_AUTH_FAILED' });
    await lab.closeVault();
    const result = await command(lab, 'shadow', SERVER, '--once', '--json');
    assert.deepEqual([result.status, document(result).error.code], [1, 'MAIL_AUTH_FAILED']);
    editConfig(lab, 'masterSecret: wrong', `masterSecret: ${lab.dovecot.masterSecret}`);
    assert.deepEqual((await passOver(lab)).problems, []);
    await assertVerified(lab);
  });

  it('one account is a problem of that account: the others are complete, exit status 4', async (t) => {
    const lab = await MailLab.start(t, { listed: ['user0001', 'no-such-account', 'user0002', 'user0003'] });
    await fill(lab.dovecot);
    const result = await command(lab, 'shadow', SERVER, '--once', '--json');
    const { problems } = document(result) as ShadowSummary;
    assert.equal(result.status, 4, result.stderr);
    assert.deepEqual(
      problems.map(({ account }) => account),
      ['no-such-account'],
    );
    assert.match(problems[0]?.code ?? '', /^MAIL_(?:AUTH_FAILED|ACCOUNT_REFUSED)$/);
    await lab.assertReplicaIsServer();
  });

  it('every connection is named at once: exit status 1, and no vault stays locked', async (t) => {
    const lab = await MailLab.start(t, { accounts: 5 });
    await fill(lab.dovecot);
    const closed = await freePort(lab.dovecot.address);
    editConfig(lab, `port: ${lab.dovecot.imapPort}`, `port: ${closed}`);
    const result = await command(lab, 'shadow', SERVER, '--once', '--json');
    const { error } = document(result);
    assert.deepEqual([result.status, error.code], [1, 'MAIL_UNREACHABLE']);
    assert.match(error.message, new RegExp(`:${closed} `));
    assert.ok(result.tookMs < 5_000, `took ${Math.round(result.tookMs)} ms`);
    assert.deepEqual((await lab.vault()).catalog.accounts(), []);
    editConfig(lab, `port: ${closed}`, `port: ${lab.dovecot.imapPort}`);
    assert.deepEqual((await passOver(lab)).problems, []);
    await assertVerified(lab);
  });

  it('to say a word is noticed too', async (t) => {
    const { lab, script } = await labBehindProxy(t, { timeout: '500ms' });
    script.faults.push({ what: 'half-open' });
    const result = await command(lab, 'shadow', SERVER, '--once', '--json');
    assert.deepEqual([result.status, document(result).error.code], [1, 'MAIL_NO_ANSWER']);
    assert.ok(result.tookMs < 5_000, `took ${Math.round(result.tookMs)} ms`);
  });
});
