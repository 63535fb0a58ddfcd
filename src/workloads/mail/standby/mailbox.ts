/**
 * One mailbox of the target whose UIDs can be set. Whatever is done to it is done above the HIGHESTMODSEQ of the live server, which is
 * set first: so a client that comes over asks for it (RFC 7162).
 */
import type { MailboxRow } from '../../../catalog/index.ts';
import { type Clock, crashPoint, hasCode, invariant } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import { type ImapConnection, rangesOfUids, type SelectedMailbox, splitRanges } from '../imap/index.ts';
import { ensureMailbox } from '../restore/index.ts';
import {
  bringChildrenBack,
  everything,
  incarnationOf,
  keepAside,
  moveMessages,
  removeMessages,
  strangersAmong,
  takeAway,
} from './aside.ts';
import { BegunAnew, beginAnew, type NumberingFiles, numberingFiles } from './begin-anew.ts';
import { compareMailbox, type Findings, type FlagChange } from './compare.ts';
import { Feeder, MOVED } from './feeder.ts';
import { numbersName, replacedName } from './names.ts';
import { bringMailboxPlainly } from './plain.ts';
import { createMailboxes, modSeqToSet } from './prepare.ts';
import { isWorthRenumbering, renumber } from './renumber.ts';
import type { AccountTools, MailboxJob } from './tools.ts';
import type { Repair, RepairKind } from './types.ts';

const ROWS_AT_ONCE = 1_000;
const UIDS_PER_STORE = 5_000;

export type MailboxOutcome = 'done' | 'renumbered';

/**
 * `renumbered`: call again, with `again` and `counted`, over another connection: what is left is little. Errors: MAIL_MAILBOX_MOVED when
 * somebody wrote into it meanwhile: call again, with `again`.
 */
export async function bringMailbox(tools: AccountTools, job: MailboxJob): Promise<MailboxOutcome> {
  const mailbox = new MailboxBringUp(tools, job);
  try {
    return await mailbox.run();
  } catch (error) {
    // It will be counted anew.
    if (hasCode(error, MOVED)) mailbox.uncount();
    throw error;
  }
}

class MailboxBringUp {
  readonly #tools: AccountTools;
  readonly #job: MailboxJob;
  readonly #row: MailboxRow;
  readonly #name: string;
  readonly #isThere: boolean;
  readonly #isCounted: boolean;
  readonly #counted = { wanted: 0, present: 0 };

  constructor(tools: AccountTools, job: MailboxJob) {
    this.#tools = tools;
    this.#job = job;
    this.#row = job.row;
    this.#name = job.name;
    this.#isThere = job.status !== undefined || job.open !== undefined || job.again === true;
    this.#isCounted = job.counted === true;
  }

  uncount(): void {
    this.#tools.tally.wanted -= this.#counted.wanted;
    this.#tools.tally.present -= this.#counted.present;
  }

  async run(): Promise<MailboxOutcome> {
    const { dryRun, tally } = this.#tools;
    if (!this.#isThere) {
      if (dryRun) {
        const { messages, bytes } = this.#tools.reader.catalog.countMessages(this.#row.id, this.#tools.at);
        tally.wanted += messages;
        tally.restored += messages;
        tally.bytes += bytes;
        return 'done';
      }
      await createMailboxes(this.#tools, [this.#job]);
    }
    let open = this.#job.open ?? (await this.#open());
    let replaced = false;
    if (open.uidValidity !== this.#row.uidValidity && (open.exists > 0 || !this.#canFill(open))) {
      this.#repaired('uidvalidity', 1, open.uidValidity, this.#row.uidValidity);
      if (!dryRun) {
        const anew = await this.#replace(open, new Set());
        if (typeof anew === 'string') return await this.#plainly(open, anew);
        open = anew;
        replaced = true;
      }
    }
    let findings = await this.#compare(open);
    const broken = this.#broken(open, findings);
    if (broken && !dryRun) {
      if (replaced) throw this.#moved();
      const anew = await this.#replace(open, new Set(findings.wrong));
      if (typeof anew === 'string') return await this.#plainly(open, anew);
      open = anew;
      replaced = true;
      findings = await this.#compare(open);
      if (this.#broken(open, findings)) throw this.#moved();
    }
    this.#count(findings);
    if (dryRun) {
      tally.restored += findings.missing.length + findings.wrong.length;
      return 'done';
    }
    const files = await this.#filesToRenumber(open, findings);
    if (files) await this.#fillRenumbered(open, findings, files);
    else await this.#setRight(open, findings);
    if (replaced) await takeAway(this.#tools, this.#row.account, this.#replacedName(), this.#name);
    return files ? 'renumbered' : 'done';
  }

  #count({ wanted, present }: Findings): void {
    if (this.#isCounted) return;
    this.#counted.wanted += wanted;
    this.#counted.present += present;
    this.#tools.tally.wanted += wanted;
    this.#tools.tally.present += present;
  }

  /** Why the mailbox cannot be set right as it is: UIDs that were given cannot be given again. Reported when found. */
  #broken(open: SelectedMailbox, findings: Findings): boolean {
    const uidNext = open.uidNext ?? 1;
    const lost = findings.missing.filter((uid) => uid < uidNext).length;
    if (findings.wrong.length > 0) this.#repaired('other-message', findings.wrong.length);
    if (lost > 0 || uidNext > this.#uidNextMost()) {
      this.#repaired('uidnext', Math.max(1, lost), uidNext, this.#uidNextWanted());
    }
    return lost > 0 || findings.wrong.length > 0 || uidNext > this.#uidNextMost();
  }

  /** Nothing is in it, and it can still give the UIDs that are wanted. */
  #canFill(open: SelectedMailbox): boolean {
    const [first] = this.#tools.reader.catalog.messages(this.#row.id, { at: this.#tools.at, limit: 1 });
    return open.exists === 0 && (open.uidNext ?? 1) <= (first?.uid ?? this.#uidNextWanted());
  }

  #uidNextWanted(): number {
    return this.#tools.reader.catalog.uidNextAt(this.#row.id, this.#tools.at);
  }

  /** Beyond it are UIDs that the live server has yet to give. */
  #uidNextMost(): number {
    return Math.max(this.#row.uidNext, this.#uidNextWanted());
  }

  async #open(): Promise<SelectedMailbox> {
    const { connection, dryRun } = this.#tools;
    return dryRun ? connection.examine(this.#name) : connection.select(this.#name);
  }

  #compare(open: SelectedMailbox): Promise<Findings> {
    const { reader, connection, at, checkBodies } = this.#tools;
    const where = { row: this.#row, at, exists: open.exists, uidNext: open.uidNext ?? 1, checkBodies };
    return compareMailbox(reader.catalog, connection, where, (flags) => this.#flagsKept(open, flags));
  }

  #flagsKept(open: SelectedMailbox, flags: readonly string[]): readonly string[] {
    if (open.takesNewKeywords || open.readOnly) return flags;
    return flags.filter((flag) => open.permanentFlags.includes(flag));
  }

  /** Nothing in it stands in the way of anything. */
  async #setRight(open: SelectedMailbox, findings: Findings): Promise<void> {
    const { connection, tally } = this.#tools;
    const { uidValidity, account } = this.#row;
    const minHighestModSeq = modSeqToSet(this.#row, open);
    if (minHighestModSeq !== undefined || open.uidValidity !== uidValidity) {
      await connection.unselect();
      await this.#pin({
        ...(open.uidValidity === uidValidity ? {} : { uidValidity }),
        ...(minHighestModSeq === undefined ? {} : { minHighestModSeq }),
      });
      crashPoint('standby.identity.after');
    }
    await this.#removeTooMany(findings);
    await this.#setFlags(findings.flags);

    await connection.unselect();
    const uidNext = open.uidNext ?? 1;
    if (findings.missing.length > 0) {
      invariant((findings.missing[0] as number) >= uidNext, 'UIDs can be given once only');
      await this.#feed(open, { afterUid: uidNext - 1, next: uidNext });
    }
    const last = findings.missing.at(-1) ?? 0;
    const reached = Math.max(uidNext, last + 1);
    if (reached < this.#uidNextWanted()) {
      this.#tools.pinsAtEnd.push({ user: account, mailbox: this.#name, minNextUid: this.#uidNextWanted() });
    }
    tally.tell(account, this.#name);
  }

  /** Where it is empty, its UIDs are to be far apart, and its list of UIDs can be replaced. */
  async #filesToRenumber(open: SelectedMailbox, findings: Findings): Promise<NumberingFiles | undefined> {
    const { doveadm, costs } = this.#tools;
    if (open.exists > 0 || costs.cannotRenumber) return undefined;
    if (!isWorthRenumbering(findings.missing, open.uidNext ?? 1)) return undefined;
    const files = await numberingFiles(doveadm, this.#row.account, this.#name);
    return typeof files === 'string' ? undefined : files;
  }

  /** Under another UIDVALIDITY until the UIDs are right. What is left is set right when it is looked at again. */
  async #fillRenumbered(open: SelectedMailbox, findings: Findings, files: NumberingFiles): Promise<void> {
    const { connection, features, costs, tally, clock } = this.#tools;
    const { account, uidValidity } = this.#row;
    await connection.unselect();
    if (open.uidValidity === uidValidity) await this.#pin({ uidValidity: otherThan(uidValidity, clock) });
    const first = open.uidNext ?? 1;
    await this.#feed(open, { afterUid: 0, next: first, inARow: true });
    const isDone = await renumber(this.#tools, {
      account,
      mailbox: this.#name,
      beside: numbersName(this.#name, features),
      files,
      has: findings.missing.map((_, index) => first + index),
      wanted: findings.missing,
      uidValidity,
      uidNext: this.#uidNextWanted(),
    });
    if (isDone) return;
    costs.cannotRenumber = true;
    tally.restored -= findings.missing.length;
    throw this.#moved();
  }

  async #pin(pin: { uidValidity?: number; minNextUid?: number; minHighestModSeq?: string }): Promise<void> {
    const { doveadm } = this.#tools;
    invariant(doveadm !== undefined, 'UIDs are set through the doveadm API');
    await doveadm.pinMailboxes([{ user: this.#row.account, mailbox: this.#name, ...pin }]);
  }

  async #removeTooMany({ extra, fillers }: Findings): Promise<void> {
    const { connection } = this.#tools;
    if (extra.length === 0 && fillers.length === 0) return;
    await this.#select();
    const strangers = new Set(await strangersAmong(this.#tools, extra, this.#row.id));
    await keepAside(this.#tools, this.#row.account, this.#name, [...strangers]);
    const known = extra.map(({ uid }) => uid).filter((uid) => !strangers.has(uid));
    crashPoint('standby.remove.before');
    await removeMessages(connection, [...known, ...fillers]);
    if (extra.length > 0) this.#repaired('extra-message', extra.length);
  }

  async #setFlags(changes: ReadonlyMap<string, FlagChange>): Promise<void> {
    const { connection, tally } = this.#tools;
    if (changes.size === 0) return;
    await this.#select();
    let count = 0;
    for (const { flags, uids } of changes.values()) {
      crashPoint('standby.flags.before');
      for (const part of splitRanges(rangesOfUids(uids), UIDS_PER_STORE)) {
        await connection.store(part, 'set', flags);
      }
      count += uids.length;
    }
    tally.flagsSet += count;
    this.#repaired('flags', count);
  }

  /** Everything after a UID. `inARow`: under the next UIDs that there are, and not yet its own. */
  async #feed(
    open: SelectedMailbox,
    from: { readonly afterUid: number; readonly next: number; readonly inARow?: boolean },
  ): Promise<void> {
    const { reader, connection, clock, tally, costs, at, signal } = this.#tools;
    const lanes = this.#tools.lanesOf(connection);
    const feeder = new Feeder(
      {
        reader,
        connection,
        lanes,
        clock,
        pin: (minNextUid) => this.#pin({ minNextUid }),
        flagsKept: (flags) => this.#flagsKept(open, flags),
        done: (messages, bytes) => {
          tally.restored += messages;
          tally.bytes += bytes;
          tally.tell(this.#row.account, this.#name);
        },
      },
      costs,
      this.#name,
      from.next,
    );
    try {
      let next = from.next;
      for (let { afterUid } = from; ; ) {
        const rows = reader.catalog.messages(this.#row.id, { at, afterUid, limit: ROWS_AT_ONCE });
        for (const row of rows) {
          signal?.throwIfAborted();
          await feeder.put(from.inARow ? { ...row, uid: next++ } : row);
        }
        if (rows.length < ROWS_AT_ONCE) break;
        afterUid = rows.at(-1)?.uid as number;
      }
      await feeder.end();
    } finally {
      await lanes.shrink();
    }
  }

  /**
   * Makes the mailbox anew, for a UID is given once only. `wrong`: UIDs known to hold something else than the replica has there.
   * What the journal never held steps aside; the rest waits in a mailbox beside until the new one is filled. One sentence where the
   * target cannot do it: why.
   */
  async #replace(open: SelectedMailbox, wrong: ReadonlySet<number>): Promise<SelectedMailbox | string> {
    const { connection, features } = this.#tools;
    const { account } = this.#row;
    const messages = open.exists === 0 ? [] : await everything(connection);
    const id = incarnationOf(this.#tools, account, open.uidValidity);
    const strangers = new Set([
      ...(await strangersAmong(
        this.#tools,
        messages.filter(({ uid }) => !wrong.has(uid)),
        id,
      )),
      ...(await strangersAmong(
        this.#tools,
        messages.filter(({ uid }) => wrong.has(uid)),
        undefined,
      )),
    ]);
    await keepAside(this.#tools, account, this.#name, [...strangers]);
    const known = messages.map(({ uid }) => uid).filter((uid) => !strangers.has(uid));
    const aside = this.#replacedName();
    await connection.unselect();
    // Left by an interrupted run; what it holds is in the journal, or steps aside now.
    await takeAway(this.#tools, account, aside, this.#name);
    crashPoint('standby.replace.before');
    if (await this.#renamed(aside)) {
      await ensureMailbox(connection, this.#name, this.#row.specialUse);
      await bringChildrenBack(connection, aside, this.#name, features.separator);
    } else {
      const problem = await this.#emptied(known, aside);
      if (problem !== undefined) return problem;
      crashPoint('standby.replace.after');
      throw new BegunAnew(`${account}/${this.#name} begins anew`);
    }
    crashPoint('standby.replace.after');
    return this.#select();
  }

  async #renamed(aside: string): Promise<boolean> {
    try {
      await this.#tools.connection.rename(this.#name, aside);
      return true;
    } catch (error) {
      // Dovecot cannot rename an INBOX in Maildir.
      if (this.#name === 'INBOX' && hasCode(error, 'MAIL_COMMAND_REFUSED')) return false;
      throw error;
    }
  }

  /** Empties a mailbox that can neither be renamed nor deleted, and lets its UIDs begin anew. Undefined, or why it cannot. */
  async #emptied(known: readonly number[], aside: string): Promise<string | undefined> {
    const { connection, doveadm } = this.#tools;
    const files = await numberingFiles(doveadm, this.#row.account, this.#name);
    if (typeof files === 'string') return files;
    invariant(doveadm !== undefined, 'the files are those of the doveadm API');
    await ensureMailbox(connection, aside);
    await connection.select(this.#name);
    if (known.length > 0) await moveMessages(connection, known, aside);
    // Somebody delivers just now.
    if ((await connection.search('ALL')).length > 0) throw this.#moved();
    await connection.unselect();
    return (await beginAnew(doveadm, files)) ? undefined : 'its doveadm API may not remove its files';
  }

  /** Its UIDs cannot be had any more: so no client may take them for the ones it knows. */
  async #plainly(open: SelectedMailbox, problem: string): Promise<MailboxOutcome> {
    const { connection, tally, clock } = this.#tools;
    const { account, uidValidity } = this.#row;
    await connection.unselect();
    if (open.uidValidity === uidValidity) {
      await this.#pin({ uidValidity: otherThan(uidValidity, clock) });
    }
    for (const what of ['uidvalidity', 'uids'] as const) {
      tally.notKept.push({
        what,
        why: `the target has given UIDs of this mailbox to other messages, and cannot begin anew, for ${problem}: clients read it again`,
        account,
        mailbox: this.#name,
      });
    }
    await bringMailboxPlainly(this.#tools, {
      row: this.#row,
      name: this.#name,
      status: await connection.status(this.#name),
    });
    return 'done';
  }

  #replacedName(): string {
    return replacedName(this.#name, this.#tools.features);
  }

  #select(): Promise<SelectedMailbox> {
    return selectAgain(this.#tools.connection, this.#name);
  }

  #repaired(what: RepairKind, count: number, found?: number | string, wanted?: number | string): void {
    const repair: Repair = {
      what,
      account: this.#row.account,
      mailbox: this.#row.name,
      count,
      ...(found === undefined ? {} : { found: String(found) }),
      ...(wanted === undefined ? {} : { wanted: String(wanted) }),
    };
    this.#tools.tally.repaired.push(repair);
  }

  #moved() {
    return mailErrors.make(MOVED, `somebody else wrote into ${this.#name} while it was brought up`);
  }
}

function otherThan(uidValidity: number, clock: Clock): number {
  return Math.max(uidValidity + 1, Math.floor(clock.wallMs() / 1_000));
}

/** A mailbox is selected anew where another process may have changed its identity meanwhile. */
async function selectAgain(connection: ImapConnection, name: string): Promise<SelectedMailbox> {
  await connection.unselect();
  return connection.select(name);
}
