/** Goal: one message that cannot be had costs that message only, in whichever way the server fails at it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import type { MailboxId } from '../../../journal/index.ts';
import type { UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import type { FetchedMessage, FetchItems, ImapConnection, UidRange } from '../imap/index.ts';
import { uidsOfRanges } from '../imap/index.ts';
import { fetchMessages, type Unfetchable } from './bodies.ts';
import type { FollowContext } from './context.ts';

const BAD = 3;
const UIDS = [1, 2, BAD, 4, 5, 6];

/** A server that fails at one message: by saying so at the end of its answer, or by serving nothing from there on. */
function serverThatFails(error: UnderstudyError, goesOn: boolean): ImapConnection {
  const fetch = async (
    ranges: readonly UidRange[],
    _items: FetchItems,
    handle: (message: FetchedMessage) => unknown,
  ) => {
    const asked = [...uidsOfRanges(ranges)];
    for (const uid of asked) {
      if (uid === BAD && !goesOn) throw error;
      const body = Buffer.from(`message ${uid}`);
      if (uid !== BAD) await handle({ type: 'fetch', uid, size: body.length, body } as FetchedMessage);
    }
    if (asked.includes(BAD)) throw error;
  };
  return { fetch } as unknown as ImapConnection;
}

const context = {
  deps: {
    vault: {
      takeBody: (body: Buffer) => ({ hash: createHash('sha256').update(body).digest(), size: body.length }),
      ready: () => undefined,
    },
  },
} as unknown as FollowContext;

for (const [code, goesOn] of [
  ['MAIL_COMMAND_REFUSED', true],
  ['MAIL_COMMAND_REFUSED', false],
  ['MAIL_NO_ANSWER', false],
  ['MAIL_LITERAL_TOO_LARGE', false],
  ['MAIL_CONNECTION_LOST', false],
] as const) {
  test(`a message at which the server fails is set aside, and no other: ${code}${goesOn ? ' at the end' : ''}`, async () => {
    const error = mailErrors.make(code, 'not this one');
    const unfetchable: Unfetchable = { suspects: new Set(), givenUp: new Map(), newly: new Set() };
    const held = new Set<number>();
    const setAside: [number, string][] = [];
    const left = () => UIDS.filter((uid) => !held.has(uid) && !unfetchable.givenUp.has(uid));
    for (let attempt = 1; left().length > 0; attempt += 1) {
      assert.ok(attempt <= 5, `left: ${left()}`);
      const job = {
        account: 'a',
        mailbox: 'INBOX',
        id: 1 as MailboxId,
        ranges: left().map((uid) => ({ from: uid, to: uid })),
        idsFirst: false,
        unfetchable,
      };
      await fetchMessages(context, serverThatFails(error, goesOn), job, async ({ records }) => {
        for (const record of records) {
          if (record.t === 'message') held.add(record.uid);
          else setAside.push([record.uid, record.code]);
        }
      }).catch((thrown) => assert.equal(thrown, error));
    }
    assert.deepEqual([...held].sort(), [1, 2, 4, 5, 6]);
    assert.deepEqual(setAside, [[BAD, code]]);
  });
}
