/** New mail is known by its Message-ID: the server adds headers of its own to the bytes. */
import type { AccountReading } from './reading.ts';

/**
 * The server's 250 is a promise: what it acknowledged is in the account, and nothing that was sent is there twice.
 * Gives what is not so, one line each.
 */
export function brokenPromises(
  reading: AccountReading,
  mail: { readonly sent: ReadonlySet<string>; readonly acknowledged: ReadonlySet<string> },
): string[] {
  const count = messageIdsOf(reading);
  return [
    ...[...mail.sent]
      .filter((id) => (count.get(id) ?? 0) > 1)
      .map((id) => `new mail ${id}: there ${count.get(id)} times`),
    ...[...mail.acknowledged].filter((id) => !count.has(id)).map((id) => `new mail ${id}: missing`),
  ];
}

/** How often each Message-ID is in the account, over all mailboxes. */
function messageIdsOf(reading: AccountReading): Map<string, number> {
  const count = new Map<string, number>();
  for (const { messages } of reading.values()) {
    for (const { messageId } of messages.values()) count.set(messageId, (count.get(messageId) ?? 0) + 1);
  }
  return count;
}
