/**
 * Mailboxes that hold nothing on the target yet get their identity before anything is put into them: UIDVALIDITY, HIGHESTMODSEQ and the
 * first UID of all of an account's in one request, for each request costs the target a process.
 */
import type { MailboxRow } from '../../../catalog/index.ts';
import type { MailboxId } from '../../../journal/index.ts';
import { crashPoint } from '../../../lib/index.ts';
import type { MailboxPin } from '../doveadm/index.ts';
import type { SelectedMailbox } from '../imap/index.ts';
import { ensureMailbox } from '../restore/index.ts';
import { mayBeWorthRenumbering } from './renumber.ts';
import type { AccountTools, MailboxJob } from './tools.ts';

/** Raised so far at once that it is seldom. */
const MODSEQ_AHEAD = 10_000n;

/** What HIGHESTMODSEQ has to be set to before anything is done to the mailbox; undefined where it is above the live server's. */
export function modSeqToSet(
  { highestModSeq: live }: Pick<MailboxRow, 'highestModSeq'>,
  { highestModSeq: has }: { readonly highestModSeq?: string | undefined },
): string | undefined {
  if (live === undefined || has === undefined || BigInt(has) > BigInt(live)) return undefined;
  return String(BigInt(live) + MODSEQ_AHEAD);
}

/** Makes mailboxes of an account, parents before what is below them; one that is there is left as it is. */
export async function createMailboxes(tools: AccountTools, jobs: readonly MailboxJob[]): Promise<void> {
  const { connection, features, tally } = tools;
  // Commands are served in the order of the calls; nothing is gained by waiting for each.
  await Promise.all(jobs.map(({ row, name }) => ensureMailbox(connection, name, row.specialUse)));
  for (const _ of jobs) crashPoint('standby.create.after');
  const special = jobs.filter(({ row }) => row.specialUse.length > 0);
  if (special.length === 0 || features.createSpecialUse) return;
  // By its configuration a server may give a mailbox of this name its use.
  const listings = await connection.listMailboxes({ status: false });
  for (const { row, name } of special) {
    const own = listings.find((listing) => listing.name === name);
    if (row.specialUse.every((use) => own?.specialUse.includes(use))) continue;
    tally.notKept.push({
      what: 'special-use',
      why: `the target takes no special use (${row.specialUse.join(' ')}): it is to be set in its configuration`,
      account: row.account,
      mailbox: name,
    });
  }
}

/**
 * Gives those of `jobs` their identity that hold nothing, and makes them where they are absent. The result has, by the replica's id, as
 * what they would be selected now; undefined: it is there, and to be looked at as it is. So is what is not in the result.
 */
export async function prepareMailboxes(
  tools: AccountTools,
  jobs: readonly MailboxJob[],
): Promise<ReadonlyMap<MailboxId, SelectedMailbox | undefined>> {
  const { connection, doveadm } = tools;
  const prepared = new Map<MailboxId, SelectedMailbox | undefined>();
  const empty = jobs.filter(({ status }) => status === undefined || status.messages === 0);
  if (doveadm === undefined || empty.length < 2) return prepared;
  await createMailboxes(
    tools,
    empty.filter(({ status }) => status === undefined),
  );
  const pins: MailboxPin[] = [];
  for (const { row, name } of empty) {
    tools.signal?.throwIfAborted();
    // A mailbox that was never opened would lose what is set.
    const open = await connection.select(name);
    const identity = identityToSet(tools, row, open);
    prepared.set(row.id, identity && { ...open, uidValidity: row.uidValidity, ...identity.becomes });
    if (identity === undefined) continue;
    if (Object.keys(identity.pin).length > 0) {
      pins.push({ user: row.account, mailbox: name, ...identity.pin });
    }
  }
  await connection.unselect();
  if (pins.length > 0) await doveadm.pinMailboxes(pins);
  for (const _ of pins) crashPoint('standby.identity.after');
  return prepared;
}

/** Undefined where it cannot become the wanted one as it is, or not in this way. */
function identityToSet(
  { reader, at }: AccountTools,
  row: MailboxRow,
  open: SelectedMailbox,
):
  | { readonly pin: Omit<MailboxPin, 'user' | 'mailbox'>; readonly becomes: Partial<SelectedMailbox> }
  | undefined {
  const { catalog } = reader;
  const uidNextWanted = catalog.uidNextAt(row.id, at);
  const first = catalog.messages(row.id, { at, limit: 1 })[0]?.uid ?? uidNextWanted;
  const uidNext = open.uidNext ?? 1;
  if (open.exists > 0 || uidNext > first) return undefined;
  const { messages } = catalog.countMessages(row.id, at);
  if (mayBeWorthRenumbering(uidNextWanted - uidNext - messages)) return undefined;
  const highestModSeq = modSeqToSet(row, open);
  return {
    pin: {
      ...(open.uidValidity === row.uidValidity ? {} : { uidValidity: row.uidValidity }),
      ...(uidNext === first ? {} : { minNextUid: first }),
      ...(highestModSeq === undefined ? {} : { minHighestModSeq: highestModSeq }),
    },
    becomes: { uidNext: first, ...(highestModSeq === undefined ? {} : { highestModSeq }) },
  };
}
