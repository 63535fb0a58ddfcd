/**
 * Goal: the script in the mail server tells what changes, and costs it nothing while the near-line service does not run, in each release of Dovecot. Method: a
 * real Dovecot that is told to post to us, and one where nobody listens; one connection that changes flags again and again.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import type { Dovecot, DovecotRelease } from '../lab/dovecot.ts';
import { startDovecot } from '../lab/dovecot.ts';
import { dovecot24, dovecot24Missing } from '../lab/dovecot24.ts';
import { connectImap } from '../lab/imap-check.ts';
import { connectLmtp } from '../lab/lmtp.ts';
import { requirePackages } from '../lab/packages.ts';

const missing = requirePackages(['dovecot-imapd', 'dovecot-lmtpd']) ?? false;

const releases: readonly [string, string | false, () => { release?: DovecotRelease }][] = [
  ['2.3', missing, () => ({})],
  ['2.4', missing || dovecot24Missing, () => ({ release: dovecot24() })],
];

for (const [version, skip, release] of releases) {
  describe(`the push script in a Dovecot ${version}`, { skip }, () => {
    it('tells of deliveries and of flags', async (t) => {
      const told: string[] = [];
      const endpoint = createServer((request, response) => {
        let body = '';
        request.on('data', (chunk) => {
          body += chunk;
        });
        request.on('end', () => {
          const { user, events } = JSON.parse(body);
          for (const { name, mailbox } of events) told.push(`${user} ${name} ${mailbox}`);
          response.end();
        });
      });
      await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
      t.after(() => endpoint.close());
      const { port } = endpoint.address() as AddressInfo;
      const push = { url: `http://127.0.0.1:${port}/push`, timeoutMs: 20_000 };
      const dovecot = await startDovecot({ accounts: ['alice'], push, ...release() });
      t.after(() => dovecot.stop());
      await deliverOne(dovecot);
      // Told before it was acknowledged.
      assert.ok(told.includes('alice MessageNew INBOX'), told.join());
      await onInbox(dovecot, (client) => client.messageFlagsAdd('1', ['\\Seen']));
      assert.ok(told.includes('alice FlagsSet INBOX'), told.join());
      assert.doesNotMatch(dovecot.log(), /understudy:/);
    });

    it('does not make the server wait longer and longer while nobody listens', async (t) => {
      const push = { url: 'http://127.99.99.99:7700/push/nobody', timeoutMs: 3_000 };
      const dovecot = await startDovecot({ accounts: ['alice'], push, ...release() });
      t.after(() => dovecot.stop());
      await deliverOne(dovecot);
      const elapsedMs = await onInbox(dovecot, async (client) => {
        const start = performance.now();
        for (let at = 0; at < 5; at += 1) {
          await client.messageFlagsAdd('1', ['\\Seen']);
          await client.messageFlagsRemove('1', ['\\Seen']);
        }
        return performance.now() - start;
      });
      assert.match(dovecot.log(), /a change of alice was not told/);
      // Waits that grow take twelve seconds.
      assert.ok(elapsedMs < 7_000, `ten changes took ${elapsedMs} ms`);
    });
  });
}

async function deliverOne(dovecot: Dovecot): Promise<void> {
  const lmtp = await connectLmtp({ host: dovecot.address, port: dovecot.lmtpPort });
  await lmtp.deliver(Buffer.from('Subject: one\r\n\r\nyes\r\n'), ['alice']);
  await lmtp.close();
}

async function onInbox<T>(
  dovecot: Dovecot,
  work: (client: Awaited<ReturnType<typeof connectImap>>) => Promise<T>,
): Promise<T> {
  const client = await connectImap({
    host: dovecot.address,
    port: dovecot.imapPort,
    user: 'alice',
    pass: dovecot.accountPassword('alice'),
  });
  try {
    await client.mailboxOpen('INBOX');
    return await work(client);
  } finally {
    await client.logout();
  }
}
