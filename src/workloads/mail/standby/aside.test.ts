import assert from 'node:assert/strict';
import { test } from 'node:test';
import { internalDateMs } from '../../../catalog/index.ts';
import {
  bodyOf,
  EntryList,
  mailboxRecord,
  messageRecord,
  temporaryCatalog,
} from '../../../catalog/testing.ts';
import type { FetchHandler, ImapConnection } from '../imap/index.ts';
import { everything, strangersAmong } from './aside.ts';
import type { AccountTools } from './tools.ts';

test('a message of a UID and size that the journal knows is another one when its date is: its bytes tell', async (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  const body = bodyOf('one');
  const record = messageRecord(1, 1, body);
  list.step({ t: 'account', account: 'alice' }, mailboxRecord(1, 'alice', 'INBOX'), body, record);
  catalog.apply(list.take());
  const [row] = catalog.mailboxes('alice');
  assert.ok(row);

  const served = { date: record.date, text: 'one', read: 0 };
  const connection = {
    fetch: async (_: unknown, items: { body?: boolean }, handle: FetchHandler) => {
      if (items.body) served.read += 1;
      handle({ uid: 1, size: 3, internalDate: served.date, body: Buffer.from(served.text) } as never);
    },
  } as unknown as ImapConnection;
  const tools = { reader: { catalog }, connection } as unknown as AccountTools;
  const strangers = async () => strangersAmong(tools, await everything(connection), row.id);

  assert.deepEqual([await strangers(), served.read], [[], 0]);
  // The same moment, as a server in another time zone writes it.
  served.date = '17-Jul-2026 00:44:25 +0000';
  assert.equal(internalDateMs(served.date), internalDateMs(record.date));
  assert.deepEqual([await strangers(), served.read], [[], 0]);
  served.date = '18-Jul-2026 00:44:25 +0000';
  assert.deepEqual([await strangers(), served.read], [[], 1]);
  served.text = 'two';
  assert.deepEqual([await strangers(), served.read], [[1], 2]);
});
