/** Does a server hold what the load was promised? Read message by message, after the load has stopped. */
import { type Clock, systemClock } from '../../lib/index.ts';
import type { ClientLoad } from './client-load.ts';
import { messageIdOf } from './message-id.ts';
import { openAccount, type StartingPoint } from './starting-point.ts';
import type { LedgerDelivery, LedgerReport, Place } from './types.ts';

interface Copy {
  readonly mailbox: string;
  readonly flags: ReadonlySet<string>;
}

/** `place` is any server that has the accounts, with the passwords that the load knows. */
export async function checkLedger(
  load: ClientLoad,
  place: Place,
  clock: Clock = systemClock,
): Promise<LedgerReport> {
  const copies = new Map<string, Map<string, Copy[]>>();
  for (const [account, start] of load.startedAt) {
    copies.set(account, await copiesOf(load, place, account, start, clock));
  }
  const found = ({ account, messageId }: { account: string; messageId: string }) =>
    copies.get(account)?.get(messageId) ?? [];
  const { acknowledged, deliveries, changes } = load.ledger;
  const certain = changes.filter(({ uncertain }) => !uncertain);
  // What is lost itself is told once, not once more for each of its flags.
  const there = certain.filter((change) => found(change).length > 0);
  return {
    acknowledged: acknowledged.length,
    changes: certain.length,
    lost: acknowledged.filter((delivery) => found(delivery).length === 0),
    doubled: deliveries
      .map((delivery) => ({ delivery, copies: found(delivery).length }))
      .filter(({ delivery, copies: count }) => count > copiesExplained(load, delivery))
      .map(({ delivery: { account, messageId }, copies: count }) => ({ account, messageId, copies: count })),
    flagsLost: there.filter(
      (change) =>
        change.what === 'flag' && !found(change).some(({ flags }) => flags.has(change.value.toLowerCase())),
    ),
    filingsLost: there.filter(
      (change) => change.what === 'file' && !found(change).some(({ mailbox }) => mailbox === change.value),
    ),
  };
}

/** One for the 250, and one for each delivery and each move of which nobody knows how it ended. */
function copiesExplained(load: ClientLoad, delivery: LedgerDelivery): number {
  const moves = load.ledger.changes.filter(
    ({ what, uncertain, messageId }) => what === 'file' && uncertain && messageId === delivery.messageId,
  );
  return (delivery.acknowledgedAtMs === undefined ? 0 : 1) + delivery.uncertain + moves.length;
}

/** By Message-ID; all that came after the start, and all of what is not the mailbox that it was. */
async function copiesOf(
  load: ClientLoad,
  place: Place,
  account: string,
  start: StartingPoint,
  clock: Clock,
): Promise<Map<string, Copy[]>> {
  const copies = new Map<string, Copy[]>();
  const connection = await openAccount(place, load.options, account, clock);
  try {
    for (const { name, selectable, status } of await connection.listMailboxes()) {
      if (!selectable || !status || status.messages === 0) continue;
      const before = start.get(name);
      const from = before && before.uidValidity === status.uidValidity ? before.uidNext : 1;
      await connection.examine(name);
      await connection.fetch(`${from}:*`, { flags: true, body: true }, ({ uid, flags, body }) => {
        // `n:*` names the last message even where that is older (RFC 9051 section 9, seq-range).
        if (uid < from || !body) return;
        const messageId = messageIdOf(body);
        if (messageId === undefined) return;
        const copy = { mailbox: name, flags: new Set(flags?.map((flag) => flag.toLowerCase())) };
        copies.set(messageId, [...(copies.get(messageId) ?? []), copy]);
      });
    }
  } finally {
    await connection.logout();
  }
  return copies;
}
