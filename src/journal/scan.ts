/** Walks the frames of one segment and judges where the walk stops. */
import { storageError } from './errors.ts';
import {
  decodeFrameHeader,
  endsCommitted,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  type FrameHeader,
  frameMatches,
  lastLsnOf,
  PLAIN_FRAME,
} from './frame.ts';
import type { Lsn } from './records.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { type Fault, faultError, type Segment } from './segments.ts';
import type { SegmentStorage } from './storage.ts';

/** A place between frames: what must come next. */
export interface FramePosition {
  readonly offset: number;
  readonly nextLsn: Lsn;
  readonly previousHash: Buffer;
}

export interface StoredFrame {
  readonly offset: number;
  /** Header and payload. */
  readonly length: number;
  readonly header: FrameHeader;
  readonly headerBytes: Buffer;
  readonly stored: Buffer;
}

/** Why a walk stopped: at the end of the segment, or before bytes that are no valid continuation. */
export interface ScanStop {
  readonly position: FramePosition;
  readonly invalid?: string;
}

export function startOf(segment: Segment): FramePosition {
  return {
    offset: SEGMENT_HEADER_BYTES,
    nextLsn: segment.header.firstLsn,
    previousHash: segment.headerHash,
  };
}

export function positionAfter(frame: { offset: number; length: number; header: FrameHeader }): FramePosition {
  return {
    offset: frame.offset + frame.length,
    nextLsn: (lastLsnOf(frame.header) + 1) as Lsn,
    previousHash: frame.header.hash,
  };
}

/** Reads a segment through a window, so that small frames do not cost a read each. */
export class SegmentWindow {
  readonly #storage: SegmentStorage;
  readonly name: string;
  readonly size: number;
  readonly #windowBytes: number;
  #start = 0;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(storage: SegmentStorage, name: string, size: number, windowBytes: number) {
    this.#storage = storage;
    this.name = name;
    this.size = size;
    this.#windowBytes = windowBytes;
  }

  /** A view of up to `length` bytes at `offset`; shorter where the segment ends. */
  async bytes(offset: number, length: number): Promise<Buffer> {
    const wanted = Math.max(0, Math.min(length, this.size - offset));
    if (offset < this.#start || offset + wanted > this.#start + this.#bytes.length) {
      const span = Math.min(Math.max(wanted, this.#windowBytes), this.size - offset);
      this.#bytes = span > 0 ? await readBytes(this.#storage, this.name, offset, span) : Buffer.alloc(0);
      this.#start = offset;
    }
    const from = offset - this.#start;
    return this.#bytes.subarray(from, from + wanted);
  }
}

export async function readBytes(
  storage: SegmentStorage,
  name: string,
  offset: number,
  length: number,
): Promise<Buffer> {
  try {
    return await storage.read(name, offset, length);
  } catch (error) {
    throw storageError(error, `read segment ${name} at offset ${offset}`);
  }
}

const WINDOW_BYTES = 1 << 20;
const HEADER_WINDOW_BYTES = 16 << 10;

/** The frame at `offset`, valid by itself (checksum, limits), or what is wrong. */
export async function readFrameAt(
  window: SegmentWindow,
  journalId: Buffer,
  offset: number,
): Promise<StoredFrame | string> {
  const headerBytes = await window.bytes(offset, FRAME_HEADER_BYTES);
  const header = decodeFrameHeader(headerBytes);
  if (typeof header === 'string') return header;
  const length = FRAME_HEADER_BYTES + header.storedBytes;
  const frame = await window.bytes(offset, length);
  if (frame.length < length) return 'frame cut short';
  const stored = frame.subarray(FRAME_HEADER_BYTES);
  if (!frameMatches(journalId, frame, stored)) return 'frame does not match its checksum';
  return { offset, length, header, headerBytes: frame.subarray(0, FRAME_HEADER_BYTES), stored };
}

/** Frames from `from` on that are valid and continue each other; returns why it stopped. Reads at most one frame ahead. */
export async function* scanFrames(
  storage: SegmentStorage,
  journalId: Buffer,
  segment: { readonly name: string; readonly size: number },
  from: FramePosition,
): AsyncGenerator<StoredFrame, ScanStop> {
  const window = new SegmentWindow(storage, segment.name, segment.size, WINDOW_BYTES);
  let position = from;
  while (position.offset < segment.size) {
    const frame = await readFrameAt(window, journalId, position.offset);
    if (typeof frame === 'string') return { position, invalid: frame };
    const gap = discontinuity(frame.header, position);
    if (gap) return { position, invalid: gap };
    yield frame;
    position = positionAfter(frame);
  }
  return { position };
}

export interface FrameHead {
  readonly offset: number;
  readonly length: number;
  readonly header: FrameHeader;
}

/** As `scanFrames`, by headers alone: payloads are neither read nor checked, only known to be there in full. */
export async function* scanHeaders(
  storage: SegmentStorage,
  segment: { readonly name: string; readonly size: number },
  from: FramePosition,
): AsyncGenerator<FrameHead, ScanStop> {
  const window = new SegmentWindow(storage, segment.name, segment.size, HEADER_WINDOW_BYTES);
  let position = from;
  while (position.offset < segment.size) {
    const header = decodeFrameHeader(await window.bytes(position.offset, FRAME_HEADER_BYTES));
    if (typeof header === 'string') return { position, invalid: header };
    const gap = discontinuity(header, position);
    if (gap) return { position, invalid: gap };
    const length = FRAME_HEADER_BYTES + header.storedBytes;
    if (position.offset + length > segment.size) return { position, invalid: 'frame cut short' };
    yield { offset: position.offset, length, header };
    position = positionAfter({ offset: position.offset, length, header });
  }
  return { position };
}

/** What breaks the chain between `position` and a frame there, if anything does. */
export function discontinuity(header: FrameHeader, position: FramePosition): string | undefined {
  if (header.firstLsn !== position.nextLsn) {
    return `frame begins with LSN ${header.firstLsn} where ${position.nextLsn} was expected`;
  }
  if (!header.previousHash.equals(position.previousHash)) {
    return 'frame does not continue the one before it (chain broken)';
  }
  return undefined;
}

/** The first frame valid by itself that begins at `from` or later, whatever lies between. */
export async function findFrame(
  storage: SegmentStorage,
  journalId: Buffer,
  segment: { readonly name: string; readonly size: number },
  from: number,
): Promise<StoredFrame | undefined> {
  const search = new SegmentWindow(storage, segment.name, segment.size, WINDOW_BYTES);
  const frames = new SegmentWindow(storage, segment.name, segment.size, WINDOW_BYTES);
  let at = from;
  while (at + FRAME_HEADER_BYTES <= segment.size) {
    const bytes = await search.bytes(at, WINDOW_BYTES);
    let hit = bytes.indexOf(FRAME_MAGIC);
    while (hit >= 0) {
      const frame = await readFrameAt(frames, journalId, at + hit);
      if (typeof frame !== 'string') return frame;
      hit = bytes.indexOf(FRAME_MAGIC, hit + 1);
    }
    // The magic may lie across the edge of two windows.
    at += Math.max(1, bytes.length - (FRAME_MAGIC.length - 1));
  }
  return undefined;
}

/**
 * Torn or damaged: an invalid frame at `stop` is damage when the segment is sealed or when a later frame says that the LSN
 * expected there had been synced. Undefined = torn: a crash explains it.
 */
export async function judgeStop(
  storage: SegmentStorage,
  journalId: Buffer,
  segment: { readonly name: string; readonly size: number; readonly sealed: boolean },
  stop: ScanStop,
): Promise<Fault | undefined> {
  if (stop.invalid === undefined) return undefined;
  const { offset, nextLsn: lsn } = stop.position;
  const fault = (proof: string): Fault => ({
    code: 'JOURNAL_DAMAGED',
    segment: segment.name,
    offset,
    lsn,
    what: `${stop.invalid}; ${proof}`,
  });
  if (segment.sealed) return fault('the segment is sealed');
  let from = offset;
  for (;;) {
    const frame = await findFrame(storage, journalId, segment, from);
    if (!frame) return undefined;
    if (frame.header.durableLsn >= lsn) {
      return fault(
        `the frame at offset ${frame.offset} says that LSN ${frame.header.durableLsn} was stored safely`,
      );
    }
    from = frame.offset + frame.length;
  }
}

/** The end of a journal as found in its last segment. */
export interface Tail {
  /** After the last frame that ends with a commit: the journal ends here. */
  readonly committed: FramePosition;
  readonly committedLsn: Lsn;
  readonly committedTime: number;
  /** Every record up to here is declared durable by a frame, or lies in an earlier segment. */
  readonly provenLsn: Lsn;
  /** Where the frames begin that no frame declares durable. */
  readonly unprovenOffset: number;
  /** What lies after the committed end: whole frames' records, and all bytes. */
  readonly uncommittedRecords: number;
  readonly uncommittedBytes: number;
  readonly stop: ScanStop;
}

/** Finds the end of a journal by reading and checking every frame of the last segment. @throws JOURNAL_DAMAGED: `refusePlain` */
export async function findTail(storage: SegmentStorage, journalId: Buffer, segment: Segment): Promise<Tail> {
  const state = initialTail(segment);
  const refuse = refusePlain(storage, segment);
  const stop = await follow(scanFrames(storage, journalId, segment, state.before), state, refuse);
  return tailOf(segment, state, stop);
}

/**
 * As `findTail` for a reader: payloads are checked only in the frames that no frame declares durable. The others are checked when
 * they are read.
 * @param known an earlier end of this segment, to go on from; when it is no longer part of the segment the whole is read
 */
export async function findTailByHeaders(
  storage: SegmentStorage,
  journalId: Buffer,
  segment: Segment,
  known?: Tail,
): Promise<Tail> {
  const state = initialTail(segment);
  if (known) {
    state.before = known.committed;
    state.committed = known.committed;
    state.committedTime = known.committedTime;
    state.provenLsn = known.provenLsn;
  }
  const refuse = refusePlain(storage, segment);
  const reached = await follow(scanHeaders(storage, segment, state.before), state, refuse);
  if (
    known &&
    (segment.size < known.committed.offset || (reached.invalid && state.before === known.committed))
  ) {
    return findTailByHeaders(storage, journalId, segment);
  }
  const { provenLsn } = state;
  const again = { ...(state.unproven[0]?.state ?? state), provenLsn, unproven: [] };
  const stop = await follow(scanFrames(storage, journalId, segment, again.before), again, refuse);
  return tailOf(segment, again, stop);
}

interface TailState {
  /** Where the next frame begins. */
  before: FramePosition;
  committed: FramePosition;
  committedTime: number;
  provenLsn: Lsn;
  uncommittedRecords: number;
  /** The frames not yet declared durable, with the state before each. */
  unproven: { lastLsn: Lsn; state: TailState }[];
}

function initialTail(segment: Segment): TailState {
  const start = startOf(segment);
  return {
    before: start,
    committed: start,
    committedTime: segment.header.timeBefore,
    provenLsn: (segment.header.firstLsn - 1) as Lsn,
    uncommittedRecords: 0,
    unproven: [],
  };
}

/** A frame that continues the chain was no crash's doing, so one without encryption in an encrypted segment is not torn but forged. */
function refusePlain(storage: SegmentStorage, segment: Segment): (frame: FrameHead) => void {
  return ({ header, offset }) => {
    if (!segment.header.encryption || header.encrypted || header.recordCount === 0) return;
    const { name } = segment;
    throw faultError(storage.location, {
      code: 'JOURNAL_DAMAGED',
      segment: name,
      offset,
      lsn: header.firstLsn,
      what: PLAIN_FRAME,
    });
  };
}

async function follow(
  frames: AsyncGenerator<FrameHead, ScanStop>,
  state: TailState,
  refuse: (frame: FrameHead) => void,
): Promise<ScanStop> {
  for (;;) {
    const next = await frames.next();
    if (next.done) return next.value;
    const frame = next.value;
    refuse(frame);
    const { header } = frame;
    state.provenLsn = Math.max(state.provenLsn, header.durableLsn) as Lsn;
    while (state.unproven[0] && state.unproven[0].lastLsn <= state.provenLsn) state.unproven.shift();
    state.unproven.push({ lastLsn: lastLsnOf(header), state: { ...state, unproven: [] } });
    state.before = positionAfter(frame);
    if (endsCommitted(header)) {
      state.committed = state.before;
      state.committedTime = header.commitTime;
      state.uncommittedRecords = 0;
    } else {
      state.uncommittedRecords += header.recordCount;
    }
  }
}

function tailOf(segment: Segment, state: TailState, stop: ScanStop): Tail {
  const { committed, committedTime, provenLsn, uncommittedRecords } = state;
  const unproven = state.unproven.find((frame) => frame.lastLsn > provenLsn);
  return {
    committed,
    committedLsn: (committed.nextLsn - 1) as Lsn,
    committedTime,
    provenLsn,
    unprovenOffset: Math.min(unproven?.state.before.offset ?? committed.offset, committed.offset),
    uncommittedRecords,
    uncommittedBytes: segment.size - committed.offset,
    stop,
  };
}
