/**
 * Brings messages back into one mailbox, with their identity where the server lets us.
 *
 * A mailbox that is made anew, or that nothing was ever in, gets its old UIDVALIDITY; each run of consecutive UIDs
 * is appended after the next UID was set to its first one. The server answers with the UIDs that it gave
 * (APPENDUID): where another delivery came between, ours are taken away again at once, for a client that still
 * holds the old mailbox must never find another message under a UID that it knows, and they follow with new UIDs.
 *
 * A mailbox of the same name that was made anew since and holds new mail steps aside first (RENAME), and its mail
 * comes back behind the old one (MOVE). Interrupted anywhere, the next restore finds what is there and goes on.
 */
import type { MailboxRow, MessageRow, Vault } from '../../../catalog/index.ts';
import { crashPoint, hasCode } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import type { AppendMessage, ImapConnection } from '../imap/index.ts';
import { rangesOfUids } from '../imap/index.ts';
import { type MessagePlan, type Run, splitIntoRuns, type Target } from './plan.ts';

/** Sets the identity of a mailbox on the server; the doveadm HTTP API can. */
export interface Pins {
  /** UIDVALIDITY as given; UIDNEXT and HIGHESTMODSEQ never go down. May be repeated. */
  pin(
    account: string,
    mailbox: string,
    identity: { uidValidity?: number; minNextUid?: number; minHighestModSeq?: string },
  ): Promise<void>;
}

export interface MailboxRestore {
  readonly account: string;
  /** As of the wanted point, but UIDNEXT and HIGHESTMODSEQ the highest it ever had: UIDs are never used twice. */
  readonly wanted: MailboxRow;
  readonly target: Target;
  readonly plan: MessagePlan;
  /** An interrupted restore has left mail of this mailbox aside. */
  readonly leftAside: boolean;
}

export interface MailboxRestored {
  readonly name: string;
  readonly messages: number;
  readonly bytes: number;
  /** How many of them got the UID that they had. */
  readonly uidsKept: number;
}

/** `progress` is told after each run. Errors: `MAIL_…` of the connection and the doveadm API; what was done stays. */
export async function restoreMailbox(
  tools: { readonly vault: Vault; readonly connection: ImapConnection; readonly pins: Pins | undefined },
  job: MailboxRestore,
  progress: (messages: number, bytes: number) => void,
): Promise<MailboxRestored> {
  return new Restore(tools, job, progress).run();
}

/** Where the mail of a mailbox waits while the old one comes back. */
export function asideName(mailbox: string, delimiter: string | null): string {
  // Beside, not below: INBOX may not be allowed children.
  return mailbox.toUpperCase() === 'INBOX'
    ? 'INBOX-since-the-loss'
    : `${withoutTail(mailbox, delimiter)}-since-the-loss`;
}

function withoutTail(name: string, delimiter: string | null): string {
  return delimiter !== null && name.endsWith(delimiter) ? name.slice(0, -delimiter.length) : name;
}

class Restore {
  readonly #vault: Vault;
  readonly #connection: ImapConnection;
  readonly #pins: Pins | undefined;
  readonly #job: MailboxRestore;
  readonly #progress: (messages: number, bytes: number) => void;
  #messages = 0;
  #bytes = 0;
  #uidsKept = 0;

  constructor(
    tools: { readonly vault: Vault; readonly connection: ImapConnection; readonly pins: Pins | undefined },
    job: MailboxRestore,
    progress: (messages: number, bytes: number) => void,
  ) {
    this.#vault = tools.vault;
    this.#connection = tools.connection;
    this.#pins = tools.pins;
    this.#job = job;
    this.#progress = progress;
  }

  async run(): Promise<MailboxRestored> {
    const { target } = this.#job;
    const name = target.kind === 'created' ? target.name : target.mailbox.name;
    let uidNext = target.kind === 'existing' ? target.mailbox.uidNext : 1;
    let sameIdentity = target.kind === 'existing' && target.sameIdentity;
    if (target.kind === 'aside') uidNext = await this.#stepAside(name);
    if (target.kind === 'created') await this.#create(name);
    if (target.kind !== 'existing' && this.#takesIdentity(target)) {
      // A mailbox that was never opened has no index yet, and would lose what is set.
      await this.#connection.select(name);
      await this.#connection.unselect();
      await this.#pins?.pin(this.#job.account, name, { uidValidity: this.#job.wanted.uidValidity });
      crashPoint('restore.identity.after');
      sameIdentity = this.#pins !== undefined;
    } else if (target.kind === 'created') {
      uidNext = 1;
    }
    await this.#append(name, { uidNext, canPin: sameIdentity && this.#pins !== undefined });
    if (sameIdentity) await this.#raise(name);
    await this.#bringBack(name);
    return { name, messages: this.#messages, bytes: this.#bytes, uidsKept: this.#uidsKept };
  }

  /** A mailbox named by `into` is a new one of its own, not the old one. */
  #takesIdentity(target: Target): boolean {
    return target.kind !== 'created' || target.name === this.#job.wanted.name;
  }

  async #create(name: string): Promise<void> {
    await this.#connection.create(
      name,
      this.#takesIdentity(this.#job.target) ? this.#job.wanted.specialUse : [],
    );
    if (this.#job.wanted.subscribed) await this.#connection.subscribe(name);
    crashPoint('restore.create.after');
  }

  /**
   * Empties the name for the old mail. Gives the UIDNEXT of what is there then: 1, or higher where INBOX cannot be
   * renamed (Maildir) and its mail was moved out; the old mail's lowest UIDs are then taken for good.
   */
  async #stepAside(name: string): Promise<number> {
    const aside = asideName(name, this.#job.wanted.delimiter);
    await this.#connection.unselect();
    try {
      await this.#connection.rename(name, aside);
      crashPoint('restore.aside.after');
      // INBOX is there again by itself (RFC 9051 section 6.3.6).
      if (name.toUpperCase() !== 'INBOX') await this.#create(name);
    } catch (error) {
      if (!hasCode(error, 'MAIL_COMMAND_REFUSED')) throw error;
      if (!this.#job.leftAside) await this.#connection.create(aside);
      await this.#connection.select(name);
      const all = await this.#connection.search('ALL');
      if (all.length > 0) await this.#connection.move(all, aside);
      await this.#connection.unselect();
      crashPoint('restore.aside.after');
    }
    return (await this.#connection.status(name))?.uidNext ?? 1;
  }

  /** UIDs that the mailbox had given are never given again, also those of messages that are not brought back. */
  async #raise(name: string): Promise<void> {
    const { wanted } = this.#job;
    await this.#pins?.pin(this.#job.account, name, {
      minNextUid: wanted.uidNext,
      ...(wanted.highestModSeq === undefined ? {} : { minHighestModSeq: wanted.highestModSeq }),
    });
  }

  async #append(name: string, target: { uidNext: number; canPin: boolean }): Promise<void> {
    const runs = splitIntoRuns(this.#job.plan.missing, target);
    const misplaced: MessageRow[] = [];
    let next = target.uidNext;
    let bodies = this.#load(runs[0]);
    for (const [index, run] of runs.entries()) {
      if (run.firstUid !== undefined && run.firstUid !== next) {
        await this.#pins?.pin(this.#job.account, name, { minNextUid: run.firstUid });
      }
      crashPoint('restore.append.before');
      const messages = await bodies;
      const appending = this.#connection.append(name, messages);
      // Reading the next run from the journal while this one is on its way.
      bodies = this.#load(runs[index + 1]);
      bodies.catch(() => {}); // reported when it is awaited
      const { uids } = await appending;
      crashPoint('restore.append.after');
      next = (uids?.at(-1) ?? 0) + 1;
      if (run.firstUid !== undefined && !areAsWanted(run, uids)) {
        await this.#takeAway(name, uids);
        misplaced.push(...run.messages);
        continue;
      }
      if (run.firstUid !== undefined) this.#uidsKept += run.messages.length;
      this.#done(run);
    }
    // Their UIDs are in the past now.
    for (const run of splitIntoRuns(misplaced, { uidNext: Number.POSITIVE_INFINITY, canPin: true })) {
      await this.#connection.append(name, await this.#load(run));
      this.#done(run);
    }
  }

  async #takeAway(name: string, uids: readonly number[] | undefined): Promise<void> {
    if (!uids) {
      throw mailErrors.make(
        'MAIL_FEATURE_MISSING',
        `the server does not say which UIDs it gave in ${name} (no UIDPLUS), so they cannot be proved`,
      );
    }
    const ranges = rangesOfUids([...uids].sort((a, b) => a - b));
    await this.#connection.select(name);
    await this.#connection.store(ranges, 'add', ['\\Deleted']);
    await this.#connection.expunge(ranges);
    await this.#connection.unselect();
  }

  /** What stepped aside, now or in a restore that was interrupted, comes back behind the old mail. */
  async #bringBack(name: string): Promise<void> {
    if (this.#job.target.kind !== 'aside' && !this.#job.leftAside) return;
    const aside = asideName(name, this.#job.wanted.delimiter);
    await this.#connection.select(aside);
    const all = await this.#connection.search('ALL');
    if (all.length > 0) await this.#connection.move(all, name);
    crashPoint('restore.bring-back.after');
    const left = await this.#connection.search('ALL');
    await this.#connection.unselect();
    if (left.length === 0) await this.#connection.delete(aside);
  }

  async #load(run: Run | undefined): Promise<AppendMessage[]> {
    const messages: AppendMessage[] = [];
    for (const { bodyLsn, flags, date } of run?.messages ?? []) {
      messages.push({ body: await this.#vault.body(bodyLsn), flags, internalDate: date });
    }
    return messages;
  }

  #done(run: Run): void {
    this.#messages += run.messages.length;
    this.#bytes += run.bytes;
    this.#progress(run.messages.length, run.bytes);
  }
}

function areAsWanted(run: Run, uids: readonly number[] | undefined): boolean {
  return run.messages.every((message, index) => message.uid === uids?.[index]);
}
