/**
 * Goal: the script in the mail server costs it nothing while the near-line service does not run. Method: a real
 * Dovecot that is told to post where nobody listens, one connection that changes flags again and again.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startDovecot } from '../lab/dovecot.ts';
import { connectImap } from '../lab/imap-check.ts';
import { connectLmtp } from '../lab/lmtp.ts';
import { requirePackages } from '../lab/packages.ts';

const skip = requirePackages(['dovecot-imapd', 'dovecot-lmtpd']) ?? false;

describe('the push script', { skip }, () => {
  it('does not make the server wait longer and longer while nobody listens', async (t) => {
    const push = { url: 'http://127.99.99.99:7700/push/nobody', timeoutMs: 3_000 };
    const dovecot = await startDovecot({ accounts: ['alice'], push });
    t.after(() => dovecot.stop());
    const lmtp = await connectLmtp({ host: dovecot.address, port: dovecot.lmtpPort });
    await lmtp.deliver(Buffer.from('Subject: one\r\n\r\nyes\r\n'), ['alice']);
    await lmtp.close();
    const client = await connectImap({
      host: dovecot.address,
      port: dovecot.imapPort,
      user: 'alice',
      pass: dovecot.accountPassword('alice'),
    });
    await client.mailboxOpen('INBOX');
    const start = performance.now();
    for (let at = 0; at < 5; at += 1) {
      await client.messageFlagsAdd('1', ['\\Seen']);
      await client.messageFlagsRemove('1', ['\\Seen']);
    }
    const elapsedMs = performance.now() - start;
    await client.logout();
    assert.match(dovecot.log(), /a change of alice was not told/);
    assert.ok(elapsedMs < 1_500, `ten changes took ${elapsedMs} ms`);
  });
});
