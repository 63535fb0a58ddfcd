/**
 * Brings messages back into one mailbox, with their identity where the server lets us: each run of consecutive UIDs is
 * appended after the next UID was set to its first one, and the server says which UIDs it gave (APPENDUID).
 *
 * A client that still knows the mailbox must never find another message under a UID that it knows, nor half of the
 * mailbox; and deliveries go on. So a mailbox that was lost comes back under the UIDVALIDITY of a new one, which nobody
 * knows: first the messages, then the UIDNEXT that it had, above which deliveries are harmless; then what was delivered
 * below steps aside; and at the very end the old UIDVALIDITY is set, and what stepped aside comes in behind.
 *
 * Interrupted anywhere, the next restore finds what is there and goes on: the mailbox aside says that it has to.
 */
import type { MailboxRow, MessageRow, Vault } from '../../../catalog/index.ts';
import { crashPoint, invariant } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import type { AppendMessage, ImapConnection } from '../imap/index.ts';
import { rangesOfUids } from '../imap/index.ts';
import { Aside, ensureMailbox } from './aside.ts';
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
  /** As of the wanted point, but UIDNEXT and HIGHESTMODSEQ the highest it ever had: UIDs are never given twice. */
  readonly wanted: MailboxRow;
  readonly target: Target;
  readonly plan: MessagePlan;
  /** The mailbox aside is there: a restore of this one was interrupted. */
  readonly leftAside: boolean;
  /** Of the personal namespace. */
  readonly prefix: string;
}

export interface RestoreTools {
  /** Where the bytes come from. */
  readonly vault: Pick<Vault, 'body'>;
  readonly connection: ImapConnection;
  readonly pins: Pins | undefined;
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
  tools: RestoreTools,
  job: MailboxRestore,
  progress: (messages: number, bytes: number) => void,
): Promise<MailboxRestored> {
  return new Restore(tools, job, progress).run();
}

class Restore {
  readonly #vault: RestoreTools['vault'];
  readonly #connection: ImapConnection;
  readonly #pins: Pins | undefined;
  readonly #job: MailboxRestore;
  readonly #progress: (messages: number, bytes: number) => void;
  #messages = 0;
  #bytes = 0;
  #uidsKept = 0;
  #asideInUse = false;

  constructor(tools: RestoreTools, job: MailboxRestore, progress: (messages: number, bytes: number) => void) {
    this.#vault = tools.vault;
    this.#connection = tools.connection;
    this.#pins = tools.pins;
    this.#job = job;
    this.#progress = progress;
  }

  async run(): Promise<MailboxRestored> {
    const { target, leftAside } = this.#job;
    const name = target.kind === 'created' ? target.name : target.mailbox.name;
    await this.#connection.unselect();
    if (this.#pins && target.kind !== 'existing' && this.#isHome(name)) await this.#anew(name, this.#pins);
    else await this.#addTo(name);
    if (leftAside || this.#asideInUse) await this.#aside(name).giveBack();
    return { name, messages: this.#messages, bytes: this.#bytes, uidsKept: this.#uidsKept };
  }

  /** A mailbox named by `into` is one of its own. */
  #isHome(name: string): boolean {
    return name === this.#job.wanted.name;
  }

  #aside(name: string): Aside {
    const { wanted, prefix } = this.#job;
    return new Aside(this.#connection, name, wanted.delimiter, prefix);
  }

  /** The mailbox was lost: it comes back under its old identity. */
  async #anew(name: string, pins: Pins): Promise<void> {
    const { wanted, target, plan, leftAside } = this.#job;
    const aside = this.#aside(name);
    if (target.kind === 'aside') await aside.takeAll();
    // What is there says that this restore has not ended, should it be interrupted.
    else if (plan.missing.length > 0) await aside.ensure();
    this.#asideInUse = target.kind === 'aside' || plan.missing.length > 0;
    await this.#create(name);
    if (target.kind === 'aside' || leftAside) await aside.bringChildrenBack();

    // A mailbox that was never opened has no index yet, and would lose what is set.
    const { uidNext } = await this.#connection.select(name);
    await this.#connection.unselect();
    const placed = new Set(plan.inPlace);
    const floating = await this.#appendPinned(name, uidNext ?? 1, (run, uids) => {
      for (const [index, uid] of uids.entries()) if (run.messages[index]?.uid === uid) placed.add(uid);
      // Those that a delivery pushed away from their UIDs go aside with it.
      return true;
    });
    await this.#raise(name, pins);
    await this.#appendFloating(name, floating);
    this.#uidsKept = placed.size - plan.inPlace.length;
    if (await aside.takeStrangers(placed, wanted.uidNext)) this.#asideInUse = true;
    await pins.pin(this.#job.account, name, { uidValidity: wanted.uidValidity });
    crashPoint('restore.identity.after');
  }

  /** The mailbox lives, or is a new one of its own, or the server sets no UIDs. */
  async #addTo(name: string): Promise<void> {
    const { target, plan } = this.#job;
    if (target.kind === 'created') await this.#create(name);
    let floating = plan.missing;
    if (this.#pins && target.kind === 'existing' && target.sameIdentity) {
      // A server set back to an older copy of itself has UIDs ahead that it gave before.
      floating = await this.#appendPinned(name, target.mailbox.uidNext, async (run, uids) => {
        const asWanted = run.messages.every(({ uid }, index) => uid === uids[index]);
        if (asWanted) this.#uidsKept += uids.length;
        else await this.#takeAway(name, uids);
        return asWanted;
      });
      await this.#raise(name, this.#pins);
    }
    await this.#appendFloating(name, floating);
  }

  async #create(name: string): Promise<void> {
    const { wanted } = this.#job;
    await ensureMailbox(this.#connection, name, this.#isHome(name) ? wanted.specialUse : []);
    if (wanted.subscribed) await this.#connection.subscribe(name);
    crashPoint('restore.create.after');
  }

  /** UIDs that the mailbox had given are never given again, also those of messages that are not brought back. */
  async #raise(name: string, pins: Pins): Promise<void> {
    const { wanted } = this.#job;
    await pins.pin(this.#job.account, name, {
      minNextUid: wanted.uidNext,
      ...(wanted.highestModSeq === undefined ? {} : { minHighestModSeq: wanted.highestModSeq }),
    });
  }

  /**
   * Appends the missing messages whose UID the mailbox can still give. `appended` is told the UIDs that each run got, and
   * says whether it may stay. Gives the messages that have to take new UIDs.
   */
  async #appendPinned(
    name: string,
    uidNext: number,
    appended: (run: Run, uids: readonly number[]) => boolean | Promise<boolean>,
  ): Promise<readonly MessageRow[]> {
    const { pinned, floating } = splitIntoRuns(this.#job.plan.missing, { uidNext, canPin: true });
    const left: MessageRow[] = [];
    let next = uidNext;
    for (const { run, messages } of this.#loaded(pinned)) {
      const firstUid = run.messages[0]?.uid as number;
      if (firstUid < next) {
        // Deliveries have taken it meanwhile.
        left.push(...run.messages);
        continue;
      }
      if (firstUid > next) await this.#pins?.pin(this.#job.account, name, { minNextUid: firstUid });
      const uids = await this.#append(name, run, await messages);
      if (!uids) {
        throw mailErrors.make(
          'MAIL_FEATURE_MISSING',
          `the server does not say which UIDs it gave in ${name} (no UIDPLUS), so they cannot be proved`,
        );
      }
      next = (uids.at(-1) ?? 0) + 1;
      if (await appended(run, uids)) this.#done(run);
      else left.push(...run.messages);
    }
    return [...left, ...floating.flatMap(({ messages }) => messages)];
  }

  async #appendFloating(name: string, messages: readonly MessageRow[]): Promise<void> {
    const { floating } = splitIntoRuns(messages, { uidNext: 0, canPin: false });
    for (const { run, messages: bodies } of this.#loaded(floating)) {
      await this.#append(name, run, await bodies);
      this.#done(run);
    }
  }

  async #append(
    name: string,
    { messages }: Run,
    bodies: readonly AppendMessage[],
  ): Promise<readonly number[] | undefined> {
    crashPoint('restore.append.before');
    const { uids } = await this.#connection.append(name, bodies);
    invariant(uids === undefined || uids.length === messages.length, 'one UID for each message');
    crashPoint('restore.append.after');
    return uids;
  }

  /** Each run with its messages; the next one is read from the journal while this one is on its way. */
  *#loaded(runs: readonly Run[]): Generator<{ run: Run; messages: Promise<AppendMessage[]> }> {
    const load = (run: Run | undefined) => {
      const messages = run && this.#load(run);
      messages?.catch(() => {}); // reported when it is awaited
      return messages;
    };
    let coming = load(runs[0]);
    for (const [index, run] of runs.entries()) {
      const messages = coming as Promise<AppendMessage[]>;
      coming = load(runs[index + 1]);
      yield { run, messages };
    }
  }

  async #takeAway(name: string, uids: readonly number[]): Promise<void> {
    const ranges = rangesOfUids([...uids].sort((a, b) => a - b));
    await this.#connection.select(name);
    await this.#connection.store(ranges, 'add', ['\\Deleted']);
    await this.#connection.expunge(ranges);
    await this.#connection.unselect();
  }

  async #load(run: Run): Promise<AppendMessage[]> {
    const messages: AppendMessage[] = [];
    for (const { bodyLsn, flags, date } of run.messages) {
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
