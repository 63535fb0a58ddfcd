/** Goal: every mailbox is found with its status, whatever its name, with and without the server's extensions. */
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { hasCode } from '../../src/lib/index.ts';
import { type Dovecot, PLAIN_CAPABILITY, startDovecot } from '../lab/dovecot.ts';
import { logIn } from './server.ts';

/** Dovecot itself refuses control characters and names that start with `~` or hold `//`. */
const nastyNames = [
  'plain',
  'with space',
  'trailing space ',
  ' leading',
  '"quoted"',
  'back\\slash',
  'R&D &- &AOk-',
  'Entwürfe/日本語 😀',
  '(parens) [brackets] {5}',
  '{7}',
  '%*',
  'NIL',
  'x'.repeat(200),
  'Ü'.repeat(60),
];

let full: Dovecot;
let plain: Dovecot;
before(async () => {
  [full, plain] = await Promise.all([
    startDovecot({ accounts: 2, autoMailboxes: true }),
    startDovecot({ accounts: 2, capability: PLAIN_CAPABILITY }),
  ]);
});
after(() => Promise.all([full.stop(), plain.stop()]));

for (const kind of ['all extensions', 'plain IMAP4rev1'] as const) {
  test(`nasty names are made, listed with status, subscribed, opened, renamed and deleted: ${kind}`, async (t) => {
    const dovecot = kind === 'all extensions' ? full : plain;
    const connection = await logIn(t, dovecot, 'user0001');
    for (const name of nastyNames) {
      await connection.create(name);
      await connection.subscribe(name);
      await connection.append(name, [{ body: Buffer.from('A: b\r\n\r\nc\r\n') }]);
    }
    await connection.create('gone');
    await connection.subscribe('gone');
    await connection.delete('gone');
    const listed = new Map((await connection.listMailboxes()).map((mailbox) => [mailbox.name, mailbox]));
    for (const name of nastyNames) {
      const mailbox = listed.get(name);
      assert.ok(mailbox, `listed: ${name}`);
      assert.equal(mailbox.subscribed, true, name);
      assert.equal(mailbox.delimiter, '/');
      assert.equal(mailbox.status?.messages, 1, name);
      assert.equal(mailbox.status?.uidNext, 2, name);
      const opened = await connection.examine(name);
      assert.equal(opened.uidValidity, mailbox.status?.uidValidity, name);
      assert.equal(opened.exists, 1);
      assert.equal(mailbox.status?.guid?.length, 32, 'X-GUID is found by trying');
      assert.equal(mailbox.status?.highestModSeq !== undefined, kind === 'all extensions');
    }
    const parent = listed.get('Entwürfe');
    assert.equal(parent?.selectable, false);
    assert.equal(parent?.status, undefined);
    const automatic = kind === 'all extensions' ? ['Drafts', 'Junk', 'Sent', 'Trash'] : [];
    assert.deepEqual(await connection.listSubscriptions(), [...nastyNames, ...automatic, 'gone'].sort());
    if (kind === 'all extensions') assert.deepEqual(listed.get('Sent')?.specialUse, ['\\Sent']);

    await connection.rename('"quoted"', 'now\\"so');
    await connection.unsubscribe('gone');
    await connection.unselect();
    for (const name of nastyNames) await connection.delete(name === '"quoted"' ? 'now\\"so' : name);
    const left = (await connection.listMailboxes({ status: false })).map(({ name }) => name);
    assert.ok(!left.some((name) => nastyNames.includes(name)), left.join());
    assert.equal((await connection.status('INBOX'))?.uidNext, 1);
  });
}

test('what is refused has a code, and the connection goes on', async (t) => {
  const connection = await logIn(t, full, 'user0002');
  await assert.rejects(connection.examine('no such'), (error) => hasCode(error, 'MAIL_MAILBOX_ABSENT'));
  await assert.rejects(connection.status('no such'), (error) => hasCode(error, 'MAIL_MAILBOX_ABSENT'));
  await assert.rejects(connection.append('no such', [{ body: Buffer.from('x') }]), (error) =>
    hasCode(error, 'MAIL_MAILBOX_ABSENT'),
  );
  await assert.rejects(connection.create('a\nb'), (error) => hasCode(error, 'MAIL_COMMAND_REFUSED'));
  await connection.noop();
  assert.deepEqual((await connection.namespaces())?.personal, [{ prefix: '', delimiter: '/' }]);
});
