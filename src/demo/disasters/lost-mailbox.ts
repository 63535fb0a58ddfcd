/** A whole mailbox is deleted; it comes back with the UIDVALIDITY and the UIDs that it had. */
import { counted } from '../../lib/index.ts';
import { SERVER } from '../near-line.ts';
import type { AccountReading, MailboxReading } from '../proof/index.ts';
import type { Running } from '../running.ts';
import { type DisasterResult, playOut } from './disaster.ts';

export async function lostMailbox(running: Running, account: string): Promise<DisasterResult> {
  const { client, commands, screen } = running;
  let name = '';
  return playOut(running, {
    account,
    newUids: false,
    async happen(before) {
      const mailbox = largestOfOwn(before);
      name = mailbox.name;
      screen.note(
        `${account} deletes the mailbox “${name}” with its ${counted(mailbox.messages.size, 'message')}`,
      );
      const connection = await client.connection(account);
      await connection.delete(name);
      if (mailbox.subscribed) await connection.unsubscribe(name);
    },
    bringBack: () => commands.run('restore', SERVER, '--account', account, '--mailbox', name),
  });
}

/** The fullest of the mailboxes that the account made for itself. */
function largestOfOwn(before: AccountReading): MailboxReading {
  const usual = /^(?:INBOX|Archive|Drafts|Junk|Sent|Trash)$/;
  const names = [...before.keys()];
  const [largest] = [...before.values()]
    .filter(({ name }) => !usual.test(name) && !names.some((other) => other.startsWith(`${name}/`)))
    .sort((a, b) => b.messages.size - a.messages.size);
  if (!largest) throw new Error('no mailbox to lose');
  return largest;
}
