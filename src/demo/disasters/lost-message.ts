/** One message is deleted and expunged; the search in the history finds it, and it comes back. */
import { SERVER } from '../near-line.ts';
import type { AccountReading, MessageReading } from '../proof/index.ts';
import type { Running } from '../running.ts';
import { type DisasterResult, playOut } from './disaster.ts';

export async function lostMessage(running: Running, account: string): Promise<DisasterResult> {
  const { client, clock, commands, nearLine, screen } = running;
  let subject = '';
  let moment = '';
  return playOut(running, {
    account,
    // Its mailbox lives, and a UID once gone is never given again (RFC 9051 section 2.3.1.1).
    newUids: true,
    async happen(before) {
      const message = telling(before, client.firstNewUid(account));
      subject = message.subject;
      moment = new Date(clock.wallMs()).toISOString();
      screen.note(`${account} deletes “${subject}” from INBOX, and expunges it`);
      const connection = await client.connection(account);
      await connection.select('INBOX');
      await connection.store(String(message.uid), 'add', ['\\Deleted']);
      await connection.expunge(String(message.uid));
      await connection.unselect();
    },
    async bringBack() {
      const query = { account, search: `subject:"${subject}"`, at: moment };
      const search = ['--account', account, '--search', query.search, '--at', moment];
      screen.note('the first search reads all mail into the index');
      await commands.run('history', SERVER, ...search);
      const { hits = [] } = await nearLine.search(query);
      const [hit] = hits.filter(({ mailbox }) => mailbox === 'INBOX');
      if (!hit) throw nearLine.failure(`the search in the history does not find “${subject}”`);
      return commands.run(
        'restore',
        SERVER,
        ...['--account', account, '--mailbox', 'INBOX', '--uid', String(hit.uid)],
      );
    },
  });
}

/** A message that one would search for: a plain subject that no other has, and more than a few lines. */
function telling(before: AccountReading, firstNewUid: number): MessageReading {
  const all = [...(before.get('INBOX')?.messages.values() ?? [])];
  const old = all.filter(({ uid }) => uid < firstNewUid);
  const plain = old.filter(
    ({ subject }) =>
      /^[A-Za-z0-9][A-Za-z0-9 ,.#-]{11,}$/.test(subject) &&
      all.filter((other) => other.subject.includes(subject)).length === 1,
  );
  const [largest] = (plain.length > 0 ? plain : old).sort((a, b) => b.size - a.size);
  if (!largest) throw new Error('INBOX holds no message to lose');
  return largest;
}
