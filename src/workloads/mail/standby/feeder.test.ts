import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { MessageRow } from '../../../catalog/index.ts';
import type { Lsn } from '../../../journal/index.ts';
import { systemClock } from '../../../lib/index.ts';
import type { AppendMessage, ImapConnection } from '../imap/index.ts';
import { Costs, Feeder } from './feeder.ts';

test('large messages share one budget of bytes on their way, over all mailboxes; small ones take none', async () => {
  const costs = new Costs();
  const most = { count: 0, now: 0 };
  const feed = async (size: number) => {
    let uid = 1;
    const connection = {
      append: async (_: string, messages: readonly AppendMessage[]) => {
        most.now += 1;
        most.count = Math.max(most.count, most.now);
        await delay(5);
        most.now -= 1;
        return { uids: messages.map(() => uid++) };
      },
      select: async () => ({}),
      unselect: async () => {},
    } as unknown as ImapConnection;
    const feeder = new Feeder(
      {
        reader: { body: async () => Buffer.alloc(1) },
        connection,
        lanes: { open: [connection], grow: () => {} },
        clock: systemClock,
        pin: async () => {},
        flagsKept: (flags) => flags,
        done: () => {},
      },
      costs,
      'INBOX',
      1,
    );
    for (let next = 1; next <= 6; next += 1) {
      await feeder.put({
        uid: next,
        size,
        bodyLsn: next as Lsn,
        flags: [],
        date: '',
      } as unknown as MessageRow);
    }
    await feeder.end();
  };
  await Promise.all([feed(40 << 20), feed(40 << 20)]);
  assert.equal(most.count, 1);
  assert.equal(costs.large.heldBytes, 0);
  await Promise.all([feed(4 << 20), feed(4 << 20)]);
  assert.ok(most.count > 1);
});
