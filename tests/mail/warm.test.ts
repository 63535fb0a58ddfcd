/**
 * Goal: a warm standby is the live server, a moment later, whatever happens to either and to us; and what it says of its lag
 * is true. Method: two real Dovecots; an independent client reads both at quiet points.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../../src/lib/index.ts';
import { dovecot24, dovecot24Missing } from '../lab/dovecot24.ts';
import { connectImap } from '../lab/imap-check.ts';
import { RandomDay } from './random-day.ts';
import { serversMissing } from './support.ts';
import { LIVE, loginOf, PAIR, until, WarmLab, type WarmLabOptions } from './warm-support.ts';

const rounds = Number(process.env['UNDERSTUDY_DAY_ROUNDS'] ?? 6);

const days: readonly [string, string | false, () => WarmLabOptions][] = [
  ['maildir', false, () => ({ format: 'maildir' })],
  ['mdbox', false, () => ({ format: 'mdbox' })],
  ['a 2.4', dovecot24Missing, () => ({ format: 'maildir', standbyRelease: dovecot24() })],
];

describe('a warm standby', { skip: serversMissing }, () => {
  for (const [name, skip, options] of days) {
    it(`follows a random day and is equal at quiet points: ${name}`, { skip }, async (t) => {
      const seed = process.env['UNDERSTUDY_SEED'] ?? String(Math.floor(Math.random() * 1e9));
      t.diagnostic(`UNDERSTUDY_SEED=${seed}`);
      // Bursts have tests of their own; here nothing is to be held.
      const lab = await WarmLab.start(t, { accounts: 2, burstLeast: 100_000, ...options() });
      const day = await RandomDay.begin(lab.live, seed, { renameInbox: false });
      lab.after(() => day.end());
      const random = new Random(seed);
      await lab.warm();
      try {
        for (let round = 0; round < rounds; round += 1) {
          await day.act(random.integer(1, 20));
          await lab.caughtUp();
          await lab.assertEqual(`at quiet point ${round}`);
        }
      } catch (error) {
        t.diagnostic(day.log.slice(-40).join('\n'));
        throw error;
      }
    });
  }

  it('brings messages, flags, moves and removals over one by one, above every MODSEQ of the live server', async (t) => {
    const lab = await WarmLab.start(t, { accounts: 1 });
    const client = await connectImap(loginOf(lab.live, 'user0001'));
    lab.after(() => client.logout());
    await client.mailboxCreate('Archive');
    for (let index = 1; index <= 10; index += 1) await client.append('INBOX', message(index));
    const warm = await lab.warm();
    await lab.caughtUp();
    const { compared } = warm.metrics();

    await client.mailboxOpen('INBOX');
    await client.messageFlagsAdd('2:4', ['\\Seen', '$Label1'], { uid: true });
    await client.messageFlagsSet('4', ['\\Flagged'], { uid: true });
    await client.messageMove('5:6', 'Archive', { uid: true });
    await client.messageDelete('7', { uid: true });
    await client.append('INBOX', message(11), ['\\Draft'], new Date('2020-02-02T10:00:00Z'));
    // A UID that is given and gone: it must not be given again.
    await client.append('INBOX', message(12));
    await client.messageDelete('12', { uid: true });
    await lab.caughtUp();

    await lab.assertEqual('after single changes');
    assert.equal(warm.metrics().compared, compared, 'no account was compared for them');
    const modSeqs = lab.standby.doveadm(
      'fetch',
      '-u',
      'user0001',
      'uid modseq',
      'mailbox',
      'INBOX',
      'uid',
      '2,3,4,11',
    );
    const live = lab.live.doveadm('mailbox', 'status', '-u', 'user0001', 'highestmodseq', 'INBOX');
    const highest = Number(/highestmodseq=(\d+)/.exec(live)?.[1]);
    for (const [, modSeq] of modSeqs.matchAll(/modseq: (\d+)/g)) assert.ok(Number(modSeq) > highest);
  });

  it('brings single changes over one by one where the standby writes names otherwise', async (t) => {
    const standbyExtraConfig = 'namespace inbox {\n  prefix = INBOX.\n  separator = .\n}';
    const lab = await WarmLab.start(t, { accounts: 1, standbyExtraConfig });
    const client = await connectImap(loginOf(lab.live, 'user0001'));
    lab.after(() => client.logout());
    await client.mailboxCreate('Work/2026');
    await client.append('Work/2026', message(1));
    const warm = await lab.warm();
    await lab.caughtUp();
    const { compared } = warm.metrics();

    await client.append('Work/2026', message(2));
    await client.mailboxOpen('Work/2026');
    await client.messageFlagsAdd('1', ['\\Flagged'], { uid: true });
    // A UID that is given and gone: it must not be given again.
    await client.append('Work/2026', message(3));
    await client.messageDelete('3', { uid: true });
    await lab.caughtUp();
    assert.equal(warm.metrics().compared, compared, 'the account was not compared for them');
    const status = lab.standby.doveadm(
      ...['mailbox', 'status', '-u', 'user0001', 'messages uidnext', 'INBOX.Work.2026'],
    );
    assert.match(status, /messages=2 uidnext=4/);
    const flagged = lab.standby.doveadm(
      ...['search', '-u', 'user0001', 'mailbox', 'INBOX.Work.2026', 'uid', '1', 'flagged'],
    );
    assert.match(flagged, / 1$/m);
  });

  it('says how far it is behind, and goes on, when the standby dies and comes back', async (t) => {
    const lab = await WarmLab.start(t, { accounts: 3 });
    const client = await connectImap(loginOf(lab.live, 'user0002'));
    lab.after(() => client.logout());
    await client.append('INBOX', message(1));
    const warm = await lab.warm();
    await lab.caughtUp();
    assert.deepEqual([warm.status().lagMs, warm.status().lagLsn, warm.status().accountsBehind], [0, 0, 0]);

    await lab.standby.kill9();
    await client.append('INBOX', message(2));
    await lab.pass();
    const committed = performance.now();
    await until('it is stalled', () => warm.status().phase === 'stalled');
    assert.match(warm.status().problem?.code ?? '', /^MAIL_/);
    await delay(1_500);
    const { lagMs, lagLsn, accountsBehind } = warm.status();
    const elapsed = performance.now() - committed;
    assert.ok(
      Math.abs(lagMs - elapsed) < 2_500 && lagMs >= 1_500,
      `${lagMs} ms, ${elapsed} ms after the commit`,
    );
    assert.ok(lagLsn > 0);
    assert.equal(accountsBehind, 1);

    await lab.standby.restart();
    await lab.caughtUp();
    assert.equal(warm.status().phase, 'following');
    assert.equal(warm.status().lagMs, 0);
    await lab.assertEqual('after the standby came back');
  });

  it('goes on where it was after a restart, and compares everything when it cannot remember', async (t) => {
    const lab = await WarmLab.start(t, { accounts: 3 });
    const client = await connectImap(loginOf(lab.live, 'user0001'));
    lab.after(() => client.logout());
    for (let index = 1; index <= 5; index += 1) await client.append('INBOX', message(index));
    await lab.warm();
    await lab.caughtUp();
    await lab.stopWarm();

    await client.append('INBOX', message(6));
    await client.mailboxOpen('INBOX');
    await client.messageDelete('2', { uid: true });
    const again = await lab.warm();
    await lab.caughtUp();
    await lab.assertEqual('after a restart');
    assert.deepEqual([again.metrics().compared, again.metrics().applied], [0, 1]);
    await lab.stopWarm();

    for (const suffix of ['', '-wal', '-shm']) {
      rmSync(join(lab.dataDir, LIVE, `warm-${PAIR}.sqlite${suffix}`), { force: true });
    }
    await client.append('INBOX', message(7));
    const anew = await lab.warm();
    await lab.caughtUp();
    await lab.assertEqual('after everything was compared');
    assert.ok(anew.metrics().compared >= 3);
  });

  it('finds by itself what somebody else wrote to the standby, where nothing changes on the live server', async (t) => {
    const lab = await WarmLab.start(t, { accounts: 3 });
    const client = await connectImap(loginOf(lab.live, 'user0001'));
    lab.after(() => client.logout());
    for (let index = 1; index <= 3; index += 1) await client.append('INBOX', message(index));
    await lab.warm();
    await lab.caughtUp();
    await lab.stopWarm();
    const other = await connectImap(loginOf(lab.standby, 'user0001'));
    await other.append('INBOX', 'Subject: a stranger\r\n\r\nonly here\r\n');
    await other.logout();

    const warm = await lab.warm();
    await until('one account is compared', () => warm.metrics().compared === 1);
    await lab.caughtUp();
    assert.match(lab.standby.doveadm('fetch', '-u', 'user0001', 'hdr.subject', 'all'), /a stranger/);
    const inbox = lab.standby.doveadm('fetch', '-u', 'user0001', 'hdr.subject', 'mailbox', 'INBOX');
    assert.doesNotMatch(inbox, /a stranger/);
    // Twice the pace of what is tidied: it is found once.
    await delay(2_500);
    assert.equal(warm.metrics().compared, 1);
  });

  it('keeps what somebody else wrote to the standby, and gives the UIDs to the mail they belong to', async (t) => {
    const lab = await WarmLab.start(t, { accounts: 1 });
    const client = await connectImap(loginOf(lab.live, 'user0001'));
    lab.after(() => client.logout());
    for (let index = 1; index <= 3; index += 1) await client.append('INBOX', message(index));
    await lab.warm();
    await lab.caughtUp();
    const other = await connectImap(loginOf(lab.standby, 'user0001'));
    await other.append('INBOX', 'Subject: a stranger\r\n\r\nonly here\r\n');
    await other.logout();

    await client.append('INBOX', message(4));
    await lab.caughtUp();
    const stored = lab.standby.doveadm('fetch', '-u', 'user0001', 'mailbox uid hdr.subject', 'all');
    assert.match(stored, /a stranger/, 'what only the standby held is kept');
    const inbox = lab.standby.doveadm(
      'fetch',
      '-u',
      'user0001',
      'uid hdr.subject',
      'mailbox',
      'INBOX',
      'uid',
      '4',
    );
    assert.match(inbox, /message 4/);
  });
});

function message(index: number): string {
  return `Subject: message ${index}\r\n\r\nbody of ${index}\r\n`;
}
