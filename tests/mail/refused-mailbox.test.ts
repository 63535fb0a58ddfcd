/**
 * Goal: a mailbox that the server refuses holds back removals in the others only where it may have what was removed, and not for ever; and
 * what is in it does not count as read. Method: passes over a real Dovecot behind a proxy that refuses one mailbox, with a clock that is put forward.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UnprotectedEvents } from '../../src/api/unprotected.ts';
import { systemClock } from '../../src/lib/index.ts';
import { startShadow } from '../../src/workloads/mail/index.ts';
import { Follower } from '../../src/workloads/mail/shadow/index.ts';
import { ImapClient } from './imap-client.ts';
import { assertVerified, depsNow, idsIn, labBehindProxy, numberedMessage, until } from './service-support.ts';
import { SERVER, serversMissing } from './support.ts';

const ACCOUNT = 'user0001';
const DAY_MS = 24 * 60 * 60_000;

describe('a mailbox that is refused', { skip: serversMissing }, () => {
  it('holds back what may have been moved into it, for a day, and says so', async (t) => {
    const { lab, script } = await labBehindProxy(t, { accounts: 1 });
    const client = await ImapClient.open(lab.dovecot, ACCOUNT);
    lab.after(() => client.close());
    for (const name of ['Archive', 'Other']) assert.ok((await client.create(name)).ok);
    for (const id of ['stays', 'moved', 'deleted'])
      assert.ok((await client.append('INBOX', numberedMessage(id))).ok);
    let aheadMs = 0;
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
    const follower = new Follower({ ...(await depsNow(lab)), clock });
    lab.after(() => follower.stop());
    const { catalog } = await lab.vault();
    const problems = async () => (await follower.pass()).problems.map(({ message }) => message);
    assert.deepEqual(await problems(), []);

    script.rewrites.push({
      after: 'EXAMINE "Archive"',
      from: 'OK [READ-ONLY] Examine completed',
      to: 'NO this one is not to be opened.',
    });
    assert.ok((await client.append('Archive', numberedMessage('unread'))).ok);
    await client.select('INBOX');
    assert.ok((await client.move('2', 'Other')).ok);
    assert.match((await problems()).join(), /not to be opened[^;]*$/);
    assert.deepEqual(
      [idsIn(catalog, ACCOUNT), idsIn(catalog, ACCOUNT, 'Other')],
      [['stays', 'deleted'], ['moved']],
    );

    assert.ok((await client.expunge('3')).ok);
    aheadMs += DAY_MS;
    const until = new Date(systemClock.wallMs() + DAY_MS).toISOString().slice(0, 10);
    assert.match(
      (await problems()).join(),
      new RegExp(`; the replica keeps 1 message .* until ${until}T..:..Z`),
    );
    assert.deepEqual(idsIn(catalog, ACCOUNT), ['stays', 'deleted']);
    aheadMs += DAY_MS;
    const before = catalog.lastCommit()?.lsn;
    assert.match((await problems()).join(), /not to be opened[^;]*$/);
    assert.deepEqual(idsIn(catalog, ACCOUNT), ['stays']);
    assert.ok(catalog.checkpoints().some(({ cause, lsn }) => cause === 'burst' && lsn === before));

    script.rewrites.length = 0;
    aheadMs += DAY_MS;
    assert.deepEqual(await problems(), []);
    await assertVerified(lab);
  });

  it('is forgotten when it is gone', async (t) => {
    const { lab, script } = await labBehindProxy(t, { accounts: 1 });
    const client = await ImapClient.open(lab.dovecot, ACCOUNT);
    lab.after(() => client.close());
    assert.ok((await client.create('Archive')).ok);
    assert.ok((await client.append('Archive', numberedMessage('cut-here'))).ok);
    script.faults.push({ atText: 'Subject: cut-here', what: 'reset' });
    const follower = new Follower(await depsNow(lab));
    lab.after(() => follower.stop());
    await follower.pass();
    assert.equal(follower.context.pauses.mailboxes, 1);
    assert.ok((await client.delete('Archive')).ok);
    await follower.pass();
    assert.deepEqual([follower.context.pauses.mailboxes, follower.context.suspects.size], [0, 0]);
  });

  it('leaves what was delivered to it unprotected until a pass could read it, whatever else of the account is read', async (t) => {
    const { lab, script } = await labBehindProxy(t, {
      accounts: 1,
      serverLines: ['shadow: { sweep: 1h, watch: 0 }'],
    });
    const client = await ImapClient.open(lab.dovecot, ACCOUNT);
    lab.after(() => client.close());
    assert.ok((await client.create('Archive')).ok);
    const engine = startShadow(await depsNow(lab));
    lab.after(() => engine.stop());
    await engine.pass({});
    const events = new UnprotectedEvents(systemClock);
    const delivered = async (mailbox: string) => {
      assert.ok((await client.append(mailbox, numberedMessage(mailbox))).ok);
      const change = { name: 'MessageNew', mailbox, uid: 1 };
      return engine.push({ user: ACCOUNT, changes: [change] });
    };
    const refusal = {
      after: 'EXAMINE "Archive"',
      from: 'OK [READ-ONLY] Examine completed',
      to: 'NO this one is not to be opened.',
    };
    script.rewrites.push(refusal);
    const refused = delivered('Archive');
    events.note(SERVER, ACCOUNT, refused);
    await assert.rejects(refused, { code: 'MAIL_COMMAND_REFUSED' });
    assert.deepEqual(await delivered('INBOX'), { committed: true });
    assert.deepEqual(
      engine.status().problems.map(({ account }) => account),
      [ACCOUNT],
      'INBOX was not the problem',
    );
    await engine.pass({});
    assert.deepEqual(engine.status().lastPass?.unread, [ACCOUNT]);
    assert.equal(events.count(SERVER, engine.status().lastPass), 1);
    script.rewrites.length = 0;
    await until('it is read', 10_000, async () => (await engine.pass({})).problems.length === 0);
    assert.equal(events.count(SERVER, engine.status().lastPass), 0);
  });
});
