/**
 * Brings one mailbox of the replica up to date: flag changes and additions are journaled here, in steps that are
 * each consistent; removals are handed back, for they come after the additions of all mailboxes.
 *
 * With QRESYNC (RFC 7162) the server says what changed; without, UIDs and flags of all messages are compared.
 * The position (UIDNEXT, HIGHESTMODSEQ) moves last: after a crash the same changes are read again, and what is
 * known already is not journaled twice.
 */
import type { SetAsideRow } from '../../../catalog/index.ts';
import type { MailboxId, PositionRecord, SetAsideRecord, StepRecord } from '../../../journal/index.ts';
import type { UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import {
  countOfRanges,
  type ImapConnection,
  normalizeFlags,
  normalizeRanges,
  parseSequenceSet,
  rangesHold,
  rangesOfUids,
  type SelectedMailbox,
  type UidRange,
  uidsOfRanges,
} from '../imap/index.ts';
import { fetchMessages, type Unfetchable } from './bodies.ts';
import type { FollowContext } from './context.ts';

export interface MailboxJob {
  readonly account: string;
  readonly id: MailboxId;
  readonly name: string;
  readonly uidValidity: number;
  /** From LIST-STATUS, for servers that do not tell UIDNEXT on EXAMINE. */
  readonly uidNext?: number;
  /** The position that the replica has; absent before the first look. */
  readonly known?: { readonly uidNext: number; readonly highestModSeq?: string; readonly complete: boolean };
  /** Nothing of the account is held yet: no use to ask for ids before bodies. */
  readonly firstLook: boolean;
  readonly unfetchable: Unfetchable;
  readonly totals: Totals;
}

/** Counted as it is journaled, so that a look that fails halfway has counted what it did. */
export interface Totals {
  added: number;
  flagsChanged: number;
  bytes: number;
}

export interface MailboxOutcome {
  /** UIDs that the replica holds and the server no longer. */
  vanished: UidRange[];
  /** UIDs that were given since the last look and that the server does not show: messages that came and went. */
  gaps: boolean;
  /** To be committed with the removals; absent when nothing moved. */
  position: PositionRecord | undefined;
}

interface HeldMessage {
  readonly uid: number;
  readonly flags: readonly string[];
  readonly guid?: string;
}

const FLAG_CHANGES_PER_STEP = 1_000;
const COMPARED_PER_REQUEST = 2_000;
/** Up to so many UIDs a range is asked for as it is; a wider one is searched first, for it may be sparse. */
const RANGE_WITHOUT_SEARCH = 1_000;
/** Up to so many vanished UIDs are looked up one by one; more are found by walking the mailbox once. */
const VANISHED_LOOKED_UP = 1_000;

export async function followMailbox(
  context: FollowContext,
  connection: ImapConnection,
  job: MailboxJob,
): Promise<MailboxOutcome> {
  const follow = new MailboxFollow(context, connection, job);
  return await follow.run();
}

class MailboxFollow {
  readonly #context: FollowContext;
  readonly #connection: ImapConnection;
  readonly #job: MailboxJob;
  readonly #outcome: MailboxOutcome = {
    vanished: [],
    gaps: false,
    position: undefined,
  };
  /** New messages seen, those set aside included. */
  #came = 0;
  /** UIDs that the server shows among those compared, and the replica lacks. */
  readonly #missing: number[] = [];
  #flagChanges: StepRecord[] = [];
  /** The answers to what was asked together with EXAMINE may come before it is known what was opened. */
  #isTheSame = false;
  /** The final position is in a step already. */
  #positioned = false;
  /** UIDNEXT of the last step on its way: what is asked for once more has lower UIDs, and takes nothing of it back. */
  #reached: number;
  /** The replica's position says that this mailbox was not looked at to its end. */
  #incomplete: boolean;
  /** UIDs at or above the known UIDNEXT that are held: an interrupted look may have committed beyond its position. */
  readonly #heldAhead = new Set<number>();
  /** Steps on their way to the disk; awaited before this mailbox counts as done. */
  #commits: Promise<unknown>[] = [];

  constructor(context: FollowContext, connection: ImapConnection, job: MailboxJob) {
    this.#context = context;
    this.#connection = connection;
    this.#job = job;
    this.#reached = job.known?.uidNext ?? 1;
    this.#incomplete = job.known?.complete === false;
  }

  async run(): Promise<MailboxOutcome> {
    try {
      return await this.#run();
    } finally {
      // Also after a failure: who looks again would not find what is on its way, and journal it once more.
      await Promise.allSettled(this.#commits);
    }
  }

  async #run(): Promise<MailboxOutcome> {
    const { known } = this.#job;
    const below = known === undefined ? 1 : this.#heldBelow(known.uidNext);
    const resync = known?.highestModSeq !== undefined && this.#connection.enabled.has('QRESYNC');
    const began = this.#context.deps.clock.monotonicMs();
    const opening = this.#connection.examine(this.#job.name);
    const changes = resync && below > 1 ? this.#changesSince(below, known.highestModSeq ?? '') : undefined;
    // Its failure is that of `opening` too; that one is reported.
    changes?.catch(() => {});
    const mailbox = await opening;
    this.#context.pace.answered(this.#context.deps.clock.monotonicMs() - began);
    this.#mustBeTheSame(mailbox);
    await changes;
    const doubtful = resync && !reaches(mailbox.highestModSeq, known.highestModSeq);
    if (below > 1 && (!resync || doubtful)) await this.#compareAll(below, doubtful);

    const uidNext = mailbox.uidNext ?? this.#job.uidNext ?? (await this.#highestUid()) + 1;
    await this.#fetchNew(mailbox, uidNext);
    await this.#settle();
    if (!this.#countIsRight(mailbox)) {
      await this.#reopen(mailbox, uidNext);
      await this.#compareAll(Math.max(uidNext, below), false);
      await this.#fetchMissing(mailbox, uidNext);
      await this.#settle();
    }

    this.#outcome.gaps = uidNext - (known?.uidNext ?? 1) > this.#came;
    const moved = known?.uidNext !== uidNext || known.highestModSeq !== mailbox.highestModSeq;
    if (this.#outcome.vanished.length > 0 || ((moved || this.#incomplete) && !this.#positioned)) {
      this.#outcome.position = this.#position(uidNext, mailbox.highestModSeq);
    }
    return this.#outcome;
  }

  #mustBeTheSame({ uidValidity, uidNext }: SelectedMailbox): void {
    const { known } = this.#job;
    if (uidValidity !== this.#job.uidValidity) {
      throw this.#moved(`has UIDVALIDITY ${uidValidity}, expected ${this.#job.uidValidity}`, false);
    }
    if (known && uidNext !== undefined && uidNext < known.uidNext) {
      throw this.#moved(`has UIDNEXT ${uidNext}, and had ${known.uidNext}`, true);
    }
    this.#isTheSame = true;
  }

  /** `setBack`: it calls itself the same one, and is an older state of it, as from a backup. */
  #moved(how: string, setBack: boolean): UnderstudyError {
    const { account, name } = this.#job;
    return mailErrors.make('MAIL_MAILBOX_MOVED', `${account}/${name} ${how}`, { details: { setBack } });
  }

  /** QRESYNC: flags and removals of UIDs below `below` since the known MODSEQ. */
  async #changesSince(below: number, modSeq: string): Promise<void> {
    const gone: UidRange[] = [];
    await this.#connection.fetch(
      [{ from: 1, to: below - 1 }],
      { flags: true },
      (message) => {
        const held = this.#held(message.uid);
        if (!held) this.#missing.push(message.uid);
        else this.#compareFlags(message.uid, held.flags, message.flags ?? []);
      },
      { changedSince: modSeq, onVanished: (uids) => gone.push(...(parseSequenceSet(uids) ?? [])) },
    );
    this.#outcome.vanished = this.#heldOf(normalizeRanges(gone));
  }

  /**
   * Without QRESYNC, or when the counts do not agree: every UID and its flags, in bounded pieces. `doubtful`: where
   * HIGHESTMODSEQ went back, the server lost its indexes, or is an older copy of itself that has given our UIDs
   * again; then the messages' own ids are compared too.
   */
  async #compareAll(below: number, doubtful: boolean): Promise<void> {
    const { catalog } = this.#context.deps.vault;
    const gone: number[] = [];
    let from = 1;
    this.#flagChanges = [];
    this.#missing.length = 0;
    const compare = async (held: ReadonlyMap<number, HeldMessage>, to: number) => {
      const seen = new Set<number>();
      await this.#connection.fetch([{ from, to }], { flags: true, guid: doubtful }, (message) => {
        if (seen.has(message.uid)) return;
        seen.add(message.uid);
        const known = held.get(message.uid);
        if (known === undefined) this.#missing.push(message.uid);
        else if (known.guid !== undefined && message.guid !== undefined && known.guid !== message.guid) {
          throw this.#moved(`has another message under UID ${message.uid}`, true);
        } else this.#compareFlags(message.uid, known.flags, message.flags ?? []);
      });
      for (const uid of held.keys()) if (!seen.has(uid)) gone.push(uid);
      from = to + 1;
    };
    let held = new Map<number, HeldMessage>();
    let last = 0;
    const rows: Iterable<HeldMessage> = doubtful
      ? catalog.iterateMessages(this.#job.id)
      : catalog.uidsWithFlags(this.#job.id);
    for (const row of rows) {
      const { uid } = row;
      if (uid >= below) break;
      if (held.size === COMPARED_PER_REQUEST) {
        await compare(held, last);
        held = new Map();
      }
      held.set(uid, row);
      last = uid;
    }
    if (from < below) await compare(held, below - 1);
    const shown = new Set(this.#missing);
    for (const { uid } of this.#setAside()) if (uid < below && !shown.has(uid)) gone.push(uid);
    this.#outcome.vanished = rangesOfUids(gone.sort((a, b) => a - b));
  }

  /**
   * An honest server and a whole replica have the same number of messages; where they do not, all are compared:
   * a message that the server left out of an answer must not be missing for good.
   */
  #countIsRight(mailbox: SelectedMailbox): boolean {
    const { catalog } = this.#context.deps.vault;
    const held = catalog.countMessages(this.#job.id).messages + this.#setAside().length;
    return held - countOfRanges(this.#outcome.vanished) === mailbox.exists;
  }

  #setAside(): SetAsideRow[] {
    const { catalog } = this.#context.deps.vault;
    return catalog.setAside(this.#job.account).filter((row) => row.mailboxId === this.#job.id);
  }

  /** UIDs found missing, ascending. */
  #takeMissing(): number[] {
    const missing = new Set(this.#missing);
    this.#missing.length = 0;
    return [...missing].sort((a, b) => a - b);
  }

  /** What is new, then what was set aside before: asking for that may cost the connection. */
  async #fetchNew(mailbox: SelectedMailbox, uidNext: number): Promise<void> {
    const from = this.#job.known?.uidNext ?? 1;
    const aside = this.#setAsideBefore();
    const behind = this.#takeMissing().filter((uid) => !aside.has(uid));
    const ranges = rangesOfUids(behind);
    if (from < uidNext) {
      // A suspect is found by what the server fails to serve: UIDs that are gone must not be taken for it.
      const sparse = uidNext - from > RANGE_WITHOUT_SEARCH || this.#job.unfetchable.suspects.size > 0;
      ranges.push(
        ...(sparse
          ? await this.#connection.search(`UID ${from}:${uidNext - 1}`)
          : [{ from, to: uidNext - 1 }]),
      );
    }
    const wanted = this.#withoutHeldAhead(withoutUids(normalizeRanges(ranges), aside));
    await this.#fetch(mailbox, wanted, uidNext, behind);
    const again = [...aside].filter((uid) => !rangesHold(this.#outcome.vanished, uid)).sort((a, b) => a - b);
    await this.#fetch(mailbox, rangesOfUids(again), uidNext, again);
  }

  /** UIDs set aside by earlier looks; those that rest now count as given up, so that they are reported still. */
  #setAsideBefore(): ReadonlySet<number> {
    const { suspects, givenUp } = this.#job.unfetchable;
    const { pauses } = this.#context;
    const uids = new Set(this.#setAside().map(({ uid }) => uid));
    pauses.keepOnly(this.#job.id, uids);
    for (const uid of uids) {
      suspects.add(uid);
      const paused = pauses.paused(this.#job.id, uid);
      if (paused) givenUp.set(uid, paused);
    }
    return uids;
  }

  /** Complete already, the mailbox would not be opened again, should what the count asks for not come to its end. */
  async #reopen(mailbox: SelectedMailbox, uidNext: number): Promise<void> {
    if (this.#incomplete) return;
    this.#commitPosition(uidNext, this.#job.known?.highestModSeq ?? mailbox.highestModSeq, false);
    await this.#settle();
  }

  /** What the server was found to have beside what it told. */
  async #fetchMissing(mailbox: SelectedMailbox, uidNext: number): Promise<void> {
    const { givenUp } = this.#job.unfetchable;
    const missing = this.#takeMissing().filter((uid) => !givenUp.has(uid));
    await this.#fetch(mailbox, rangesOfUids(missing), uidNext, missing);
  }

  /** `shown`: UIDs among them that the server has told of in this look, so that it must serve them. */
  async #fetch(
    mailbox: SelectedMailbox,
    asked: readonly UidRange[],
    uidNext: number,
    shown: readonly number[],
  ): Promise<void> {
    const { unfetchable, totals } = this.#job;
    const ranges = withoutUids(asked, unfetchable.givenUp);
    if (ranges.length === 0) return;
    const unserved = new Set(shown);
    const { progress } = this.#context;
    const { known } = this.#job;
    progress?.found(this.#job.account, countOfRanges(ranges));
    // Before the first whole look the changes since its beginning are what the next look has to ask for.
    const modSeq = known?.highestModSeq ?? mailbox.highestModSeq;
    await fetchMessages(
      this.#context,
      this.#connection,
      {
        account: this.#job.account,
        mailbox: this.#job.name,
        id: this.#job.id,
        ranges,
        idsFirst: !this.#job.firstLook,
        unfetchable,
      },
      async (window) => {
        this.#came += window.records.filter(({ uid }) => uid >= (known?.uidNext ?? 1)).length;
        const news = window.records.filter((record) => record.t === 'message' || this.#isNews(record));
        for (const record of window.records) {
          unserved.delete(record.uid);
          if (record.t === 'set-aside') this.#givenUp(record.uid);
        }
        const added = window.records.reduce((count, record) => count + (record.t === 'message' ? 1 : 0), 0);
        const reached = Math.min(window.upTo + 1, uidNext);
        totals.added += added;
        totals.bytes += window.bytes;
        this.#context.counters.messagesAdded += added;
        this.#context.counters.bytesFetched += window.bytes;
        progress?.fetched(added, window.bytes);
        if (news.length === 0) return;
        // The last step of a mailbox without removals carries its final position, which saves a commit.
        const final =
          window.last &&
          this.#flagChanges.length === 0 &&
          this.#outcome.vanished.length === 0 &&
          unserved.size === 0;
        if (this.#positioned) this.#commit(news);
        else if (final) this.#commitPosition(uidNext, mailbox.highestModSeq, true, news);
        else this.#commitPosition(reached, modSeq, false, news);
        // Two steps on their way keep the disk busy; more would only hold memory.
        if (this.#commits.length > 2) await this.#commits.shift();
      },
    );
    await this.#giveUpUnserved([...unserved].filter((uid) => !unfetchable.givenUp.has(uid)));
  }

  /**
   * The server has told of these, and left them out of its answer when it was asked for them: either they are gone by
   * now, or it cannot serve them, and its silence must not pass for their absence.
   */
  async #giveUpUnserved(uids: readonly number[]): Promise<void> {
    if (uids.length === 0) return;
    const { account, name, id, unfetchable } = this.#job;
    const shown = new Set<number>();
    // A session may go on listing what others have expunged: only one that opens the mailbox anew tells.
    this.#mustBeTheSame(await this.#connection.examine(name));
    await this.#connection.fetch(
      rangesOfUids([...uids].sort((a, b) => a - b)),
      { flags: true },
      ({ uid }) => {
        shown.add(uid);
      },
    );
    const records: SetAsideRecord[] = [];
    for (const uid of shown) {
      const detail = `UID ${uid} of ${account}/${name}: the server lists it and does not serve it`;
      const error = mailErrors.make('MAIL_MESSAGE_DAMAGED', detail);
      unfetchable.givenUp.set(uid, error);
      this.#givenUp(uid);
      records.push({ t: 'set-aside', id, uid, code: error.code, detail });
    }
    const news = records.filter((record) => this.#isNews(record));
    if (news.length > 0) this.#commit(news);
  }

  #givenUp(uid: number): void {
    const { id, unfetchable } = this.#job;
    if (!this.#setAside().some((row) => row.uid === uid)) unfetchable.newly.add(uid);
    const error = unfetchable.givenUp.get(uid);
    if (error) this.#context.pauses.failed(id, uid, error);
  }

  /** A message that stays set aside for the same cause is not journaled again. */
  #isNews(record: SetAsideRecord): boolean {
    return !this.#setAside().some((row) => row.uid === record.uid && row.code === record.code);
  }

  #compareFlags(uid: number, held: readonly string[], served: readonly string[]): void {
    const flags = normalizeFlags(served);
    if (flags.length === held.length && flags.every((flag, index) => flag === held[index])) return;
    this.#flagChanges.push({ t: 'flags', id: this.#job.id, uid, flags });
    this.#job.totals.flagsChanged += 1;
    this.#context.counters.flagsChanged += 1;
    if (this.#isTheSame && this.#flagChanges.length >= FLAG_CHANGES_PER_STEP) this.#commitFlags();
  }

  #commitFlags(): void {
    if (this.#flagChanges.length === 0) return;
    this.#commit(this.#flagChanges);
    this.#flagChanges = [];
  }

  async #settle(): Promise<void> {
    this.#commitFlags();
    await Promise.all(this.#commits.splice(0));
  }

  #commit(records: readonly StepRecord[]): void {
    this.#context.counters.recordsCommitted += records.length + 1;
    const commit = this.#context.deps.vault.commit(records);
    // Awaited in `run`; without this a failure before that would count as unhandled.
    commit.catch(() => {});
    this.#commits.push(commit);
  }

  #commitPosition(
    uidNext: number,
    modSeq: string | undefined,
    isFinal: boolean,
    news: readonly StepRecord[] = [],
  ): void {
    this.#reached = Math.max(this.#reached, uidNext);
    const position = this.#position(this.#reached, modSeq);
    this.#commit([...news, isFinal ? position : { ...position, complete: false }]);
    this.#positioned = isFinal;
    this.#incomplete = !isFinal;
  }

  #position(uidNext: number, highestModSeq: string | undefined): PositionRecord {
    return {
      t: 'position',
      id: this.#job.id,
      uidNext,
      ...(highestModSeq === undefined ? {} : { highestModSeq }),
    };
  }

  #held(uid: number): { readonly uid: number; readonly flags: readonly string[] } | undefined {
    const row = this.#context.deps.vault.catalog.messages(this.#job.id, { afterUid: uid - 1, limit: 1 })[0];
    return row?.uid === uid ? row : undefined;
  }

  #heldOf(ranges: readonly UidRange[]): UidRange[] {
    if (ranges.length === 0) return [];
    const held: number[] = [];
    if (countOfRanges(ranges) <= VANISHED_LOOKED_UP) {
      for (const uid of uidsOfRanges(ranges)) if (this.#held(uid)) held.push(uid);
    } else {
      for (const { uid } of this.#context.deps.vault.catalog.uidsWithFlags(this.#job.id)) {
        if (rangesHold(ranges, uid)) held.push(uid);
      }
    }
    // One that was set aside and is gone now is waited for no longer.
    for (const { uid } of this.#setAside()) if (rangesHold(ranges, uid)) held.push(uid);
    return rangesOfUids([...new Set(held)].sort((a, b) => a - b));
  }

  /**
   * UIDs below this are compared with the server's: also those that an interrupted look has committed beyond its
   * position, for their flags may have changed since. Fills in `#heldAhead`.
   */
  #heldBelow(uidNext: number): number {
    if (!this.#incomplete) return uidNext;
    let below = uidNext;
    for (;;) {
      const rows = this.#context.deps.vault.catalog.messages(this.#job.id, {
        afterUid: below - 1,
        limit: 5_000,
      });
      for (const { uid } of rows) this.#heldAhead.add(uid);
      below = (rows.at(-1)?.uid ?? below - 1) + 1;
      if (rows.length < 5_000) return below;
    }
  }

  #withoutHeldAhead(ranges: readonly UidRange[]): readonly UidRange[] {
    if (this.#heldAhead.size === 0) return ranges;
    const wanted: number[] = [];
    for (const uid of uidsOfRanges(ranges)) if (!this.#heldAhead.has(uid)) wanted.push(uid);
    return rangesOfUids(wanted);
  }

  async #highestUid(): Promise<number> {
    return (await this.#connection.search('ALL')).at(-1)?.to ?? 0;
  }
}

function withoutUids(ranges: readonly UidRange[], uids: { keys(): Iterable<number> }): readonly UidRange[] {
  const holes = [...uids.keys()].filter((uid) => rangesHold(ranges, uid)).sort((a, b) => a - b);
  if (holes.length === 0) return ranges;
  return ranges.flatMap(({ from, to }) => {
    const pieces: UidRange[] = [];
    let start = from;
    for (const hole of holes) {
      if (hole < start || hole > to) continue;
      if (hole > start) pieces.push({ from: start, to: hole - 1 });
      start = hole + 1;
    }
    if (start <= to) pieces.push({ from: start, to });
    return pieces;
  });
}

/** Both decimal; MODSEQs have up to 63 bits. */
function reaches(modSeq: string | undefined, known: string | undefined): boolean {
  return BigInt(modSeq ?? 0) >= BigInt(known ?? 0);
}
