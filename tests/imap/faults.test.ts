/** Goal: whatever the network does, an answer is whole or an error with its code; nothing hangs, nothing is invented. */
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { hasCode } from '../../src/lib/index.ts';
import { ByteBudget, type FetchedMessage, ImapConnection } from '../../src/workloads/mail/imap/index.ts';
import { type Dovecot, startDovecot } from '../lab/dovecot.ts';
import { type Fault, type Rewrite, startFaultyProxy } from '../lab/faulty-proxy.ts';
import { logIn } from './server.ts';

let dovecot: Dovecot;
const body = Buffer.from(`A: b\r\n\r\n${'0123456789abcdef'.repeat(8_000)}\r\n`);
const large = Buffer.alloc(3 << 20, 'x');
before(async () => {
  dovecot = await startDovecot({ accounts: 1, fsync: 'never' });
  const connection = await ImapConnection.connect({
    host: dovecot.address,
    port: dovecot.imapPort,
    security: 'none',
    auth: { account: 'user0001', authUser: dovecot.masterUser, secret: dovecot.masterSecret },
  });
  await connection.append('INBOX', [{ body }, { body }, { body: large }]);
  await connection.logout();
});
after(() => dovecot.stop());

async function fetchThrough(
  t: Parameters<typeof logIn>[0],
  script: { faults?: Fault[]; rewrites?: Rewrite[] },
  idleMs = 5_000,
): Promise<{ whole: FetchedMessage[]; error: unknown; budget: ByteBudget; struck: number }> {
  const proxy = await startFaultyProxy({ host: dovecot.address, port: dovecot.imapPort }, script);
  t.after(() => proxy.close());
  const budget = new ByteBudget(64 << 20);
  const whole: FetchedMessage[] = [];
  let error: unknown;
  try {
    const connection = await logIn(t, dovecot, 'user0001', {
      host: proxy.host,
      port: proxy.port,
      timeouts: { idleMs },
      budget,
    });
    await connection.examine('INBOX');
    await connection.fetch('1:*', { body: true, size: true }, (message) => {
      whole.push({ ...message, body: message.body ? Buffer.from(message.body) : null });
    });
  } catch (thrown) {
    error = thrown;
  }
  return { whole, error, budget, struck: proxy.struck };
}

const bodies = [body, body, large];
function assertWhole(messages: readonly FetchedMessage[]): void {
  for (const message of messages) assert.ok(message.body?.equals(bodies[message.uid - 1] as Buffer));
}

for (const what of ['reset', 'end'] as const) {
  test(`a connection cut anywhere is an error, and what came before is whole: ${what}`, async (t) => {
    for (const afterBytes of [0, 5, 400, 1_500, 5_000, 129_000, 131_000, 200_000, 1_000_000, 3_000_000]) {
      const { whole, error, budget, struck } = await fetchThrough(t, { faults: [{ what, afterBytes }] });
      assert.equal(struck, 1, `cut at ${afterBytes}`);
      assert.ok(hasCode(error, 'MAIL_CONNECTION_LOST'), `cut at ${afterBytes}: ${error}`);
      assert.ok(whole.length < 3);
      assertWhole(whole);
      assert.equal(budget.heldBytes, 0, 'what was held for the cut message is given back');
    }
  });
}

test('a half-open connection is noticed within the time allowed, wherever it stops', async (t) => {
  for (const afterBytes of [300, 2_000, 150_000, 2_000_000]) {
    const { error, whole, struck } = await fetchThrough(
      t,
      { faults: [{ what: 'half-open', afterBytes }] },
      200,
    );
    assert.equal(struck, 1);
    assert.ok(hasCode(error, 'MAIL_NO_ANSWER'), `${error}`);
    assertWhole(whole);
  }
});

test('a half-open connection is noticed while idling, when it is renewed', async (t) => {
  const proxy = await startFaultyProxy(
    { host: dovecot.address, port: dovecot.imapPort },
    { faults: [{ what: 'half-open', afterBytes: 2_000 }] },
  );
  t.after(() => proxy.close());
  const connection = await logIn(t, dovecot, 'user0001', {
    host: proxy.host,
    port: proxy.port,
    timeouts: { idleMs: 200 },
  });
  const idle = await connection.idle({ renewMs: 10 });
  assert.ok(hasCode(await idle.ended, 'MAIL_NO_ANSWER'));
  assert.equal(proxy.struck, 1);
});

test('a slow line is slow, not broken', async (t) => {
  const slow: Fault = { what: 'drip', afterBytes: 1_200, bytesPerTick: 50_021, tickMs: 1 };
  const { whole, error, struck } = await fetchThrough(t, { faults: [slow] }, 500);
  assert.equal(error, undefined);
  assert.equal(struck, 1);
  assert.equal(whole.length, 3);
  assertWhole(whole);
});

test('a wrong size is passed on as the server said it', async (t) => {
  const said = `RFC822.SIZE ${body.length} `;
  const { whole, error } = await fetchThrough(t, {
    rewrites: [{ from: said, to: `RFC822.SIZE ${body.length + 1} ` }],
  });
  assert.equal(error, undefined);
  assert.equal(whole[0]?.size, body.length + 1);
  assert.equal(whole[0]?.body?.length, body.length);
});

test('a literal with a wrong length is a protocol error or an answer that does not come, never a wrong message', async (t) => {
  for (const length of [body.length - 7, body.length + 7]) {
    const rewrites = [{ from: `{${body.length}}`, to: `{${length}}` }];
    const { whole, error, struck } = await fetchThrough(t, { rewrites }, 300);
    assert.ok(struck > 0);
    assert.ok(hasCode(error, 'MAIL_PROTOCOL_ERROR') || hasCode(error, 'MAIL_NO_ANSWER'), `${error}`);
    // A longer literal swallows the closing parenthesis: the message's size gives it away to the caller.
    for (const message of whole)
      assert.ok(message.body?.length === message.size || message.body?.length === length);
  }
});
