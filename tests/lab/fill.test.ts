/**
 * Goal: a filled server serves exactly what was put into it. Method: fill each kind of store with the same seed, read
 * with an independent client, compare with the generator's own messages and with each other.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { createMailGenerator } from '../../src/demo/mail-generator/index.ts';
import { type Dovecot, type StoreFormat, startDovecot } from './dovecot.ts';
import { type Filled, type FillOptions, fillDovecot } from './fill.ts';
import { type AccountDump, compareDumps, dumpAccount } from './imap-check.ts';
import { requirePackages } from './packages.ts';

const skip = requirePackages(['dovecot-imapd', 'dovecot-lmtpd']) ?? false;

describe('fillDovecot', { skip }, () => {
  it('puts the same mail into every kind of store', async (t) => {
    const dumps: AccountDump[] = [];
    for (const format of ['maildir', 'mdbox'] as const) {
      const { dovecot, filled } = await filledServer(t, format, { messages: 300, seed: 'stores' });
      assert.equal(filled.messages, 300);
      const dump = await dumpOf(dovecot);
      const found = [...dump.values()].flatMap(({ messages }) => messages);
      assert.equal(found.length, 300);
      assert.equal(
        found.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0),
        filled.bytes,
      );
      dumps.push(dump);
    }
    const [maildir, mdbox] = dumps as [AccountDump, AccountDump];
    assert.ok(maildir.size >= 9);
    assert.ok([...maildir.values()].some(({ messages }) => messages.some((m) => m.flags.includes('$Junk'))));
    assert.deepEqual(compareDumps(maildir, mdbox, { ignore: ['uidValidity'] }), []);
  });

  it('spreads messages evenly over accounts and named mailboxes, byte for byte as generated', async (t) => {
    const names = ['INBOX', 'Sent', 'Entwürfe & mehr', 'Lists/a', 'Lists/b'];
    const options = { messages: 40, seed: 'even', approxBytes: 3_000, mailboxes: names };
    const { dovecot, filled } = await filledServer(t, 'maildir', options, 4);
    assert.deepEqual([filled.messages, filled.mailboxes], [40, 20]);
    const generator = createMailGenerator('even');
    const digest = (raw: Buffer) => createHash('sha256').update(raw).digest('hex');
    for (const account of dovecot.accounts) {
      const dump = await dumpOf(dovecot, account);
      for (const name of names) {
        const messages = dump.get(name)?.messages ?? [];
        assert.equal(messages.length, 2);
        assert.equal(dump.get(name)?.subscribed, true, name);
        for (const message of messages) {
          assert.equal(message.sha256, digest(generator.message({ approxBytes: 3_000 }).raw));
          generator.flags(name);
        }
      }
    }
  });

  it('makes a large pool go far with messages that are all different', async (t) => {
    const options = { messages: 2_000, approxBytes: 1_500, pool: 50, mailboxes: ['INBOX'] };
    const { dovecot } = await filledServer(t, 'maildir', options);
    const inbox = (await dumpOf(dovecot)).get('INBOX')?.messages ?? [];
    assert.equal(new Set(inbox.map(({ sha256 }) => sha256)).size, 2_000);
  });

  it('gives every message of an account a GUID of its own', async (t) => {
    const mailboxes = ['INBOX', 'Work', 'Archive'];
    const options = { messages: 60, approxBytes: 1_500, pool: 10, mailboxes };
    const { dovecot } = await filledServer(t, 'maildir', options);
    const listed = dovecot.doveadm('fetch', '-u', 'user0001', 'guid', 'all');
    const guids = [...listed.matchAll(/^guid: (\S+)$/gm)].map(([, guid]) => guid);
    assert.equal(guids.length, 60);
    assert.equal(new Set(guids).size, 60);
  });
});

async function filledServer(
  t: { after(cleanUp: () => Promise<void>): void },
  format: StoreFormat,
  options: FillOptions,
  accounts = 1,
): Promise<{ dovecot: Dovecot; filled: Filled }> {
  const dovecot = await startDovecot({ format, accounts, fsync: 'never' });
  t.after(() => dovecot.stop());
  return { dovecot, filled: await fillDovecot(dovecot, options) };
}

function dumpOf(dovecot: Dovecot, account = 'user0001') {
  return dumpAccount({
    host: dovecot.address,
    port: dovecot.imapPort,
    user: account,
    pass: dovecot.accountPassword(account),
  });
}
