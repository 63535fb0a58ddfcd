/** Gathers encoded records and cuts them into frames: a frame holds no commit record, or ends with one. No I/O. */
import { invariant, poison } from '../lib/index.ts';
import { encodedSizeBound, encodeRecord } from './record-codec.ts';
import type { JournalRecord, Lsn } from './records.ts';

/** Records of one frame, encoded, not yet compressed. */
export interface RawFrame {
  readonly firstLsn: Lsn;
  readonly recordCount: number;
  readonly raw: Buffer;
  /** The last commit in this frame or before it. */
  readonly commitLsn: Lsn;
  readonly commitTime: number;
  /** Gives the buffer back; call once when `raw` is no longer needed. */
  release(): void;
}

/** Room beyond the frame's size in a buffer, so that small records seldom need one of their own. */
const SLACK_BYTES = 4096;
/** Buffers kept for reuse: as many as the writer lets wait for the disk, and those being filled and written. */
const POOL_MAX = 24;

interface Arena {
  readonly bytes: Buffer;
  /** Frames that still use it, plus one while it is being filled. */
  users: number;
}

export class FrameBuilder {
  readonly #frameBytes: number;
  readonly #emit: (frame: RawFrame) => void;
  readonly #pool: Buffer[] = [];
  /** Buffers that hold frames or are being filled, and the most of them since `rest`. */
  #inUse = 0;
  #inUseMost = 0;
  #arena: Arena | undefined;
  /** Where the frame under construction begins and ends in the arena. */
  #start = 0;
  #used = 0;
  #recordCount = 0;
  /** End of the last commit record in the frame under construction, and the records up to it. */
  #commitEnd = 0;
  #commitCount = 0;
  #nextLsn: Lsn;
  /** LSN of the last record in an emitted frame, plus one. */
  #frameLsn: Lsn;
  #commitLsn: Lsn;
  #commitTime: number;
  /** As above for the frames emitted so far: commits in the frame under construction are not in them. */
  #emittedCommitLsn: Lsn;
  #emittedCommitTime: number;

  /** @param emit called for each frame, in order, possibly from within `append`. */
  constructor(frameBytes: number, committedLsn: Lsn, committedTime: number, emit: (frame: RawFrame) => void) {
    this.#frameBytes = frameBytes;
    this.#emit = emit;
    this.#nextLsn = (committedLsn + 1) as Lsn;
    this.#frameLsn = this.#nextLsn;
    this.#commitLsn = committedLsn;
    this.#commitTime = committedTime;
    this.#emittedCommitLsn = committedLsn;
    this.#emittedCommitTime = committedTime;
  }

  get lastLsn(): Lsn {
    return (this.#nextLsn - 1) as Lsn;
  }

  /** Bytes gathered and not emitted. */
  get pendingBytes(): number {
    return this.#used - this.#start;
  }

  get hasCommit(): boolean {
    return this.#commitCount > 0;
  }

  append(record: JournalRecord): Lsn {
    const bound = encodedSizeBound(record);
    if (this.pendingBytes > 0 && this.pendingBytes + bound > this.#frameBytes) this.emitAll();
    const arena = this.#arenaFor(bound);
    this.#used = encodeRecord(record, arena.bytes, this.#used);
    this.#recordCount += 1;
    const lsn = this.#nextLsn;
    invariant(lsn < Number.MAX_SAFE_INTEGER, 'LSN stays below 2^53');
    this.#nextLsn = (lsn + 1) as Lsn;
    if (record.t === 'commit') {
      this.#commitEnd = this.#used;
      this.#commitCount = this.#recordCount;
      this.#commitLsn = lsn;
      this.#commitTime = record.time;
    }
    return lsn;
  }

  /** Nothing waits: as many buffers as were needed since the last call are kept, those of an earlier rush let go. */
  rest(): void {
    this.#pool.length = Math.min(this.#pool.length, this.#inUseMost);
    this.#inUseMost = this.#inUse;
  }

  /** Closes a frame after the last commit gathered, if there is one; what follows it stays. */
  emitThroughCommit(): void {
    if (this.#commitCount === 0) return;
    this.#emittedCommitLsn = this.#commitLsn;
    this.#emittedCommitTime = this.#commitTime;
    this.#cut(this.#commitEnd, this.#commitCount);
  }

  /** Closes all that was gathered: as two frames when something follows a commit. */
  emitAll(): void {
    this.emitThroughCommit();
    if (this.#recordCount > 0) this.#cut(this.#used, this.#recordCount);
  }

  #cut(end: number, recordCount: number): void {
    const arena = this.#arena as Arena;
    arena.users += 1;
    const frame: RawFrame = {
      firstLsn: this.#frameLsn,
      recordCount,
      raw: arena.bytes.subarray(this.#start, end),
      commitLsn: this.#emittedCommitLsn,
      commitTime: this.#emittedCommitTime,
      release: () => this.#leave(arena),
    };
    this.#start = end;
    this.#recordCount -= recordCount;
    this.#frameLsn = (this.#frameLsn + recordCount) as Lsn;
    this.#commitCount = 0;
    this.#emit(frame);
  }

  /** An arena with `bound` free bytes after what is gathered; the frame under construction moves when it must. */
  #arenaFor(bound: number): Arena {
    const current = this.#arena;
    if (current && this.#used + bound <= current.bytes.length) return current;
    const pending = current?.bytes.subarray(this.#start, this.#used);
    const needed = Math.max(this.#frameBytes + SLACK_BYTES, (pending?.length ?? 0) + bound);
    const pooled = needed === this.#frameBytes + SLACK_BYTES ? this.#pool.pop() : undefined;
    const arena = { bytes: pooled ?? Buffer.allocUnsafeSlow(needed), users: 1 };
    this.#inUse += 1;
    this.#inUseMost = Math.max(this.#inUseMost, this.#inUse);
    if (current && pending) {
      pending.copy(arena.bytes, 0);
      if (this.#commitCount > 0) this.#commitEnd -= this.#start;
      this.#leave(current);
    }
    this.#used = pending?.length ?? 0;
    this.#start = 0;
    this.#arena = arena;
    return arena;
  }

  #leave(arena: Arena): void {
    arena.users -= 1;
    const reusable = arena.bytes.length === this.#frameBytes + SLACK_BYTES;
    invariant(arena.users >= 0, 'a frame gives its buffer back once');
    if (arena.users > 0) return;
    this.#inUse -= 1;
    poison(arena.bytes);
    if (reusable && this.#pool.length < POOL_MAX) this.#pool.push(arena.bytes);
  }
}
