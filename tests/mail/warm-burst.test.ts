/**
 * Goal: a mass removal on the live server does not reach the standby before somebody said so, while everything else does.
 * Method: two real Dovecots; a client empties a mailbox; the operator accepts, or restores.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { VaultReader } from '../../src/catalog/index.ts';
import { acceptHeld, heldBursts } from '../../src/workloads/mail/warm/index.ts';
import { connectImap, dumpAccount } from '../lab/imap-check.ts';
import { serversMissing } from './support.ts';
import { loginOf, until, WarmLab } from './warm-support.ts';

const MESSAGES = 30;

/** Two accounts, the first with mail; the standby is warm. */
async function start(t: Parameters<typeof WarmLab.start>[0]) {
  const lab = await WarmLab.start(t, { accounts: 2, burstLeast: 20 });
  const client = await connectImap(loginOf(lab.live, 'user0001'));
  lab.after(() => client.logout());
  const other = await connectImap(loginOf(lab.live, 'user0002'));
  lab.after(() => other.logout());
  await client.mailboxCreate('Archive');
  for (let index = 1; index <= MESSAGES; index += 1) await client.append('INBOX', message(index));
  await other.append('INBOX', message(1));
  const warm = await lab.warm();
  await lab.caughtUp();
  await client.mailboxOpen('INBOX');
  return { lab, client, other, warm };
}

async function countOnStandby(lab: WarmLab, account = 'user0001'): Promise<number> {
  const dump = await dumpAccount(loginOf(lab.standby, account), { bodies: false });
  return [...dump.values()].reduce((sum, { messages }) => sum + messages.length, 0);
}

describe('a burst of removals', { skip: serversMissing }, () => {
  it('is held before the standby, for its account only, until it is accepted', async (t) => {
    const { lab, client, other, warm } = await start(t);
    await client.append('INBOX', message(MESSAGES + 1));
    await client.messageDelete(`1:${MESSAGES}`, { uid: true });
    await lab.pass();
    await until('it is held', () => warm.status().phase === 'held');
    const [held, ...more] = warm.status().held;
    assert.deepEqual(more, []);
    assert.deepEqual([held?.account, held?.removed, held?.of], ['user0001', MESSAGES, MESSAGES + 1]);
    assert.match(held?.before ?? '', /^lsn:\d+$/);

    // What came before it is there, and others go on.
    await other.append('INBOX', message(2));
    await lab.caughtUp();
    assert.equal(warm.status().lagMs, 0);
    await lab.assertEqual('the other account', ['user0002']);
    assert.equal(await countOnStandby(lab), MESSAGES + 1);
    // What comes after it waits too.
    await client.append('INBOX', message(MESSAGES + 2));
    await lab.pass();
    await delay(500);
    assert.equal(await countOnStandby(lab), MESSAGES + 1);

    assert.deepEqual(
      warm.accept('user0001').map(({ account }) => account),
      ['user0001'],
    );
    await lab.caughtUp();
    assert.deepEqual(warm.status().held, []);
    await lab.assertEqual('after it was accepted');
    assert.deepEqual(warm.accept(), []);
  });

  it('stays held over a restart, is known to a takeover, and can be accepted without a service', async (t) => {
    const { lab, client, warm } = await start(t);
    await client.messageDelete(`1:${MESSAGES}`, { uid: true });
    await lab.pass();
    await until('it is held', () => warm.status().phase === 'held');
    await lab.stopWarm();
    const place = await lab.warmDeps();
    const [held] = await heldBursts(place);
    assert.deepEqual([held?.account, held?.removed, held?.of], ['user0001', MESSAGES, MESSAGES]);

    const again = await lab.warm();
    await until('it is held again', () => again.status().phase === 'held');
    await lab.caughtUp();
    assert.equal(await countOnStandby(lab), MESSAGES);
    await lab.stopWarm();

    const { reader } = await lab.warmDeps();
    assert.ok(reader instanceof VaultReader);
    assert.equal((await acceptHeld(await lab.warmDeps())).length, 1);
    assert.deepEqual(await heldBursts(await lab.warmDeps()), []);
    await lab.warm();
    await lab.caughtUp();
    await lab.assertEqual('after it was accepted');
  });

  it('that nobody kept watch over is known to a takeover', async (t) => {
    const { lab, client } = await start(t);
    await lab.stopWarm();
    await client.messageDelete(`1:${MESSAGES}`, { uid: true });
    await lab.pass();
    assert.deepEqual(
      (await heldBursts(await lab.warmDeps())).map(({ account, removed }) => [account, removed]),
      [['user0001', MESSAGES]],
    );
  });

  it('stays held when what was remembered is lost', async (t) => {
    const { lab, client, other, warm } = await start(t);
    await client.messageDelete(`1:${MESSAGES}`, { uid: true });
    await lab.pass();
    await until('it is held', () => warm.status().phase === 'held');
    await lab.stopWarm();
    await lab.forget();
    const [held] = await heldBursts(await lab.warmDeps());
    assert.deepEqual([held?.account, held?.removed, held?.of], ['user0001', MESSAGES, MESSAGES]);

    const again = await lab.warm();
    await other.append('INBOX', message(2));
    await client.append('INBOX', message(MESSAGES + 1));
    await lab.caughtUp();
    await until('it is held again', () => again.status().phase === 'held');
    assert.deepEqual(again.status().held[0]?.at, held?.at);
    assert.equal(await countOnStandby(lab), MESSAGES);
    await lab.assertEqual('the other account', ['user0002']);

    // One that was accepted is not held again.
    again.accept();
    await lab.caughtUp();
    await lab.assertEqual('after it was accepted');
    await lab.stopWarm();
    await lab.forget();
    assert.deepEqual(await heldBursts(await lab.warmDeps()), []);
    const last = await lab.warm();
    await lab.caughtUp();
    assert.equal(last.status().phase, 'following');
    await lab.assertEqual('and its memory was lost again');
  });

  it('that nobody kept watch over is held where nothing is remembered', async (t) => {
    const { lab, client } = await start(t);
    await lab.stopWarm();
    // The first one is let through, the second one not.
    await client.messageDelete('1:25', { uid: true });
    await lab.pass();
    await lab.warm();
    await lab.pass();
    await until('it is held', async () => (await lab.warm()).status().phase === 'held');
    (await lab.warm()).accept();
    for (let index = 1; index <= MESSAGES; index += 1) await client.append('INBOX', message(100 + index));
    await lab.caughtUp();
    await lab.stopWarm();
    await lab.forget();
    await client.messageDelete('1:*', { uid: true });
    await lab.pass();
    const [held, ...more] = await heldBursts(await lab.warmDeps());
    assert.deepEqual([held?.removed, more], [MESSAGES + 5, []]);

    const warm = await lab.warm();
    await until('it is held', () => warm.status().phase === 'held');
    await lab.caughtUp();
    assert.deepEqual(warm.status().held[0]?.at, held?.at);
    assert.equal(await countOnStandby(lab), MESSAGES + 5);
  });

  it('of long ago does not keep an empty standby from being filled', async (t) => {
    const { lab, client } = await start(t);
    await client.messageDelete(`1:${MESSAGES - 1}`, { uid: true });
    await lab.pass();
    await lab.stopWarm();
    await lab.forget();
    const standby = await connectImap(loginOf(lab.standby, 'user0001'));
    await standby.mailboxOpen('INBOX');
    await standby.messageDelete('1:*', { uid: true });
    await standby.logout();
    assert.deepEqual(await heldBursts(await lab.warmDeps()), []);
    const warm = await lab.warm();
    await lab.caughtUp();
    assert.deepEqual(warm.status().held, []);
    await lab.assertEqual('filled');
  });

  it('ends by itself when the mail is back on the live server', async (t) => {
    const { lab, client, warm } = await start(t);
    await client.messageDelete(`1:${MESSAGES}`, { uid: true });
    await lab.pass();
    await until('it is held', () => warm.status().phase === 'held');
    await lab.restore('user0001');
    await lab.pass();
    await until('it is held no more', () => warm.status().held.length === 0);
    await lab.caughtUp();
    await lab.assertEqual('after the restore');
  });

  it('that is a move is not held for long', async (t) => {
    const { lab, client, warm } = await start(t);
    await client.messageMove(`1:${MESSAGES}`, 'Archive', { uid: true });
    await lab.pass();
    await until('it is on the standby', async () => {
      await lab.caughtUp();
      return (await countOf(lab, 'Archive')) === MESSAGES;
    });
    await lab.caughtUp();
    assert.deepEqual(warm.status().held, []);
    await lab.assertEqual('after the move');
  });
});

async function countOf(lab: WarmLab, mailbox: string): Promise<number> {
  const dump = await dumpAccount(loginOf(lab.standby, 'user0001'), { bodies: false, mailboxes: [mailbox] });
  return dump.get(mailbox)?.messages.length ?? 0;
}

function message(index: number): string {
  return `Subject: message ${index}\r\n\r\nbody of ${index}\r\n`;
}
