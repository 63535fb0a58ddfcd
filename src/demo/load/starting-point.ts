/** Where an account's mailboxes stood before the load began: what came after is the load's. */
import type { Clock } from '../../lib/index.ts';
import { ImapConnection } from '../../workloads/mail/imap/index.ts';
import type { LoadOptions, Place } from './types.ts';

/** By mailbox. */
export type StartingPoint = ReadonlyMap<string, { readonly uidValidity: number; readonly uidNext: number }>;

/** Also makes the mailbox that clients file into, so that they need not. */
export async function startingPoint(
  options: LoadOptions,
  account: string,
  clock: Clock,
): Promise<StartingPoint> {
  const connection = await openAccount(options.imap, options, account, clock);
  try {
    const fileInto = options.fileInto ?? 'Archive';
    const before = await connection.listMailboxes({ status: false });
    if (!before.some(({ name }) => name === fileInto)) {
      await connection.create(fileInto);
      await connection.subscribe(fileInto);
    }
    const point = new Map<string, { uidValidity: number; uidNext: number }>();
    for (const { name, status } of await connection.listMailboxes()) {
      if (status?.uidValidity !== undefined && status.uidNext !== undefined) {
        point.set(name, { uidValidity: status.uidValidity, uidNext: status.uidNext });
      }
    }
    return point;
  } finally {
    await connection.logout();
  }
}

export function openAccount(
  place: Place,
  options: Pick<LoadOptions, 'passwordOf'>,
  account: string,
  clock: Clock,
): Promise<ImapConnection> {
  return ImapConnection.connect({
    ...place,
    security: 'none',
    auth: { account, secret: options.passwordOf(account) },
    clock,
  });
}
