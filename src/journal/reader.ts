/**
 * Reads a journal, also one that another process or thread is appending to: sees what was committed when it was opened or last
 * refreshed. Checks every frame it reads.
 */
import { hash } from 'node:crypto';
import { journalErrors, storageError } from './errors.ts';
import { endsCommitted } from './frame.ts';
import { entriesOf, type OpenFrame, openFrame, recordOf } from './frame-payload.ts';
import { checkKey, type JournalReaderOptions, storageOf } from './options.ts';
import type { BodyRecord, JournalEntry, Lsn } from './records.ts';
import { writeUnprovenAgain } from './recover.ts';
import {
  findTailByHeaders,
  judgeStop,
  positionAfter,
  readFrameAt,
  type ScanStop,
  SegmentWindow,
  type StoredFrame,
  scanFrames,
  scanHeaders,
  startOf,
  type Tail,
} from './scan.ts';
import { FORMAT_VERSION, journalIdText } from './segment-header.ts';
import { commonJournalId, faultError, loadSegments, type Segment } from './segments.ts';
import type { SegmentStorage } from './storage.ts';
import { type VerifyProgress, type VerifyReport, verifyJournal } from './verify.ts';
import type { FrameLocation } from './writer.ts';

/** A frame and those of its records that were asked for. */
export interface JournalFrame extends FrameLocation {
  readonly entries: readonly JournalEntry[];
}

export interface SegmentInfo {
  readonly name: string;
  readonly firstLsn: Lsn;
  /** The last committed record in it; one less than `firstLsn` when it has none yet. */
  readonly lastLsn: Lsn;
  readonly bytes: number;
  readonly sealed: boolean;
}

export interface JournalInfo {
  readonly journalId: string;
  readonly formatVersion: number;
  readonly location: string;
  readonly encrypted: boolean;
  readonly segments: readonly SegmentInfo[];
  readonly frames: number;
  /** Bytes of the segment files. */
  readonly storedBytes: number;
  /** Bytes of the records before compression. */
  readonly rawBytes: number;
  /** 0 and 0 when nothing is committed yet. */
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
  /** Wall times of the first (as far as frames tell) and last commit, ms; absent when nothing is committed yet. */
  readonly firstTime?: number;
  readonly lastTime?: number;
}

/** Where a frame begins, as `onFrame` said. A hint: when it is wrong the frame is looked for. */
export interface FrameHint {
  readonly segment: string;
  readonly offset: number;
}

/** Decompressed frames kept: neighbouring messages share one. */
const FRAMES_KEPT = 8;
/** A body that is a view keeps its frame in memory, so it is one only where the frame is not many times as large. */
const FRAME_PER_BODY_MOST = 8;
/** Frames decompressed ahead of the consumer of `frames`. */
const FRAMES_AHEAD = 2;

export class JournalReader {
  readonly journalId: string;
  readonly #storage: SegmentStorage;
  readonly #key: Uint8Array | undefined;
  readonly #id: Buffer;
  #segments: readonly Segment[];
  #tail: Tail;
  /** By position, least recently used first. */
  readonly #kept = new Map<string, OpenFrame>();

  /**
   * @throws JOURNAL_NOT_FOUND, JOURNAL_DAMAGED, JOURNAL_SEGMENT_*, JOURNAL_KEY_*, JOURNAL_VERSION_UNKNOWN, JOURNAL_STORAGE_FAILED.
   * Changes nothing. A torn end is left alone: it is not visible.
   */
  static async open(options: JournalReaderOptions): Promise<JournalReader> {
    const storage = storageOf(options.storage);
    const key = checkKey(options.key);
    try {
      const { segments, tail } = await loadJournal(storage, key, options.near);
      return new JournalReader(storage, key, segments, tail);
    } catch (error) {
      await storage.close();
      throw error;
    }
  }

  private constructor(
    storage: SegmentStorage,
    key: Uint8Array | undefined,
    segments: readonly Segment[],
    tail: Tail,
  ) {
    this.#storage = storage;
    this.#key = key;
    this.#id = commonJournalId(segments);
    this.journalId = journalIdText(this.#id);
    this.#segments = segments;
    this.#tail = tail;
  }

  /** LSN of the last commit that this reader sees; 0 when there is none. */
  get committedLsn(): Lsn {
    return this.#tail.committedLsn;
  }

  /** Wall time of that commit, ms; 0 when there is none. */
  get committedTime(): number {
    return this.#tail.committedTime;
  }

  /** Looks for what was committed since; returns the new `committedLsn`. @throws as `open` */
  async refresh(): Promise<Lsn> {
    const last = this.#segments.at(-1) as Segment;
    const stored = await guarded(`list the segments in ${this.#storage.location}`, () =>
      this.#storage.list(),
    );
    const lastStored = stored.at(-1);
    if (lastStored?.name === last.name && lastStored.size === last.size) return this.committedLsn;
    const { committed, committedLsn } = this.#tail;
    const { segments, tail } =
      lastStored?.name === last.name
        ? await this.#extend({ ...last, size: lastStored.size, sealed: lastStored.sealed })
        : await loadJournal(this.#storage, this.#key);
    // A writer that failed to sync cuts commits which a reader may have seen in the page cache.
    if (tail.committedLsn < committedLsn || tail.committed.offset < committed.offset) this.#kept.clear();
    this.#segments = segments;
    this.#tail = tail;
    return this.committedLsn;
  }

  /**
   * Reads the journal's end anew, and makes sure that all of it is durable: what a writer that died left in the page cache alone a power cut
   * would still take, and nothing may be built on that. Only for whoever has the lock of the journal's writer. Changes no byte.
   * @throws as `open`; JOURNAL_STORAGE_FULL
   */
  async makeDurable(): Promise<void> {
    const { segments, tail } = await loadJournal(this.#storage, this.#key);
    this.#kept.clear();
    this.#segments = segments;
    this.#tail = tail;
    const last = segments.at(-1) as Segment;
    await guarded(`make segment ${last.name} durable`, () => writeUnprovenAgain(this.#storage, last, tail));
  }

  /** Committed records from `fromLsn` to `toLsn` (default: to the end as seen now). Byte strings are views: copy what outlives the loop. */
  async *entries(fromLsn: Lsn, toLsn: Lsn = this.committedLsn): AsyncGenerator<JournalEntry, void> {
    for await (const frame of this.frames(fromLsn, toLsn)) yield* frame.entries;
  }

  /**
   * As `entries`, frame by frame with their locations: what an index is rebuilt from. Memory: a few frames.
   * `hint` says where the first frame begins, for who reads a little again and again.
   * @throws JOURNAL_DAMAGED where it is met, after everything before it was given
   */
  async *frames(
    fromLsn: Lsn,
    toLsn: Lsn = this.committedLsn,
    hint?: FrameHint,
  ): AsyncGenerator<JournalFrame, void> {
    const end = Math.min(toLsn, this.committedLsn) as Lsn;
    const ahead: Promise<JournalFrame>[] = [];
    for await (const { segment, frame } of this.#storedFrames(Math.max(1, fromLsn) as Lsn, end, hint)) {
      const opening = this.#open(segment, frame).then((open) => this.#withEntries(open, fromLsn, end));
      // Errors are met where the frame is awaited below; until then they must not count as unhandled.
      opening.catch(() => {});
      ahead.push(opening);
      if (ahead.length > FRAMES_AHEAD) yield await (ahead.shift() as Promise<JournalFrame>);
    }
    for (const frame of ahead) yield await frame;
  }

  /**
   * The bytes of the body whose first piece has this LSN, checked against its SHA-256; not to be written to. A function as `hint` is asked
   * only where the frame is not at hand.
   * @throws JOURNAL_LSN_UNKNOWN, JOURNAL_NOT_A_BODY, JOURNAL_DAMAGED
   */
  async body(lsn: Lsn, hint?: FrameHint | (() => FrameHint | undefined)): Promise<Buffer> {
    let frame = await this.#frameWith(lsn, hint);
    const first = this.#recordIn(frame, lsn);
    if (first.t !== 'body' || first.at !== 0) {
      throw journalErrors.make(
        'JOURNAL_NOT_A_BODY',
        `LSN ${lsn} of journal ${this.#storage.location} is not the start of a body`,
      );
    }
    const { size } = first;
    const start = Buffer.from(first.data.buffer, first.data.byteOffset, first.data.length);
    const isView = start.length === size && size * FRAME_PER_BODY_MOST >= frame.raw.length;
    const body = isView ? start : Buffer.allocUnsafe(size);
    let filled = isView ? size : start.copy(body);
    for (let next = (lsn + 1) as Lsn; filled < size; next = (next + 1) as Lsn) {
      if (next > frame.lastLsn) {
        frame = await this.#frameWith(next, { segment: frame.segment, offset: frame.offset + frame.length });
      }
      const piece = this.#recordIn(frame, next);
      if (!continuesBody(piece, first, filled)) {
        throw this.#damaged(frame, next, `the body that begins at LSN ${lsn} is not continued`);
      }
      body.set(piece.data, filled);
      filled += piece.data.length;
    }
    if (hash('sha256', body, 'buffer').compare(first.hash) !== 0) {
      throw this.#damaged(frame, lsn, 'body does not match its SHA-256');
    }
    return body;
  }

  /** The frame that holds this record, found by the segments' names and the frames' headers. @throws JOURNAL_LSN_UNKNOWN, JOURNAL_DAMAGED */
  async locate(lsn: Lsn): Promise<FrameLocation> {
    if (lsn < 1 || lsn > this.committedLsn) {
      throw journalErrors.make(
        'JOURNAL_LSN_UNKNOWN',
        `LSN ${lsn} is not in journal ${this.#storage.location}, whose last committed LSN is ${this.committedLsn}`,
      );
    }
    const segment = this.#segments.findLast((candidate) => candidate.header.firstLsn <= lsn) as Segment;
    const heads = scanHeaders(this.#storage, segment, startOf(segment));
    for (;;) {
      const next = await heads.next();
      if (next.done) throw this.#stopped(segment, next.value);
      const { header, offset, length } = next.value;
      const lastLsn = (header.firstLsn + header.recordCount - 1) as Lsn;
      if (lastLsn >= lsn)
        return { firstLsn: header.firstLsn, lastLsn, segment: segment.name, offset, length };
    }
  }

  /** The whole journal, not only what this reader sees; see `verifyJournal`. */
  verify(onProgress: (progress: VerifyProgress) => void = () => {}): Promise<VerifyReport> {
    return verifyJournal({ storage: this.#storage, ...(this.#key ? { key: this.#key } : {}) }, onProgress);
  }

  /** Reads the headers of all frames. @throws JOURNAL_DAMAGED */
  async info(): Promise<JournalInfo> {
    let frames = 0;
    let rawBytes = 0;
    let firstTime: number | undefined;
    const segments: SegmentInfo[] = [];
    for (const segment of this.#segments) {
      const { firstLsn } = segment.header;
      let lastLsn = (firstLsn - 1) as Lsn;
      const heads = scanHeaders(this.#storage, segment, startOf(segment));
      let next = await heads.next();
      for (; !next.done; next = await heads.next()) {
        const { header } = next.value;
        const frameEnd = (header.firstLsn + header.recordCount - 1) as Lsn;
        if (frameEnd > this.committedLsn) break;
        frames += 1;
        rawBytes += header.rawBytes;
        lastLsn = frameEnd;
        if (header.commitLsn > 0) firstTime ??= header.commitTime;
      }
      if (next.done && next.value.invalid && next.value.position.nextLsn <= this.committedLsn) {
        throw this.#stopped(segment, next.value);
      }
      segments.push({ name: segment.name, firstLsn, lastLsn, bytes: segment.size, sealed: segment.sealed });
    }
    return {
      journalId: this.journalId,
      formatVersion: FORMAT_VERSION,
      location: this.#storage.location,
      encrypted: this.#segments[0]?.header.encryption !== undefined,
      segments,
      frames,
      storedBytes: this.#segments.reduce((sum, segment) => sum + segment.size, 0),
      rawBytes,
      firstLsn: Math.min(1, this.committedLsn) as Lsn,
      lastLsn: this.committedLsn,
      ...(firstTime === undefined ? {} : { firstTime, lastTime: this.committedTime }),
    };
  }

  async close(): Promise<void> {
    this.#kept.clear();
    await this.#storage.close();
  }

  /** The same last segment, larger or smaller than before. */
  async #extend(last: Segment): Promise<{ segments: Segment[]; tail: Tail }> {
    const tail = await visibleTail(this.#storage, this.#id, last, this.#tail);
    return { segments: [...this.#segments.slice(0, -1), last], tail };
  }

  async *#storedFrames(
    fromLsn: Lsn,
    toLsn: Lsn,
    hint: FrameHint | undefined,
  ): AsyncGenerator<{ segment: Segment; frame: StoredFrame }, void> {
    if (fromLsn > toLsn) return;
    const { segment: firstName, offset } =
      hint && (await this.#holds(hint, fromLsn)) ? hint : await this.locate(fromLsn);
    const segments = this.#segments;
    let index = segments.findIndex((segment) => segment.name === firstName);
    const start = await this.#readAt(segments[index] as Segment, offset, fromLsn);
    let from = { offset, nextLsn: start.header.firstLsn, previousHash: start.header.previousHash };
    for (;;) {
      const segment = segments[index] as Segment;
      const frames = scanFrames(this.#storage, this.#id, segment, from);
      let next = await frames.next();
      for (; !next.done; next = await frames.next()) {
        const { header } = next.value;
        if (header.firstLsn > toLsn) return;
        if (header.recordCount > 0) yield { segment, frame: next.value };
      }
      const { position } = next.value;
      if (position.nextLsn > toLsn) return;
      const following = segments[index + 1];
      if (next.value.invalid !== undefined || !following) throw this.#stopped(segment, next.value);
      if (
        following.header.firstLsn !== position.nextLsn ||
        !following.header.previousHash.equals(position.previousHash)
      ) {
        throw this.#stopped(segment, { position, invalid: `segment ${following.name} does not continue it` });
      }
      index += 1;
      from = startOf(following);
    }
  }

  async #frameWith(
    lsn: Lsn,
    hint: FrameHint | (() => FrameHint | undefined) | undefined,
  ): Promise<OpenFrame> {
    for (const [place, frame] of this.#kept) {
      if (frame.firstLsn > lsn || frame.lastLsn < lsn) continue;
      this.#keep(place, frame);
      return frame;
    }
    if (lsn > this.committedLsn) await this.refresh();
    const told = typeof hint === 'function' ? hint() : hint;
    const hinted = told && (await this.#tryHint(lsn, told));
    if (hinted) return hinted;
    const { segment: name, offset } = await this.locate(lsn);
    const segment = this.#segments.find((candidate) => candidate.name === name) as Segment;
    return this.#open(segment, await this.#readAt(segment, offset, lsn));
  }

  async #tryHint(lsn: Lsn, hint: FrameHint): Promise<OpenFrame | undefined> {
    const found = await this.#frameAtHint(lsn, hint);
    return found && this.#open(found.segment, found.frame);
  }

  async #holds(hint: FrameHint, lsn: Lsn): Promise<boolean> {
    return (await this.#frameAtHint(lsn, hint)) !== undefined;
  }

  async #frameAtHint(
    lsn: Lsn,
    hint: FrameHint,
  ): Promise<{ segment: Segment; frame: StoredFrame } | undefined> {
    const segment = this.#segments.find((candidate) => candidate.name === hint.segment);
    if (!segment || lsn > this.committedLsn) return undefined;
    const window = new SegmentWindow(this.#storage, segment.name, segment.size, HINT_WINDOW_BYTES);
    const frame = await readFrameAt(window, this.#id, hint.offset);
    if (typeof frame === 'string') return undefined;
    const { firstLsn, recordCount } = frame.header;
    return lsn < firstLsn || lsn >= firstLsn + recordCount ? undefined : { segment, frame };
  }

  async #readAt(segment: Segment, offset: number, lsn: Lsn): Promise<StoredFrame> {
    const window = new SegmentWindow(this.#storage, segment.name, segment.size, HINT_WINDOW_BYTES);
    const frame = await readFrameAt(window, this.#id, offset);
    if (typeof frame === 'string') throw this.#damaged({ segment: segment.name, offset }, lsn, frame);
    return frame;
  }

  async #open(segment: Segment, stored: StoredFrame): Promise<OpenFrame> {
    try {
      const frame = await openFrame(this.#id, segment, stored);
      this.#keep(`${segment.name}:${stored.offset}`, frame);
      return frame;
    } catch (error) {
      throw this.#damaged(
        { segment: segment.name, offset: stored.offset },
        stored.header.firstLsn,
        String(error),
      );
    }
  }

  #keep(place: string, frame: OpenFrame): void {
    this.#kept.delete(place);
    this.#kept.set(place, frame);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > FRAMES_KEPT) this.#kept.delete(oldest as string);
  }

  #recordIn(frame: OpenFrame, lsn: Lsn) {
    try {
      return recordOf(frame, lsn);
    } catch (error) {
      throw this.#damaged(frame, lsn, String(error));
    }
  }

  #withEntries(frame: OpenFrame, fromLsn: Lsn, toLsn: Lsn): JournalFrame {
    const { raw: _, ...location } = frame;
    try {
      return { ...location, entries: [...entriesOf(frame, fromLsn, toLsn)] };
    } catch (error) {
      throw this.#damaged(frame, frame.firstLsn, String(error));
    }
  }

  #damaged(at: { segment: string; offset: number }, lsn: Lsn, what: string) {
    const { segment, offset } = at;
    return faultError(this.#storage.location, { code: 'JOURNAL_DAMAGED', segment, offset, lsn, what });
  }

  #stopped(segment: Segment, stop: ScanStop) {
    const { offset, nextLsn } = stop.position;
    const what = stop.invalid ?? 'the segment ends before records that were committed';
    return this.#damaged({ segment: segment.name, offset }, nextLsn, what);
  }
}

/** Enough for most frames in one read. */
const HINT_WINDOW_BYTES = 512 << 10;

function continuesBody(piece: { t: string }, first: BodyRecord, at: number): piece is BodyRecord {
  if (piece.t !== 'body') return false;
  const body = piece as BodyRecord;
  return (
    body.at === at &&
    body.size === first.size &&
    body.data.length > 0 &&
    at + body.data.length <= first.size &&
    Buffer.compare(body.hash, first.hash) === 0
  );
}

async function loadJournal(
  storage: SegmentStorage,
  key: Uint8Array | undefined,
  near?: FrameHint,
): Promise<{ segments: Segment[]; tail: Tail }> {
  const { segments, faults } = await loadSegments(storage, key);
  if (faults[0]) throw faultError(storage.location, faults[0]);
  const last = segments.at(-1);
  if (!last) throw journalErrors.make('JOURNAL_NOT_FOUND', `there is no journal in ${storage.location}`);
  const id = commonJournalId(segments);
  const known = near?.segment === last.name ? await tailAfter(storage, id, last, near.offset) : undefined;
  return { segments, tail: await visibleTail(storage, id, last, known) };
}

/** The end as somebody knows it who read up to the frame at `offset`; undefined where none begins there, or it ends no commit. */
async function tailAfter(
  storage: SegmentStorage,
  journalId: Buffer,
  segment: Segment,
  offset: number,
): Promise<Tail | undefined> {
  const window = new SegmentWindow(storage, segment.name, segment.size, HINT_WINDOW_BYTES);
  const frame = await readFrameAt(window, journalId, offset);
  if (typeof frame === 'string' || !endsCommitted(frame.header)) return undefined;
  const committed = positionAfter(frame);
  return {
    committed,
    committedLsn: (committed.nextLsn - 1) as Lsn,
    committedTime: frame.header.commitTime,
    provenLsn: frame.header.durableLsn,
    unprovenOffset: offset,
    uncommittedRecords: 0,
    uncommittedBytes: 0,
    stop: { position: committed },
  };
}

/** @throws JOURNAL_DAMAGED when what follows the visible end is more than a torn or unfinished write */
async function visibleTail(
  storage: SegmentStorage,
  journalId: Buffer,
  last: Segment,
  known?: Tail,
): Promise<Tail> {
  const tail = await findTailByHeaders(storage, journalId, last, known);
  const damage = await judgeStop(storage, journalId, last, tail.stop);
  if (damage) throw faultError(storage.location, damage);
  return tail;
}

async function guarded<T>(doing: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw storageError(error, doing);
  }
}
