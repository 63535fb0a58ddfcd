/**
 * Goal: the figures of the client load can be trusted. Method: a real Dovecot that is killed and comes back, and that loses, doubles and changes what it
 * had promised, by its own administrator's commands.
 */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { systemClock } from '../../src/lib/index.ts';
import { ClientLoad, checkLedger, type LoadOptions } from './client-load.ts';
import { type Dovecot, startDovecot } from './dovecot.ts';
import { requirePackages } from './packages.ts';

const skip = requirePackages(['dovecot-core', 'dovecot-imapd', 'dovecot-lmtpd']) ?? false;

async function start(t: TestContext, options: Partial<LoadOptions> = {}) {
  const dovecot = await startDovecot({ accounts: 3 });
  t.after(() => dovecot.stop());
  const load = await ClientLoad.start({
    ...placesOf(dovecot),
    clients: 6,
    deliveriesPerSecond: 20,
    ...options,
  });
  t.after(() => load.stop({ drainMs: 0 }));
  return { dovecot, load, place: placesOf(dovecot).imap };
}

function placesOf(dovecot: Dovecot) {
  return {
    imap: { host: dovecot.address, port: dovecot.imapPort },
    lmtp: { host: dovecot.address, port: dovecot.lmtpPort },
    accounts: dovecot.accounts,
    passwordOf: dovecot.accountPassword,
  };
}

test('clients measure the outage of a server that is killed and comes back, and it keeps its promises', {
  skip,
}, async (t) => {
  const { dovecot, load, place } = await start(t);
  await systemClock.sleep(1_500);
  const calm = load.outages(load.nowMs() - 1_000);
  assert.equal(calm.length, 7);
  for (const { client, outageMs } of calm)
    assert.ok(outageMs < 800, `${client} waited ${outageMs} ms in calm`);

  const before = load.nowMs();
  await dovecot.kill9();
  await systemClock.sleep(700);
  await dovecot.restart();
  await load.settled(load.nowMs());
  for (const { client, outageMs, toMs, reconnects } of load.outages(before)) {
    assert.ok(outageMs >= 700 && outageMs < 6_000, `${client}: ${outageMs} ms`);
    assert.ok(toMs !== undefined && toMs > before && reconnects > 0, client);
  }
  await load.stop();
  const report = await checkLedger(load, place);
  assert.ok(report.acknowledged > 30 && report.changes > 20, JSON.stringify(load.counts));
  assert.deepEqual(
    [report.lost, report.doubled, report.flagsLost, report.filingsLost, load.surprises],
    [[], [], [], [], []],
  );
});

test('what a server lost, doubled or changed is named', { skip }, async (t) => {
  const { dovecot, load, place } = await start(t);
  await systemClock.sleep(2_500);
  await load.stop();
  const flags = new Set(load.ledger.changes.map(({ messageId }) => messageId));
  const filed = new Set(
    load.ledger.changes.filter(({ what }) => what === 'file').map(({ messageId }) => messageId),
  );
  const inInbox = load.ledger.acknowledged.filter(
    ({ messageId }) => flags.has(messageId) && !filed.has(messageId),
  );
  const [lost, doubled, unflagged] = inInbox;
  assert.ok(lost && doubled && unflagged);
  const query = (id: string) => ['mailbox', 'INBOX', 'HEADER', 'Message-ID', id];
  dovecot.doveadm('expunge', '-u', lost.account, ...query(lost.messageId));
  dovecot.doveadm('copy', '-u', doubled.account, 'Archive', ...query(doubled.messageId));
  dovecot.doveadm('flags', 'remove', '-u', unflagged.account, '\\Seen', ...query(unflagged.messageId));

  const report = await checkLedger(load, place);
  assert.deepEqual(
    report.lost.map(({ messageId }) => messageId),
    [lost.messageId],
  );
  assert.deepEqual(
    report.doubled.map(({ messageId, copies }) => [messageId, copies]),
    [[doubled.messageId, 2]],
  );
  assert.ok(
    report.flagsLost.some(({ messageId, value }) => messageId === unflagged.messageId && value === '\\Seen'),
  );
});

test('a client notices a mailbox that is not the one it knew', { skip }, async (t) => {
  const { dovecot, load } = await start(t, { clients: 3 });
  await systemClock.sleep(800);
  dovecot.doveadm('mailbox', 'update', '-u', 'user0001', '--uid-validity', '4242', 'INBOX');
  const since = load.nowMs();
  await dovecot.kill9();
  await dovecot.restart();
  await load.settled(Math.max(since, load.nowMs()));
  await load.stop();
  const found = load.surprises.filter(({ what }) => what === 'uidvalidity');
  assert.deepEqual(
    found.map(({ account }) => account),
    ['user0001'],
  );
});
