/**
 * Brings what changed in the mailboxes of one account over to the standby, message by message: what a comparison of the whole
 * account would find, at the price of the changes alone. Nothing is taken on trust: whatever on the standby is not as it was
 * left means `false`, and the account is compared as a whole. May be repeated: what is there already is not done again.
 *
 * HIGHESTMODSEQ of the standby runs ahead of the live server's, and is raised before anything changes: so whatever changes
 * here gets a MODSEQ above all that a client can have seen there, and a client that comes over asks for it (RFC 7162).
 */
import {
  internalDateMs,
  type MailboxRow,
  type MessageRow,
  type VaultReader,
} from '../../../catalog/index.ts';
import type { Lsn } from '../../../journal/index.ts';
import { crashPoint, hasCode } from '../../../lib/index.ts';
import type { DoveadmClient } from '../doveadm/index.ts';
import {
  type AppendMessage,
  type FetchedMessage,
  type ImapConnection,
  normalizeRanges,
  rangesHold,
  rangesOfUids,
  type SelectedMailbox,
  type UidRange,
} from '../imap/index.ts';
import { type NameRules, nameOnTarget } from '../standby/index.ts';
import type { AccountChanges, MailboxChanges } from './changes.ts';

/** Raised so far at once that it is seldom. */
const MODSEQ_AHEAD = 10_000n;

const APPEND_MESSAGES_MOST = 200;
const APPEND_BYTES_MOST = 8 * 1024 * 1024;
const PAGE = 1_000;

export interface DifferenceTools {
  readonly reader: VaultReader;
  readonly connection: ImapConnection;
  readonly doveadm: DoveadmClient;
  /** How the standby writes names. */
  readonly rules: NameRules;
}

export interface DifferenceJob {
  readonly account: string;
  /** The state to reach. */
  readonly at: Lsn;
  readonly changes: AccountChanges;
}

export interface DifferenceDone {
  messagesAdded: number;
  messagesRemoved: number;
  flagsSet: number;
}

/** The standby is not as it was left: nothing that was found wrong has been touched. */
class Doubt extends Error {}

/** Undefined when the account has to be compared as a whole. Errors: `MAIL_…` of the connection and the doveadm API. */
export async function applyDifference(
  tools: DifferenceTools,
  job: DifferenceJob,
): Promise<DifferenceDone | undefined> {
  const done: DifferenceDone = { messagesAdded: 0, messagesRemoved: 0, flagsSet: 0 };
  const { catalog } = tools.reader;
  try {
    const mailboxes: MailboxDifference[] = [];
    for (const [id, changes] of job.changes.mailboxes) {
      const row = catalog.mailboxById(id, job.at);
      // It went with a later record, which asks for a comparison.
      if (!row) return undefined;
      const mailbox = new MailboxDifference(tools, job, row, changes, done);
      await mailbox.add();
      mailboxes.push(mailbox);
    }
    // As the journal has it: a message that was moved is never absent.
    for (const mailbox of mailboxes) await mailbox.remove();
    for (const mailbox of mailboxes) mailbox.check();
    return done;
  } catch (error) {
    const absent = hasCode(error, 'MAIL_MAILBOX_ABSENT') || hasCode(error, 'MAIL_COMMAND_REFUSED');
    if (error instanceof Doubt || absent) return undefined;
    throw error;
  }
}

class MailboxDifference {
  readonly #tools: DifferenceTools;
  readonly #job: DifferenceJob;
  readonly #row: MailboxRow;
  /** On the standby. */
  readonly #name: string;
  readonly #changes: MailboxChanges;
  readonly #done: DifferenceDone;
  /** Messages in the mailbox on the standby. */
  #exists = 0;

  constructor(
    tools: DifferenceTools,
    job: DifferenceJob,
    row: MailboxRow,
    changes: MailboxChanges,
    done: DifferenceDone,
  ) {
    this.#tools = tools;
    this.#job = job;
    this.#row = row;
    this.#name = nameOnTarget(row, tools.rules);
    this.#changes = changes;
    this.#done = done;
  }

  /** New messages and flags. */
  async add(): Promise<void> {
    const { connection } = this.#tools;
    const selected = await this.#select();
    const uidNext = selected.uidNext as number;
    await this.#raiseModSeq(selected);
    const wanted = this.#wanted(rangesOfUids([...this.#changes.uids].sort((a, b) => a - b)));
    await this.#setFlags(wanted.filter(({ uid }) => uid < uidNext));
    const coming = wanted.filter(({ uid }) => uid >= uidNext);
    const after = this.#changes.uidNext ?? 0;
    if (coming.length === 0 && after <= uidNext) return;
    await connection.unselect();
    let next = await this.#append(coming, uidNext);
    // UIDs that were given and are gone already are not given again.
    if (after > next) {
      await this.#pin({ minNextUid: after });
      next = after;
    }
  }

  /** What vanished. */
  async remove(): Promise<void> {
    if (this.#changes.vanished.length === 0) return;
    const { connection, reader } = this.#tools;
    await this.#select();
    const ranges = normalizeRanges(this.#changes.vanished);
    const there: FetchedMessage[] = [];
    await connection.fetch(ranges, { internalDate: true, size: true }, (message) => {
      there.push(message);
    });
    const living = new Set(this.#wanted(ranges).map(({ uid }) => uid));
    const going = there.filter(({ uid }) => !living.has(uid));
    for (const { uid, size, internalDate } of going) {
      // What the replica never held is somebody else's, and is not ours to remove.
      if (!reader.catalog.everHeld(this.#row.id, uid, size ?? -1, internalDateMs(internalDate ?? ''))) {
        throw new Doubt(`UID ${uid} is another message`);
      }
    }
    if (going.length > 0) {
      const uids = rangesOfUids(going.map(({ uid }) => uid).sort((a, b) => a - b));
      crashPoint('warm.remove.before');
      await connection.store(uids, 'add', ['\\Deleted']);
      await connection.expunge(uids);
      this.#done.messagesRemoved += going.length;
      this.#exists -= going.length;
    }
  }

  /** Somebody else's messages, and what got lost, show in the number. */
  check(): void {
    const { catalog } = this.#tools.reader;
    // As of now it is known without counting, and mostly nothing has changed since.
    if (catalog.countMessages(this.#row.id).messages === this.#exists) return;
    const { messages } = catalog.countMessages(this.#row.id, this.#job.at);
    if (messages !== this.#exists) throw new Doubt(`${this.#exists} messages, ${messages} wanted`);
  }

  async #select(): Promise<SelectedMailbox> {
    const selected = await this.#tools.connection.select(this.#name);
    if (selected.uidValidity !== this.#row.uidValidity || selected.uidNext === undefined) {
      throw new Doubt(`UIDVALIDITY ${selected.uidValidity}`);
    }
    this.#exists = selected.exists;
    return selected;
  }

  async #raiseModSeq({ highestModSeq }: SelectedMailbox): Promise<void> {
    const live = this.#row.highestModSeq;
    if (live === undefined || highestModSeq === undefined || BigInt(highestModSeq) > BigInt(live)) return;
    await this.#pin({ minHighestModSeq: String(BigInt(live) + MODSEQ_AHEAD) });
  }

  #pin(pin: { minNextUid?: number; minHighestModSeq?: string }): Promise<void> {
    return this.#tools.doveadm.pinMailboxes([{ user: this.#job.account, mailbox: this.#name, ...pin }]);
  }

  async #setFlags(wanted: readonly MessageRow[]): Promise<void> {
    if (wanted.length === 0) return;
    const { connection } = this.#tools;
    const found = new Map<number, FetchedMessage>();
    await connection.fetch(
      rangesOfUids(wanted.map(({ uid }) => uid)),
      { flags: true, internalDate: true, size: true },
      (message) => {
        found.set(message.uid, message);
      },
    );
    const changes = new Map<string, { flags: readonly string[]; uids: number[] }>();
    for (const { uid, flags, size, date } of wanted) {
      const message = found.get(uid);
      const isIt =
        message?.size === size && internalDateMs(message.internalDate ?? '') === internalDateMs(date);
      if (message === undefined || !isIt) throw new Doubt(`UID ${uid} is absent or another message`);
      if (sameFlags(message.flags ?? [], flags)) continue;
      const key = flags.join(' ');
      const change = changes.get(key) ?? { flags, uids: [] };
      change.uids.push(uid);
      changes.set(key, change);
    }
    for (const { flags, uids } of changes.values()) {
      crashPoint('warm.flags.before');
      await connection.store(rangesOfUids(uids), 'set', flags);
      this.#done.flagsSet += uids.length;
    }
  }

  /** Gives the UIDNEXT after it. */
  async #append(messages: readonly MessageRow[], uidNext: number): Promise<number> {
    const { connection, reader } = this.#tools;
    let next = uidNext;
    for (const run of runsOf(messages)) {
      const first = run[0]?.uid as number;
      if (first > next) await this.#pin({ minNextUid: first });
      const bodies: AppendMessage[] = [];
      for (const { bodyLsn, flags, date } of run) {
        bodies.push({ body: await reader.body(bodyLsn), flags, internalDate: date });
      }
      crashPoint('warm.append.before');
      const { uids } = await connection.append(this.#name, bodies);
      crashPoint('warm.append.after');
      if (uids === undefined || run.some(({ uid }, index) => uids[index] !== uid)) {
        throw new Doubt(`UIDs from ${uids?.[0]} were given, not from ${first}`);
      }
      this.#done.messagesAdded += run.length;
      this.#exists += run.length;
      next = (run.at(-1)?.uid as number) + 1;
    }
    return next;
  }

  /** Messages of the replica in these ranges of UIDs, ascending. */
  #wanted(ranges: readonly UidRange[]): MessageRow[] {
    const { catalog } = this.#tools.reader;
    const { at } = this.#job;
    const rows: MessageRow[] = [];
    for (const { from, to } of ranges) {
      for (let after = from - 1; after < to; ) {
        const limit = Math.min(PAGE, to - after);
        const page = catalog.messages(this.#row.id, { at, afterUid: after, limit });
        rows.push(...page.filter(({ uid }) => uid <= to));
        if (page.length < limit) break;
        after = page.at(-1)?.uid as number;
      }
    }
    return rows.filter(({ uid }) => rangesHold(ranges, uid));
  }
}

/** Runs of consecutive UIDs that one command can append. */
function runsOf(messages: readonly MessageRow[]): MessageRow[][] {
  const runs: MessageRow[][] = [];
  let bytes = 0;
  for (const message of messages) {
    const run = runs.at(-1);
    const fits =
      run?.at(-1)?.uid === message.uid - 1 &&
      run.length < APPEND_MESSAGES_MOST &&
      bytes + message.size <= APPEND_BYTES_MOST;
    if (run && fits) {
      run.push(message);
      bytes += message.size;
    } else {
      runs.push([message]);
      bytes = message.size;
    }
  }
  return runs;
}

function sameFlags(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((flag, index) => flag === b[index]);
}
