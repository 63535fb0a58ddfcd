/**
 * Goal: a standby of another release of Dovecot is the live server to every client: 2.3 → 2.4, and 2.4 → 2.3. Method: mail that breaks parsers, with flags,
 * keywords and dates of every zone; an independent client reads both.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bulkMessages, corpusMissing, nastyMessages } from '../lab/corpus.ts';
import type { DovecotRelease, StoreFormat } from '../lab/dovecot.ts';
import { dovecot24, dovecot24Missing } from '../lab/dovecot24.ts';
import { fillDovecot } from '../lab/fill.ts';
import { connectImap } from '../lab/imap-check.ts';
import { requirePackages } from '../lab/packages.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { ImapClient } from './imap-client.ts';
import { fillAccount, mail } from './restore-world.ts';
import { StandbyWorld } from './standby-world.ts';
import { serversMissing } from './support.ts';
import { filesBelow, synchronisers } from './synchronisers.ts';

const skip = serversMissing || dovecot24Missing;

const FLAGS = [
  [],
  ['\\Seen'],
  ['\\Seen', '\\Answered', '$Forwarded'],
  ['\\Flagged', '$Label1', 'NonJunk', 'a-b_c.d!'],
  ['\\Draft', '\\Deleted'],
];
const DATES = [
  '17-Jul-2026 02:44:25 +0200',
  ' 1-Jan-1970 00:00:01 +0000',
  '29-Feb-2024 23:59:59 -1130',
  '31-Dec-1999 23:00:00 +1400',
];

const releases = (version: '2.3' | '2.4'): DovecotRelease | undefined =>
  version === '2.4' ? dovecot24() : undefined;

function start(
  t: Parameters<typeof StandbyWorld.start>[0],
  way: { live: '2.3' | '2.4'; standby: '2.3' | '2.4'; format: StoreFormat; standbyFormat?: StoreFormat },
): Promise<StandbyWorld> {
  const [release, standbyRelease] = [releases(way.live), releases(way.standby)];
  return StandbyWorld.start(t, {
    format: way.format,
    standbyFormat: way.standbyFormat ?? way.format,
    accounts: 3,
    autoMailboxes: true,
    ...(release === undefined ? {} : { release }),
    ...(standbyRelease === undefined ? {} : { standbyRelease }),
  });
}

describe('a standby of another release', { skip }, () => {
  for (const [live, standby] of [
    ['2.3', '2.4'],
    ['2.4', '2.3'],
  ] as const) {
    for (const format of ['maildir', 'mdbox'] as const) {
      it(`holds the same to every client: ${live} → ${standby}, ${format}`, async (t) => {
        const world = await start(t, { live, standby, format });
        const [odd, person, generated] = world.lab.dovecot.accounts as [string, string, string];
        const stored = await fillOddly(world, odd);
        await fillAccount(world.lab, person);
        await fillDovecot(world.lab.dovecot, { messages: 200, approxBytes: 3_000, accounts: [generated] });
        const known = await synchronised(t, world, person);

        await world.lab.shadow();
        const report = await world.bringUpWell();
        assert.deepEqual([report.notKept, report.kept], [[], []]);
        assert.equal(report.messagesRestored, report.messagesWanted);
        assert.ok(report.messagesWanted >= stored);
        await world.assertSame();
        for (const account of world.lab.dovecot.accounts) await assertModSeqs(world, account);
        known.assertNothingMoves();

        const again = await world.bringUpWell();
        assert.deepEqual([again.messagesRestored, again.repaired], [0, []]);
        t.diagnostic(`${report.messagesRestored} messages in ${Math.round(report.elapsedMs)} ms`);
      });
    }
  }

  it('may keep its mail in another format, and follows', async (t) => {
    const world = await start(t, { live: '2.3', standby: '2.4', format: 'maildir', standbyFormat: 'mdbox' });
    const [account] = world.lab.dovecot.accounts as [string];
    await fillAccount(world.lab, account);
    await world.lab.shadow();
    await world.bringUpWell();
    await world.assertSame();

    const client = await ImapClient.open(world.lab.dovecot, account);
    await client.append('INBOX', mail('later'), { flags: ['$Late'] });
    await client.select('Work');
    await client.store('1,3', '+FLAGS', ['\\Answered', 'New']);
    await client.expunge('4');
    await client.rename('Work/Deep', 'Deep');
    await client.delete('Empty');
    await client.unsubscribe('Work');
    await client.close();
    await world.lab.shadow();
    const report = await world.bringUpWell();
    assert.deepEqual(report.kept, []);
    await world.assertSame();
    await assertModSeqs(world, account);
  });
});

describe('an INBOX in Maildir whose UIDs were given to others, on a 2.4', { skip }, () => {
  it('begins anew where the API may touch files', async (t) => {
    const world = await used(t, dovecot24());
    const report = await world.bringUpWell();
    assert.deepEqual(report.notKept, []);
    await world.assertSame();
    assert.equal(await world.countOnStandby('user0001', 'of-others'), 1);
  });

  it('is read again by clients where it may not, and it says why', async (t) => {
    const world = await used(t, dovecot24({ files: false }));
    const report = await world.bringUpWell();
    assert.deepEqual(
      report.notKept.map(({ what, mailbox }) => `${mailbox} ${what}`),
      ['INBOX uidvalidity', 'INBOX uids'],
    );
    assert.match(report.notKept[0]?.why ?? '', /fs posix/);
    const [live, standby] = [await world.lab.serverState(['user0001']), await world.standbyState('user0001')];
    const inbox = live.get('user0001')?.get('INBOX');
    assert.notEqual(standby.get('INBOX')?.uidValidity, inbox?.uidValidity);
    const hashes = new Set(standby.get('INBOX')?.messages.map(({ sha256 }) => sha256));
    assert.ok(inbox?.messages.every(({ sha256 }) => hashes.has(sha256)));
  });
});

/** A standby whose INBOX gave the live server's UIDs to other messages. */
async function used(
  t: Parameters<typeof StandbyWorld.start>[0],
  standbyRelease: DovecotRelease,
): Promise<StandbyWorld> {
  const world = await StandbyWorld.start(t, { format: 'maildir', accounts: 1, standbyRelease });
  await fillAccount(world.lab, 'user0001');
  await world.lab.shadow();
  await world.onStandby('user0001', (client) => client.append('INBOX', mail('of-others')));
  return world;
}

/** Mail that breaks parsers where there is such a corpus, in mailboxes of its own, and in INBOX; gives how many messages. */
async function fillOddly(world: StandbyWorld, account: string): Promise<number> {
  const client = await ImapClient.open(world.lab.dovecot, account);
  const made = new Set<string>();
  let count = 0;
  for await (const { name, raw } of messages()) {
    const mailbox = count % 5 === 0 ? 'INBOX' : name.split('/').slice(0, 2).join('/');
    if (mailbox !== 'INBOX' && !made.has(mailbox)) {
      await client.create(mailbox);
      if (made.size % 2 === 0) await client.subscribe(mailbox);
      made.add(mailbox);
    }
    const flags = FLAGS[count % FLAGS.length] as string[];
    const answer = await client.append(mailbox, raw, { flags, date: DATES[count % DATES.length] as string });
    assert.ok(answer.ok, `${name}: ${answer.text}`);
    count += 1;
  }
  // Gaps, and a UIDNEXT beyond the last message.
  for (const mailbox of ['INBOX', ...made]) {
    await client.select(mailbox);
    const uids = await client.uids();
    for (const uid of [uids[1], uids.at(-1)]) {
      if (uid === undefined) continue;
      await client.expunge(String(uid));
      count -= 1;
    }
  }
  await client.close();
  return count;
}

async function* messages() {
  if (corpusMissing !== false) {
    for (let at = 0; at < 40; at += 1) yield { name: `odd/${at % 4}/${at}`, raw: mail(`odd-${at}`, 10 * at) };
    return;
  }
  yield* nastyMessages();
  yield* bulkMessages('linux-mips-list', 50);
}

/** HIGHESTMODSEQ is not below the live server's, in any mailbox. */
async function assertModSeqs(world: StandbyWorld, account: string): Promise<void> {
  const modSeqs = async (client: Awaited<ReturnType<typeof connectImap>>) => {
    const found = new Map<string, bigint>();
    for (const { path, flags } of await client.list()) {
      if (flags.has('\\Noselect')) continue;
      const status = await client.status(path, { highestModseq: true });
      if (status) found.set(path, status.highestModseq ?? 0n);
    }
    return found;
  };
  const client = await connectImap(world.lab.login(account));
  const live = await modSeqs(client).finally(() => client.logout());
  const standby = await world.onStandby(account, modSeqs);
  for (const [name, modSeq] of live)
    assert.ok((standby.get(name) ?? 0n) >= modSeq, `MODSEQ of ${account}/${name}`);
}

/** What programs of the person have by now, of those that are here. */
async function synchronised(
  t: Parameters<typeof StandbyWorld.start>[0],
  world: StandbyWorld,
  person: string,
) {
  const folders = synchronisers
    .filter(({ packageName }) => requirePackages([packageName]) === undefined)
    .map((program) => {
      const folder = temporaryDirectory(program.name, t).path;
      program.synchronise(folder, world.lab.dovecot, person);
      return { program, folder, files: filesBelow(folder) };
    });
  return {
    assertNothingMoves() {
      for (const { program, folder, files } of folders) {
        const said = program.synchronise(folder, world.standby, person);
        assert.doesNotMatch(said, /UIDVALIDITY|Copy message/i);
        assert.deepEqual(filesBelow(folder), files, `${program.name}: nothing came, nothing went`);
      }
    },
  };
}
