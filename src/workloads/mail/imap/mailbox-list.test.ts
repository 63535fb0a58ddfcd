/**
 * Goal: a mailbox's own id is believed only of a server that tells it truly. Method: a few scripted answers over a real
 * socket, in the bytes of Cyrus 3.6, which no configuration of another server gives.
 */
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { ImapConnection } from './connection.ts';
import type { ServerTraits } from './options.ts';

/** `id` gives what stands in MAILBOXID of the next STATUS; alone it is told rightly. */
async function serverTelling(t: TestContext, id: () => string) {
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  const status = (items: string) =>
    `* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3${items.includes('MAILBOXID') ? ` MAILBOXID (${items.includes('(MAILBOXID)') ? 'true-id' : id()})` : ''})\r\n`;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}); // the client hangs up on what is no IMAP
    socket.write(
      '* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR OBJECTID LIST-EXTENDED LIST-STATUS] hi\r\n',
      'latin1',
    );
    socket.on('data', (chunk) => {
      for (const line of chunk.toString('latin1').split('\r\n').filter(Boolean)) {
        const [tag, ...words] = line.split(' ');
        const command = words.join(' ');
        commands.push(command);
        const answer = command.startsWith('EXAMINE')
          ? '* 1 EXISTS\r\n* OK [UIDVALIDITY 3] ok\r\n* OK [MAILBOXID (true-id)] ok\r\n'
          : command.startsWith('STATUS')
            ? status(command)
            : command.startsWith('LIST')
              ? `* LIST () "/" INBOX\r\n${status(command)}`
              : command.startsWith('CAPABILITY')
                ? '* CAPABILITY IMAP4rev1 OBJECTID LIST-EXTENDED LIST-STATUS\r\n'
                : '';
        socket.write(`${answer}${tag} OK done\r\n`, 'latin1');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const traits: ServerTraits = {};
  const list = async () => {
    const connection = await ImapConnection.connect({
      host: '127.0.0.1',
      port,
      security: 'none',
      auth: { account: 'a', secret: 's' },
      traits,
    });
    try {
      return (await connection.listMailboxes({ ids: true }))[0]?.status;
    } finally {
      connection.close();
    }
  };
  return { commands, list };
}

test('an id that STATUS and EXAMINE tell alike is the mailbox’s; it is compared once per server', async (t) => {
  const { commands, list } = await serverTelling(t, () => 'true-id');
  assert.equal((await list())?.guid, 'true-id');
  assert.equal((await list())?.guid, 'true-id');
  assert.equal(commands.filter((command) => command.startsWith('EXAMINE')).length, 1);
});

test('an id that is other bytes in each answer is left out, and not asked for again', async (t) => {
  let answers = 0;
  const { commands, list } = await serverTelling(t, () => {
    answers += 1;
    return `\xb0\x8c${answers}\x01\xf0`;
  });
  assert.deepEqual(
    [(await list())?.guid, (await list())?.guid, (await list())?.uidValidity],
    [undefined, undefined, 3],
  );
  assert.equal(commands.filter((command) => command.includes('MAILBOXID')).length, 1);
});

test('an id whose bytes are no IMAP costs one connection: the next one goes without', async (t) => {
  const { list } = await serverTelling(t, () => 'a)b\r\nc(');
  await assert.rejects(list(), { code: 'MAIL_PROTOCOL_ERROR' });
  assert.deepEqual([(await list())?.guid, (await list())?.messages], [undefined, 1]);
});
