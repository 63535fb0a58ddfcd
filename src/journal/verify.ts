/** Checks every byte of a journal: headers, hash chain, records, bodies. Goes on after a fault and names each. */
import { createHash, type Hash } from 'node:crypto';
import { messageOf } from '../lib/index.ts';
import { journalErrors } from './errors.ts';
import { entriesOf, openFrame } from './frame-payload.ts';
import { checkKey, type JournalReaderOptions, storageOf } from './options.ts';
import type { BodyRecord, Lsn } from './records.ts';
import { type FramePosition, findFrame, judgeStop, type StoredFrame, scanFrames, startOf } from './scan.ts';
import { journalIdText } from './segment-header.ts';
import { commonJournalId, type Fault, faultError, loadSegments, type Segment } from './segments.ts';
import type { SegmentStorage } from './storage.ts';

export interface VerifyProgress {
  readonly segment: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

export interface VerifyReport {
  readonly location: string;
  readonly journalId: string;
  readonly ok: boolean;
  readonly faults: readonly Fault[];
  /** An unfinished write at the end; not a fault: the next opening for writing cuts it. */
  readonly torn?: { readonly segment: string; readonly offset: number; readonly bytes: number };
  readonly segments: number;
  readonly frames: number;
  readonly records: number;
  readonly commits: number;
  readonly bodies: number;
  /** Bytes of the segment files, of the records in them, and of the bodies in those. */
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly bodyBytes: number;
  /** Last commit found, 0 when there is none. */
  readonly committedLsn: Lsn;
  readonly committedTime: number;
  /** Where that commit's frame ends; the start of the first segment when there is none. */
  readonly end: { readonly segment: string; readonly offset: number };
}

/**
 * @throws JOURNAL_NOT_FOUND; JOURNAL_KEY_MISSING, JOURNAL_KEY_WRONG, JOURNAL_VERSION_UNKNOWN (nothing can be said then);
 * JOURNAL_STORAGE_FAILED. Everything else is a fault in the report. Changes nothing; the writer may go on meanwhile.
 */
export async function verifyJournal(
  options: JournalReaderOptions,
  onProgress: (progress: VerifyProgress) => void = () => {},
): Promise<VerifyReport> {
  const storage = storageOf(options.storage);
  try {
    const { segments, faults } = await loadSegments(storage, checkKey(options.key));
    const fatal = faults.find(
      ({ code }) => code.startsWith('JOURNAL_KEY') || code === 'JOURNAL_VERSION_UNKNOWN',
    );
    if (fatal) throw faultError(storage.location, fatal);
    if (segments.length === 0 && faults.length === 0) {
      throw journalErrors.make('JOURNAL_NOT_FOUND', `there is no journal in ${storage.location}`);
    }
    return await new Verification(storage, segments, faults).run(onProgress);
  } finally {
    if (typeof options.storage === 'string') await storage.close();
  }
}

class Verification {
  readonly #storage: SegmentStorage;
  readonly #segments: readonly Segment[];
  readonly #journalId: Buffer;
  readonly #faults: Fault[];
  #torn: VerifyReport['torn'];
  #body: { first: BodyRecord; lsn: Lsn; filled: number; digest: Hash } | undefined;
  #lastTime = 0;
  readonly #counts = { frames: 0, records: 0, commits: 0, bodies: 0, rawBytes: 0, bodyBytes: 0 };
  #committedLsn = 0 as Lsn;
  #end: VerifyReport['end'];

  constructor(storage: SegmentStorage, segments: readonly Segment[], faults: readonly Fault[]) {
    this.#storage = storage;
    this.#segments = segments;
    this.#journalId = commonJournalId(segments);
    this.#faults = [...faults];
    this.#end = { segment: segments[0]?.name ?? '', offset: 0 };
  }

  async run(onProgress: (progress: VerifyProgress) => void): Promise<VerifyReport> {
    const bytesTotal = this.#segments.reduce((sum, segment) => sum + segment.size, 0);
    let bytesBefore = 0;
    let previous: { segment: Segment; end: FramePosition } | undefined;
    for (const [index, segment] of this.#segments.entries()) {
      // What is foreign or misplaced was named already; its frames say nothing about this journal.
      if (this.#faults.some(({ segment: name, code }) => name === segment.name && unusable.has(code)))
        continue;
      if (previous) this.#checkLink(previous, segment);
      const end = await this.#checkSegment(segment, index === this.#segments.length - 1, (offset) =>
        onProgress({ segment: segment.name, bytesDone: bytesBefore + offset, bytesTotal }),
      );
      previous = { segment, end };
      bytesBefore += segment.size;
      onProgress({ segment: segment.name, bytesDone: bytesBefore, bytesTotal });
    }
    return {
      location: this.#storage.location,
      journalId: journalIdText(this.#journalId),
      ok: this.#faults.length === 0,
      faults: this.#faults,
      ...(this.#torn ? { torn: this.#torn } : {}),
      segments: this.#segments.length,
      storedBytes: bytesTotal,
      ...this.#counts,
      committedLsn: this.#committedLsn,
      committedTime: this.#lastTime,
      end: this.#end,
    };
  }

  /** Whether `segment` begins where the one before ended; a gap in their numbers was named already. */
  #checkLink(previous: { segment: Segment; end: FramePosition }, segment: Segment): void {
    if (segment.header.ordinal !== previous.segment.header.ordinal + 1) return;
    const { name, header } = segment;
    const { nextLsn, previousHash, offset } = previous.end;
    if (header.firstLsn !== nextLsn) {
      const what = `the segment ends with LSN ${nextLsn - 1}, the next, ${name}, begins with ${header.firstLsn}`;
      this.#fault(previous.segment, offset, nextLsn, what);
    } else if (!header.previousHash.equals(previousHash)) {
      const what = `does not continue segment ${previous.segment.name} (chain broken)`;
      this.#fault(segment, 0, header.firstLsn, what);
    }
  }

  async #checkSegment(
    segment: Segment,
    isLast: boolean,
    onOffset: (offset: number) => void,
  ): Promise<FramePosition> {
    let from = startOf(segment);
    for (;;) {
      const frames = scanFrames(this.#storage, this.#journalId, segment, from);
      let next = await frames.next();
      for (; !next.done; next = await frames.next()) {
        await this.#checkFrame(segment, next.value);
        onOffset(next.value.offset + next.value.length);
      }
      const { position, invalid } = next.value;
      if (invalid === undefined) return position;
      this.#body = undefined;
      const { offset, nextLsn } = position;
      if (isLast && !(await judgeStop(this.#storage, this.#journalId, segment, next.value))) {
        this.#torn = { segment: segment.name, offset, bytes: segment.size - offset };
        return position;
      }
      this.#fault(segment, offset, nextLsn, invalid);
      const found = await findFrame(this.#storage, this.#journalId, segment, offset);
      if (!found) return position;
      const { firstLsn, previousHash } = found.header;
      from = { offset: found.offset, nextLsn: firstLsn, previousHash };
    }
  }

  async #checkFrame(segment: Segment, stored: StoredFrame): Promise<void> {
    let lsn = stored.header.firstLsn;
    try {
      const frame = await openFrame(this.#journalId, segment, stored);
      for (const { lsn: recordLsn, record } of entriesOf(frame, frame.firstLsn, frame.lastLsn)) {
        lsn = recordLsn;
        this.#counts.records += 1;
        if (record.t === 'body') this.#checkPiece(segment, stored.offset, recordLsn, record);
        else if (this.#body) {
          this.#fault(segment, stored.offset, this.#body.lsn, 'body is not complete');
          this.#body = undefined;
        }
        if (record.t === 'commit') this.#checkCommit(segment, stored, recordLsn, record.time);
      }
      this.#counts.frames += 1;
      this.#counts.rawBytes += stored.header.rawBytes;
    } catch (error) {
      this.#fault(segment, stored.offset, lsn, messageOf(error));
    }
  }

  #checkPiece(segment: Segment, offset: number, lsn: Lsn, piece: BodyRecord): void {
    if (piece.at === 0) {
      if (this.#body) this.#fault(segment, offset, this.#body.lsn, 'body is not complete');
      const first = { ...piece, hash: Buffer.from(piece.hash), data: Buffer.alloc(0) };
      this.#body = { first, lsn, filled: 0, digest: createHash('sha256') };
    }
    const body = this.#body;
    // Without its beginning (which a fault named) nothing can be said about the rest of a body.
    if (!body) return;
    if (
      piece.at !== body.filled ||
      piece.size !== body.first.size ||
      Buffer.compare(piece.hash, body.first.hash)
    ) {
      this.#fault(segment, offset, lsn, 'piece does not continue the body before it');
      this.#body = undefined;
      return;
    }
    body.digest.update(piece.data);
    body.filled += piece.data.length;
    if (body.filled < piece.size) return;
    this.#body = undefined;
    this.#counts.bodies += 1;
    this.#counts.bodyBytes += piece.size;
    if (body.filled > piece.size || body.digest.digest().compare(piece.hash) !== 0) {
      this.#fault(segment, offset, body.lsn, 'body does not match its SHA-256');
    }
  }

  #checkCommit(segment: Segment, stored: StoredFrame, lsn: Lsn, time: number): void {
    this.#counts.commits += 1;
    if (time < this.#lastTime) {
      this.#fault(
        segment,
        stored.offset,
        lsn,
        `commit time ${time} is before that of the last commit, ${this.#lastTime}`,
      );
    }
    this.#lastTime = time;
    this.#committedLsn = lsn;
    this.#end = { segment: segment.name, offset: stored.offset + stored.length };
  }

  #fault(segment: Segment, offset: number, lsn: Lsn, what: string): void {
    this.#faults.push({ code: 'JOURNAL_DAMAGED', segment: segment.name, offset, lsn, what });
  }
}

const unusable = new Set<string>(['JOURNAL_SEGMENT_FOREIGN', 'JOURNAL_SEGMENT_MISPLACED']);
