/**
 * Goal: whatever clients and deliveries do, and whenever we look, the replica becomes what the server is, and its past
 * stays what the server was. Method: a day of random IMAP and LMTP activity with passes in between and at the same time; at
 * each quiet point an independent client reads the server; at the end every quiet point is asked for again as of its LSN.
 *
 * `UNDERSTUDY_SEED` repeats a day; `UNDERSTUDY_DAY_ROUNDS` makes it longer.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Lsn } from '../../src/journal/index.ts';
import { Random } from '../../src/lib/index.ts';
import { shadowOnce, verifyMail } from '../../src/workloads/mail/index.ts';
import { ImapClient } from './imap-client.ts';
import { RandomDay } from './random-day.ts';
import {
  assertEqualStates,
  MailLab,
  replicaState,
  type ServerState,
  serversMissing,
  variants,
} from './support.ts';

const rounds = Number(process.env['UNDERSTUDY_DAY_ROUNDS'] ?? 12);
const ACCOUNTS = 3;

/** What the server was when nothing went on, and the LSN that the replica had then. */
interface QuietPoint {
  readonly lsn: Lsn;
  readonly state: ServerState;
  readonly subscriptions: ReadonlyMap<string, readonly string[]>;
}

async function subscriptionsOf(lab: MailLab): Promise<Map<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  for (const account of lab.dovecot.accounts) {
    const client = await ImapClient.open(lab.dovecot, account);
    found.set(account, await client.subscriptions());
    await client.close();
  }
  return found;
}

async function quietPoint(lab: MailLab): Promise<QuietPoint> {
  const state = await lab.assertReplicaIsServer('at a quiet point');
  const { catalog, committedLsn } = await lab.vault();
  const subscriptions = await subscriptionsOf(lab);
  for (const [account, names] of subscriptions) {
    assert.deepEqual([...catalog.subscriptions(account)].sort(), names, `subscriptions of ${account}`);
  }
  return { lsn: committedLsn, state, subscriptions };
}

async function assertPastIsKept(lab: MailLab, points: readonly QuietPoint[]): Promise<void> {
  const { catalog } = await lab.vault();
  for (const { lsn, state, subscriptions } of points) {
    // UIDNEXT and HIGHESTMODSEQ have no history: a UID that was ever given is never free again.
    assertEqualStates(state, replicaState(catalog, [...state.keys()], lsn), `as of lsn:${lsn}`, {
      ignore: ['uidNext'],
    });
    for (const [account, names] of subscriptions) {
      assert.deepEqual(
        [...catalog.subscriptions(account, lsn)].sort(),
        names,
        `subscriptions as of lsn:${lsn}`,
      );
    }
  }
}

/** Passes at random moments until told to end. A mailbox that goes while it is looked at may need another pass. */
async function passAllTheTime(lab: MailLab, random: Random, ended: () => boolean): Promise<void> {
  while (!ended()) {
    await delay(random.integer(0, 60));
    const { problems } = await shadowOnce(await lab.deps());
    const serious = problems.filter(
      ({ code }) => !['MAIL_MAILBOX_MOVED', 'MAIL_MAILBOX_ABSENT', 'MAIL_COMMAND_REFUSED'].includes(code),
    );
    assert.deepEqual(serious, []);
  }
}

/** Prints the seed, and after a failure what was done. */
async function withSeed(
  t: TestContext,
  work: (seed: string) => Promise<{ log: readonly string[] }>,
): Promise<void> {
  const seed = process.env['UNDERSTUDY_SEED'] ?? String(Math.floor(Math.random() * 1e9));
  t.diagnostic(`UNDERSTUDY_SEED=${seed}`);
  await work(seed);
}

describe('a random day', { skip: serversMissing }, () => {
  const throughDoveadm = {
    name: 'mdbox, asked through doveadm',
    options: { format: 'mdbox', doveadm: true },
  } as const;
  for (const { name, options } of [...variants, throughDoveadm]) {
    it(`is followed exactly, and its past stays: ${name}`, async (t) => {
      await withSeed(t, async (seed) => {
        const lab = await MailLab.start(t, { ...options, accounts: ACCOUNTS });
        const day = await RandomDay.begin(lab.dovecot, seed);
        lab.after(() => day.end());
        const random = new Random(seed);
        const points: QuietPoint[] = [];
        try {
          for (let round = 0; round < rounds; round += 1) {
            let acting = true;
            const activity = day.act(random.integer(1, 20)).finally(() => {
              acting = false;
            });
            if (random.chance(0.5)) await passAllTheTime(lab, random, () => !acting);
            await activity;
            await lab.shadow();
            points.push(await quietPoint(lab));
            await lab.assertPassAppendsNothing();
          }
          await assertPastIsKept(lab, points);
          const report = await verifyMail(await lab.deps(), { bodies: 'all' });
          assert.deepEqual(report.differences, []);
        } catch (error) {
          t.diagnostic(day.log.slice(-40).join('\n'));
          throw error;
        }
        return day;
      });
    });
  }
});
