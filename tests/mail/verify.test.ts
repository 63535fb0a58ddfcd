/**
 * Goal: "equal" is said of what was read and of nothing else, and one message or mailbox that the server cannot serve hides no other
 * difference. Method: files of a real Dovecot are removed, cut and made unreadable behind its back; the comparison has to name each.
 */
import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type VerifyReport, verifyMail } from '../../src/workloads/mail/index.ts';
import { act, mail } from './restore-world.ts';
import { MailLab, type MailLabOptions, SERVER, serversMissing } from './support.ts';
import { run } from './understudy.ts';

const ACCOUNT = 'user0001';
const COUNT = 6;
const BYTES = 9_000;

/** INBOX, Work and Zoo with messages of 9 kB each; shadowed. */
async function world(t: TestContext, options: MailLabOptions): Promise<MailLab> {
  const lab = await MailLab.start(t, { accounts: 1, ...options });
  await act(lab, ACCOUNT, async (client) => {
    for (const name of ['Work', 'Zoo']) await client.create(name);
    for (const mailbox of ['INBOX', 'Work', 'Zoo']) {
      for (let number = 1; number <= COUNT; number += 1) {
        await client.append(mailbox, mail(`${mailbox}-${number}@`, BYTES));
      }
    }
  });
  await lab.shadow();
  return lab;
}

/** The file of one message, which has no other in it: in sdbox and maildir. */
function fileOf(lab: MailLab, id: string): string {
  const store = lab.dovecot.storePath(ACCOUNT);
  const files = readdirSync(store, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.includes('dovecot'))
    .map((name) => join(store, name))
    .filter((file) => statSync(file).isFile() && readFileSync(file, 'latin1').includes(`<${id}@>`));
  assert.equal(files.length, 1, id);
  return files[0] as string;
}

async function compare(lab: MailLab): Promise<VerifyReport> {
  return verifyMail(await lab.deps(), { bodies: 'all' });
}

function places({ differences }: VerifyReport): string[] {
  return differences.map(({ mailbox, uid, what }) => `${mailbox} ${uid} ${what}`);
}

describe('verify', { skip: serversMissing }, () => {
  it('names a message that the server gives no body of, and ends with exit status 5', async (t) => {
    const lab = await world(t, { format: 'sdbox' });
    rmSync(fileOf(lab, 'INBOX-3'));
    await lab.closeVault();
    const { status, stdout } = await run(lab.configFile, ['verify', SERVER, '--json']);
    assert.equal(status, 5);
    const report = JSON.parse(stdout);
    assert.deepEqual(places(report), ['INBOX 3 body']);
    assert.equal(report.differences[0].found, 'the server gives no body');
    assert.equal(report.certificate.messages - report.certificate.bodiesCompared, 1);
  });

  for (const format of ['maildir', 'sdbox'] as const) {
    it(`names messages that break the connection, and compares all the others, in ${format}`, async (t) => {
      const lab = await world(t, { format });
      for (const id of ['INBOX-2', 'INBOX-5', 'Work-6']) truncateSync(fileOf(lab, id), BYTES / 2);
      await act(lab, ACCOUNT, async (client) => {
        await client.select('Zoo');
        await client.store('4', '+FLAGS', ['\\Flagged']);
      });
      const report = await compare(lab);
      assert.deepEqual(report.problems, []);
      assert.deepEqual(places(report), ['INBOX 2 body', 'INBOX 5 body', 'Work 6 body', 'Zoo 4 flags']);
      assert.match(report.differences[0]?.found ?? '', /^MAIL_/);
      assert.equal(report.certificate.bodiesCompared, 3 * COUNT - 3);
    });
  }

  it('reports a mailbox that cannot be opened, and compares the others', async (t) => {
    const lab = await world(t, { format: 'maildir' });
    chmodSync(join(lab.dovecot.storePath(ACCOUNT), '.Work'), 0);
    await act(lab, ACCOUNT, async (client) => {
      await client.select('Zoo');
      await client.store('4', '+FLAGS', ['\\Flagged']);
    });
    const report = await compare(lab);
    assert.deepEqual(places(report), ['Zoo 4 flags']);
    assert.deepEqual(
      report.problems.map(({ account, mailbox }) => [account, mailbox]),
      [[ACCOUNT, 'Work']],
    );
    assert.equal(report.certificate.accounts, 0);
  });

  it('ends with the error of a server that is down, however many accounts there are', async (t) => {
    const lab = await MailLab.start(t, { accounts: 4 });
    await lab.shadow();
    await lab.dovecot.kill9();
    await lab.closeVault();
    const { status, stdout, stderr } = await run(lab.configFile, ['verify', SERVER]);
    assert.equal(status, 1, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, /MAIL_UNREACHABLE/);
  });

  it('stops when the server goes down on the way, and tells of every account that was not compared', async (t) => {
    const lab = await MailLab.start(t, { accounts: 7, serverLines: ['shadow: { connections: 1 }'] });
    await lab.shadow();
    const [first, ...others] = lab.dovecot.accounts;
    const tried = new Set<string>();
    let ended: Promise<void> | undefined;
    const progress = ({ account, accountsDone }: { account?: string; accountsDone?: number }) => {
      if (account !== undefined) tried.add(account);
      if (accountsDone === 1) ended ??= lab.dovecot.kill9();
    };
    const report = await verifyMail(await lab.deps(), { bodies: 'all' }, { progress });
    await ended;
    assert.equal(report.equal, false);
    assert.equal(report.certificate.accounts, 1);
    assert.deepEqual(
      report.problems.map(({ account, code }) => [account, code]),
      others.map((account) => [account, 'MAIL_UNREACHABLE']),
    );
    assert.deepEqual([...tried], [first, ...others.slice(0, 3)]);
  });

  it('ends within an account when it is interrupted', async (t) => {
    const lab = await world(t, { format: 'maildir' });
    const abort = new AbortController();
    const reason = new Error('interrupted');
    const seen: string[] = [];
    const progress = ({ mailbox }: { mailbox?: string }) => {
      if (mailbox !== undefined) seen.push(mailbox);
      abort.abort(reason);
    };
    await assert.rejects(
      verifyMail(await lab.deps(), { bodies: 'all' }, { signal: abort.signal, progress }),
      reason,
    );
    assert.ok(!seen.includes('Zoo'), seen.join());
  });
});
