/**
 * Puts messages of the replica that another server lacks into a mailbox there, and touches nothing else: what is there stays, also where
 * people work. They get new UIDs: which ones that server has given since, the replica does not know.
 */
import { hash as digest } from 'node:crypto';
import {
  internalDateMs,
  type MailboxRow,
  type MessageRow,
  requireMailbox,
  type Vault,
} from '../../../catalog/index.ts';
import type { MailboxId } from '../../../journal/index.ts';
import { mailErrors } from '../errors.ts';
import { type ImapConnection, rangesOfUids, splitRanges } from '../imap/index.ts';
import {
  chooseTarget,
  type MailboxRestore,
  nameIn,
  pick,
  planMessages,
  plannedOutcome,
  restoreMailbox,
  type Wanted,
  wantedOf,
} from '../restore/index.ts';
import { problemOf, withAccountLock } from '../shadow/index.ts';
import type { ActionOptions, Problem, RestoreReport, RestoreRequest } from '../types.ts';
import { nameOnTarget } from './names.ts';
import { namesFor } from './quick.ts';
import { openTarget } from './target.ts';
import type { StandbyDeps } from './types.ts';

const BODIES_AT_ONCE = 500;

/** No mailbox of the replica has it. */
const OF_THE_TARGET = -1 as MailboxId;

export interface AddMissingDeps extends Omit<StandbyDeps, 'reader'> {
  readonly vault: Vault;
}

/** One mailbox of one account; the rest as in `RestoreRequest`. */
export type AddMissingRequest = RestoreRequest & { readonly account: string; readonly mailbox: string };

/**
 * Idempotent: a message counts as there when the mailbox holds its bytes, each one standing for one. What was put there is read back, and
 * what is not served then is a problem of the report. Errors: CATALOG_ACCOUNT_UNKNOWN, CATALOG_MAILBOX_UNKNOWN, MAIL_RESTORE_UID_ABSENT
 * (nothing was changed), and `MAIL_…` of the target.
 */
export async function addMissing(
  deps: AddMissingDeps,
  request: AddMissingRequest,
  { signal, progress }: ActionOptions = {},
): Promise<RestoreReport> {
  const { vault, target, clock } = deps;
  const { account } = request;
  const began = clock.monotonicMs();
  const wanted = wantedOf(vault, request);
  const server = openTarget(deps, signal);
  try {
    return await withAccountLock(vault, `${target}\0${account}`, () =>
      server.pool.use(account, async (connection) => {
        const job = await jobOf(vault, connection, request, wanted);
        const { plan } = job;
        const bytesTotal = plan.missing.reduce((sum, { size }) => sum + size, 0);
        const done = { messages: 0, bytes: 0 };
        let outcome = plannedOutcome(job, false, request.mailbox);
        let problems: Problem[] = [];
        if (!request.dryRun && (plan.missing.length > 0 || job.target.kind !== 'existing')) {
          await restoreMailbox({ vault, connection, pins: undefined }, job, (messages, bytes) => {
            done.messages += messages;
            done.bytes += bytes;
            const elapsedMs = clock.monotonicMs() - began;
            progress?.({
              phase: 'restore',
              server: target,
              account,
              mailbox: outcome.into,
              accountsDone: 0,
              accountsTotal: 1,
              messagesDone: done.messages,
              messagesTotal: plan.missing.length,
              bytesDone: done.bytes,
              bytesTotal,
              elapsedMs,
              etaMs: (elapsedMs / done.messages) * (plan.missing.length - done.messages),
            });
            signal?.throwIfAborted();
          });
          const proved = await prove(connection, job);
          problems = proved.problems;
          outcome = { ...outcome, uidValidity: proved.uidValidity, identityKept: false };
        }
        const { messagesRestored, bytesRestored } = outcome;
        return {
          dryRun: request.dryRun,
          at: wanted.at,
          mailboxes: messagesRestored > 0 || outcome.target === 'created' ? [outcome] : [],
          messagesWanted: plan.wanted,
          messagesPresent: plan.present,
          messagesRestored,
          bytesRestored,
          elapsedMs: clock.monotonicMs() - began,
          problems,
        };
      }),
    );
  } finally {
    server.close();
  }
}

async function jobOf(
  { catalog }: Vault,
  connection: ImapConnection,
  request: AddMissingRequest,
  wanted: Wanted,
): Promise<MailboxRestore> {
  const { account, mailbox } = request;
  const row = requireMailbox(catalog, account, mailbox, wanted.at);
  const rules = await namesFor(connection);
  const asThen = { ...row, name: nameOnTarget(row, rules), delimiter: rules.separator };
  const current = (await connection.listMailboxes()).flatMap(({ name, status }): MailboxRow[] =>
    status === undefined
      ? []
      : [
          {
            ...asThen,
            id: OF_THE_TARGET,
            name: name.toUpperCase() === 'INBOX' ? 'INBOX' : name,
            uidValidity: status.uidValidity ?? 0,
            uidNext: status.uidNext ?? 1,
          },
        ],
  );
  // Renamed since: it is there under its present name.
  const now = nameOnTarget(catalog.mailboxById(row.id) ?? row, rules);
  const isThere = current.some(({ name, uidValidity }) => name === now && uidValidity === row.uidValidity);
  const onTarget = isThere ? { ...asThen, name: now } : asThen;
  const into =
    request.into === undefined
      ? {}
      : { into: nameOnTarget({ name: inboxOr(request.into), delimiter: row.delimiter }, rules) };
  const target = chooseTarget(onTarget, current, { canPin: false, ...into });
  const sameUids = target.kind === 'existing' && target.sameIdentity;
  const messages = [...pick(catalog.iterateMessages(row.id, wanted.at), wanted)];
  const there =
    target.kind === 'created' ? [] : await heldOf(connection, target.mailbox.name, messages, { sameUids });
  const plan = planMessages(messages, there, sameUids);
  return { account, wanted: onTarget, target, plan, leftAside: false, prefix: rules.prefix };
}

function inboxOr(name: string): string {
  return name.toUpperCase() === 'INBOX' ? 'INBOX' : name;
}

/**
 * What the mailbox holds of `messages`, by their bytes. Where UIDs are the same, UID, size and date tell too. `fromUid`: only
 * from this one on.
 */
async function heldOf(
  connection: ImapConnection,
  mailbox: string,
  messages: readonly MessageRow[],
  { sameUids, fromUid = 1 }: { readonly sameUids: boolean; readonly fromUid?: number },
): Promise<Pick<MessageRow, 'uid' | 'bodyLsn'>[]> {
  const { exists } = await connection.examine(mailbox);
  if (exists === 0 || messages.length === 0) return [];
  const byUid = new Map(sameUids ? messages.map((message) => [message.uid, message]) : []);
  const sizes = new Set(messages.map(({ size }) => size));
  const found: Pick<MessageRow, 'uid' | 'bodyLsn'>[] = [];
  const unread: number[] = [];
  await connection.fetch(
    `${fromUid}:*`,
    { size: true, internalDate: true },
    ({ uid, size, internalDate }) => {
      // `n:*` always gives the last one, also when it is below n.
      if (uid < fromUid || size === undefined || !sizes.has(size)) return;
      const same = byUid.get(uid);
      const isSame =
        same?.size === size && internalDateMs(same.date) === internalDateMs(internalDate ?? '') && sameUids;
      if (isSame) found.push({ uid, bodyLsn: same.bodyLsn });
      else unread.push(uid);
    },
  );
  if (unread.length === 0) return found;
  const bodies = new Map(messages.map(({ hash, bodyLsn }) => [Buffer.from(hash).toString('hex'), bodyLsn]));
  for (const part of splitRanges(rangesOfUids(unread), BODIES_AT_ONCE)) {
    await connection.fetch(part, { body: true }, ({ uid, body }) => {
      const bodyLsn = body ? bodies.get(digest('sha256', body, 'hex')) : undefined;
      if (bodyLsn !== undefined) found.push({ uid, bodyLsn });
    });
  }
  return found.sort((a, b) => a.uid - b.uid);
}

/** What the target serves now, next to what was put there. */
async function prove(connection: ImapConnection, job: MailboxRestore) {
  const { target, plan, account } = job;
  const name = nameIn(job);
  const fromUid = target.kind === 'existing' ? target.mailbox.uidNext : 1;
  const there = await heldOf(connection, name, plan.missing, { sameUids: false, fromUid });
  const { uidValidity = 0 } = await connection.examine(name);
  await connection.unselect();
  const problems = planMessages(plan.missing, there, false).missing.map(({ uid, size }) => ({
    ...problemOf(
      account,
      mailErrors.make(
        'MAIL_RESTORE_DIFFERS',
        `${account}/${name}: the server does not serve UID ${uid} as it did (${size} bytes)`,
      ),
    ),
    mailbox: name,
    uid,
  }));
  return { uidValidity, problems };
}
