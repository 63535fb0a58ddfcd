/**
 * Goal: a message that the server leaves out of an answer does not stay missing in silence, also where what would find it is
 * interrupted. Method: a real Dovecot behind a proxy that hides one message, and garbles the answer by which all are compared.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ImapClient } from './imap-client.ts';
import { assertVerified, labBehindProxy, numberedMessage, passOver } from './service-support.ts';
import { serversMissing } from './support.ts';

const ACCOUNT = 'user0001';
const MESSAGES = 12;

describe('a message that the server leaves out of its answer', { skip: serversMissing }, () => {
  it('is looked for again when the comparison that finds it breaks off', async (t) => {
    const { lab, proxy, script } = await labBehindProxy(t, { accounts: 1 });
    const client = await ImapClient.open(lab.dovecot, ACCOUNT);
    for (let uid = 1; uid <= MESSAGES; uid += 1) {
      assert.ok((await client.append('INBOX', numberedMessage(`message-${uid}`))).ok);
    }
    await client.close();
    script.rewrites.push(
      { after: 'BODY.PEEK[]', from: '* 10 FETCH (UID 10 ', to: '* 10 FETCH (UID 99 ' },
      { after: `UID FETCH 1:${MESSAGES} (UID FLAGS)`, from: '* 1 FETCH (', to: '* 1 FETCH [' },
    );
    const summary = await passOver(lab);
    assert.ok(proxy.struck > 1);
    assert.deepEqual(
      summary.problems.map(({ account, code }) => [account, code]),
      [[ACCOUNT, 'MAIL_PROTOCOL_ERROR']],
    );
    const { catalog } = await lab.vault();
    const inbox = catalog.mailboxByName(ACCOUNT, 'INBOX');
    assert.deepEqual([inbox?.complete, inbox?.uidNext], [false, MESSAGES + 1]);
    script.rewrites.length = 0;
    const next = await passOver(lab);
    assert.deepEqual([next.problems, next.messagesAdded], [[], 1]);
    await assertVerified(lab);
  });
});
