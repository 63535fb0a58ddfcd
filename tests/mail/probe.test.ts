/**
 * Goal: a probe tells the truth about a server and leaves nothing behind. Method: a real Dovecot, faults of its own configuration, and an
 * independent client that reads everything before and after.
 */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { systemClock } from '../../src/lib/index.ts';
import { type ProbeReport, probeServer } from '../../src/workloads/mail/probe/index.ts';
import { startFaultyProxy } from '../lab/faulty-proxy.ts';
import { connectImap } from '../lab/imap-check.ts';
import { MailLab, type MailLabOptions, SERVER, serversMissing as skip } from './support.ts';

const account = 'user0001';

async function start(t: TestContext, options: MailLabOptions = {}) {
  const lab = await MailLab.start(t, { accounts: 2, ...options });
  const config = lab.config.servers[SERVER];
  assert.ok(config);
  const probe = (more: Partial<Parameters<typeof probeServer>[1]> = {}) =>
    probeServer(config, { account, clock: systemClock, timeoutMs: 3_000, ...more });
  return { lab, probe, lmtpPort: lab.dovecot.lmtpPort };
}

function states(report: ProbeReport): Record<string, string> {
  return Object.fromEntries(report.steps.map((step) => [step.name, step.error?.code ?? step.state]));
}

async function fill(lab: MailLab): Promise<void> {
  const client = await connectImap(lab.login(account));
  await client.mailboxCreate('Archive');
  for (const mailbox of ['INBOX', 'INBOX', 'Archive']) {
    await client.append(mailbox, 'Subject: here before\r\n\r\nhere before\r\n', ['\\Flagged']);
  }
  await client.logout();
}

for (const format of ['maildir', 'mdbox'] as const) {
  test(`a whole probe leaves nothing behind (${format})`, { skip }, async (t) => {
    const { lab, probe, lmtpPort } = await start(t, { format });
    await fill(lab);
    const before = await lab.serverState();
    const report = await probe({ write: true, lmtpPort, secret: lab.dovecot.accountPassword(account) });
    assert.deepEqual(states(report), {
      login: 'done',
      open: 'done',
      read: 'done',
      append: 'done',
      remove: 'done',
      tidy: 'done',
      deliver: 'done',
      arrive: 'done',
    });
    assert.equal(report.ok, true);
    assert.ok(Math.abs(report.clockSkewMs ?? 99_999) < 1_500, `skew ${report.clockSkewMs}`);

    const after = await lab.serverState();
    const inbox = after.get(account)?.get('INBOX');
    assert.ok(inbox);
    // The delivery took one UID of the inbox; nothing else is different.
    const expected = new Map(before.get(account));
    expected.set('INBOX', { ...inbox, uidNext: inbox.uidNext });
    assert.deepEqual(inbox.messages, before.get(account)?.get('INBOX')?.messages);
    assert.equal(inbox.uidNext, (before.get(account)?.get('INBOX')?.uidNext ?? 0) + 1);
    assert.deepEqual(after.get(account), expected);
    assert.deepEqual(after.get('user0002'), before.get('user0002'));
  });
}

test('without `write` a probe reads only, by the master user', { skip }, async (t) => {
  const { lab, probe } = await start(t);
  await fill(lab);
  const before = await lab.serverState();
  const report = await probe();
  assert.deepEqual(states(report), { login: 'done', open: 'done', read: 'done' });
  assert.deepEqual(await lab.serverState(), before);
});

test('several probes of one account at once do not meet', { skip }, async (t) => {
  const { lab, probe } = await start(t);
  const reports = await Promise.all([1, 2, 3].map(() => probe({ write: true })));
  assert.deepEqual(
    reports.map(({ ok, steps }) => (ok ? 'ok' : JSON.stringify(steps))),
    ['ok', 'ok', 'ok'],
  );
  assert.deepEqual([...((await lab.serverState()).get(account)?.keys() ?? [])], ['INBOX']);
});

test('what fails is named with its remedy, and the rest is skipped', { skip }, async (t) => {
  const { lab, probe, lmtpPort } = await start(t, {
    mailPlugins: ['quota'],
    extraConfig: 'plugin {\n  quota = count:User quota\n  quota_vsizes = yes\n  quota_rule = *:bytes=100\n}',
  });
  const full = await probe({ write: true, lmtpPort });
  assert.deepEqual(states(full), {
    login: 'done',
    open: 'done',
    read: 'done',
    append: 'MAIL_OVER_QUOTA',
    tidy: 'done',
    remove: 'skipped',
    deliver: 'skipped',
    arrive: 'skipped',
  });
  assert.equal(full.ok, false);
  assert.match(full.steps.find(({ name }) => name === 'append')?.error?.remedy ?? '', /quota/);
  assert.deepEqual([...((await lab.serverState()).get(account)?.keys() ?? [])], ['INBOX']);

  assert.equal(states(await probe({ secret: 'wrong' }))['login'], 'MAIL_AUTH_FAILED');
  await lab.dovecot.kill9();
  assert.deepEqual(states(await probe()), { login: 'MAIL_UNREACHABLE', open: 'skipped', read: 'skipped' });
});

test('a delivery that is refused, or does not arrive, is told from one that does', { skip }, async (t) => {
  const { probe, lmtpPort } = await start(t);
  const steps = async (more: Parameters<typeof probe>[0]) => {
    const { deliver, arrive } = states(await probe({ write: true, lmtpPort, timeoutMs: 1_500, ...more }));
    return [deliver, arrive];
  };
  assert.deepEqual(await steps({ recipient: 'nobody' }), ['MAIL_DELIVERY_REFUSED', 'skipped']);
  assert.deepEqual(await steps({ recipient: 'user0002' }), ['done', 'MAIL_DELIVERY_ABSENT']);
  assert.deepEqual(await steps({ lmtpPort: 1 }), ['MAIL_UNREACHABLE', 'skipped']);
});

test('a probe goes through a front door, and does not wait for ever behind a silent one', {
  skip,
}, async (t) => {
  const { lab, probe } = await start(t);
  const { address, imapPort } = lab.dovecot;
  const proxy = await startFaultyProxy(
    { host: address, port: imapPort },
    { faults: [{ connection: 1, atText: 'OK', what: 'half-open' }] },
  );
  t.after(() => proxy.close());
  const through = { host: proxy.host, imapPort: proxy.port };
  assert.equal((await probe({ through })).ok, true);
  const began = systemClock.monotonicMs();
  assert.equal(states(await probe({ through, timeoutMs: 500 }))['login'], 'MAIL_NO_ANSWER');
  assert.ok(systemClock.monotonicMs() - began < 2_000);
});
