import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bodyOf,
  EntryList,
  mailboxRecord,
  messageRecord,
  temporaryCatalog,
} from '../../../catalog/testing.ts';
import type { FetchHandler, FetchItems, ImapConnection } from '../imap/index.ts';
import { compareMailbox } from './compare.ts';

test('a message that the server gives no bytes of is another one, where bytes are asked for', async (t) => {
  const catalog = temporaryCatalog(t);
  const list = new EntryList();
  const texts = ['one', 'two', 'six'];
  const bodies = texts.map((text) => bodyOf(text));
  const messages = bodies.map((body, index) => messageRecord(1, index + 1, body));
  list.step({ t: 'account', account: 'alice' }, mailboxRecord(1, 'alice', 'INBOX'), ...bodies, ...messages);
  catalog.apply(list.take());
  const [row] = catalog.mailboxes('alice');
  assert.ok(row);

  // Dovecot answers NIL for a message whose file is gone, and leaves out one that it has expunged on its own.
  const connection = {
    fetch: async (_uids: unknown, { body }: FetchItems, handle: FetchHandler) => {
      for (const [index, text] of texts.entries()) {
        const uid = index + 1;
        if (body && uid === 3) continue;
        handle({
          type: 'fetch',
          sequence: uid,
          uid,
          flags: [],
          internalDate: messages[index]?.date,
          size: 3,
          modSeq: undefined,
          guid: undefined,
          body: !body ? undefined : uid === 1 ? Buffer.from(text) : null,
        });
      }
    },
  } as unknown as ImapConnection;
  const where = { row, at: catalog.appliedLsn, exists: 3, uidNext: 4 };
  const wrong = async (checkBodies: boolean) =>
    (await compareMailbox(catalog, connection, { ...where, checkBodies }, (flags) => flags)).wrong;
  assert.deepEqual(await wrong(true), [2, 3]);
  assert.deepEqual(await wrong(false), []);
});
