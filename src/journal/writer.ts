/**
 * The one writer of a journal. Records are gathered in memory; frames are compressed off this thread, two at a time, and
 * written in order by one loop, which syncs after each write that ends a commit: all commits gathered meanwhile share the next sync.
 *
 * States
 *   open      after `open`. Leaves by a storage error (to failed) or by `close` (to closed).
 *   failed    a write or sync failed: every commit not yet durable is rejected with that error, and so is every later call but
 *             `close`. The file is cut back to the last durable commit where the file system lets us; if not, the next open does it.
 *             After a failed fdatasync the page cache cannot be trusted, so there is no way back to open but `close` and `open` again.
 *   closed    after `close`.
 */
import { type Clock, crashPoint, invariant, type Log } from '../lib/index.ts';
import { COMPRESS_HERE_BYTES_MAX, type Compressed, compressHere, FrameCompressor } from './compression.ts';
import { journalErrors, storageError } from './errors.ts';
import { encodeFrame } from './frame.ts';
import { FrameBuilder, type RawFrame } from './frame-builder.ts';
import { checkKey, type JournalWriterOptions, storageOf } from './options.ts';
import {
  BODY_PIECE_BYTES,
  type BodyRecord,
  type ControlRecord,
  type Lsn,
  type StepRecord,
} from './records.ts';
import { type ActiveSegment, createSegment, type OpenedJournal, type Recovery, recover } from './recover.ts';
import { journalIdText } from './segment-header.ts';
import type { SegmentStorage } from './storage.ts';

/** Where a frame lies. `length` includes its header. */
export interface FrameLocation {
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
  readonly segment: string;
  readonly offset: number;
  readonly length: number;
}

export interface Committed {
  /** LSN of the commit record. */
  readonly lsn: Lsn;
  /** Its wall time, ms; never less than the commit before. */
  readonly time: number;
}

const FRAME_BYTES = 1 << 20;
const SEGMENT_BYTES = 256 << 20;
/** Above this many raw bytes gathered and not yet written, `ready` waits. */
const BUFFERED_BYTES_MAX = 16 << 20;
/** Compressions under way: one per core of a small machine, and leaves threads of libuv's four for the writes and syncs. */
const COMPRESSIONS_MAX = 2;
/** Stored bytes given to the file system in one write. */
const WRITE_BYTES_MAX = 8 << 20;

interface QueuedFrame extends RawFrame {
  /** Set when the compression is done. */
  compressed?: Compressed;
  /** Resolves when `compressed` is set; never rejects: a failure is in `failure`. */
  done?: Promise<void>;
  failure?: unknown;
  /** The segment ends after this frame. */
  readonly endsSegment: boolean;
}

/** The end of a commit in the active segment. */
interface CommitEnd extends Committed {
  readonly offset: number;
  readonly hash: Buffer;
}

interface PendingCommit extends Committed {
  resolve(committed: Committed): void;
  reject(error: unknown): void;
}

export class JournalWriter {
  /** 32 hexadecimal digits. */
  readonly journalId: string;
  readonly recovery: Recovery;
  /**
   * Called for each frame, in order, once it is durable and committed (so it will never be cut), before its commits
   * resolve. Must not throw.
   */
  onFrame: (frame: FrameLocation) => void = () => {};

  readonly #storage: SegmentStorage;
  readonly #key: Uint8Array | undefined;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #frameBytes: number;
  readonly #segmentBytes: number;
  readonly #level: number;
  readonly #id: Buffer;
  readonly #builder: FrameBuilder;

  /** Closed frames in order; the loop takes from the front. */
  #queue: QueuedFrame[] = [];
  #queuedBytes = 0;
  /** Those that have nothing to do; made when there are frames for them. */
  #compressors: FrameCompressor[] = [];
  /** Whether they had anything to do since the last rest. */
  #compressed = false;
  #compressing = 0;
  #commits: PendingCommit[] = [];
  #waiters: { readonly below: number; resolve(): void; reject(error: unknown): void }[] = [];
  #loop: Promise<void> | undefined;

  #active: ActiveSegment;
  #previousHash: Buffer;
  /** Last record in the file. */
  #writtenLsn: Lsn;
  #durableLsn: Lsn;
  /** The last durable commit: what a cut goes back to. */
  #committedEnd: CommitEnd;
  #lastTime: number;
  /** Whether a frame in the file says that everything committed is durable. */
  #marked: boolean;
  #unreported: FrameLocation[] = [];
  #rollWanted = false;
  #openBody: { hash: Uint8Array; nextAt: number; size: number } | undefined;
  #failure: unknown;
  #closing: Promise<void> | undefined;

  /**
   * Opens or makes the journal; recovers first (see `recovery`). The caller makes sure that there is one writer per journal.
   * @throws JOURNAL_DAMAGED, JOURNAL_SEGMENT_*, JOURNAL_KEY_*, JOURNAL_NOT_ENCRYPTED, JOURNAL_VERSION_UNKNOWN, and what `accept` throws: nothing was changed.
   * @throws JOURNAL_STORAGE_FULL, JOURNAL_STORAGE_FAILED: may be repeated.
   */
  static async open(options: JournalWriterOptions): Promise<JournalWriter> {
    const storage = storageOf(options.storage);
    const key = checkKey(options.key);
    try {
      return new JournalWriter(options, storage, await recover(storage, key, options.log, options.accept));
    } catch (error) {
      await closeQuietly(storage, options.log);
      throw error;
    }
  }

  private constructor(options: JournalWriterOptions, storage: SegmentStorage, opened: OpenedJournal) {
    this.#storage = storage;
    this.#key = options.key;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#frameBytes = options.frameBytes ?? FRAME_BYTES;
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    this.#level = options.compressionLevel ?? 1;
    this.#id = opened.journalId;
    this.journalId = journalIdText(opened.journalId);
    this.recovery = opened.recovery;
    this.#active = opened.active;
    this.#previousHash = opened.previousHash;
    this.#writtenLsn = opened.committedLsn;
    this.#durableLsn = opened.committedLsn;
    this.#committedEnd = {
      lsn: opened.committedLsn,
      time: opened.committedTime,
      offset: opened.active.size,
      hash: opened.previousHash,
    };
    this.#lastTime = opened.committedTime;
    this.#marked = opened.proven || opened.committedLsn === 0;
    this.#rollWanted = opened.active.size >= this.#segmentBytes;
    this.#builder = new FrameBuilder(this.#frameBytes, opened.committedLsn, opened.committedTime, (frame) =>
      this.#enqueue(frame),
    );
  }

  /** LSN of the last record appended, durable or not; 0 in an empty journal. */
  get lastLsn(): Lsn {
    return this.#builder.lastLsn;
  }

  /** LSN of the last durable commit; 0 when there is none. */
  get committedLsn(): Lsn {
    return this.#committedEnd.lsn;
  }

  /** Raw bytes gathered and not yet written. */
  get bufferedBytes(): number {
    return this.#queuedBytes + this.#builder.pendingBytes;
  }

  /**
   * Gathers a record (its bytes are copied) and returns its LSN. It becomes visible with the next commit. Pieces of one body must
   * be appended one after the other.
   * @throws the error that made the writer fail; JOURNAL_CLOSED
   */
  append(record: BodyRecord | StepRecord | ControlRecord): Lsn {
    this.#assertUsable();
    if (record.t === 'body') this.#checkPiece(record);
    else invariant(!this.#openBody, 'a body is complete before another record follows');
    return this.#builder.append(record);
  }

  /**
   * Appends a commit record now; resolves when it and everything before it is durable, in the order of the calls.
   * @throws JOURNAL_STORAGE_FULL, JOURNAL_STORAGE_FAILED: this step and all after it are not acknowledged; close and open again later, which
   * says by `committedLsn` what is there (where even the cut failed, a rejected step may be, as after a crash). JOURNAL_CLOSED
   */
  commit(): Promise<Committed> {
    try {
      this.#assertUsable();
      invariant(!this.#openBody, 'a body is complete before its commit');
    } catch (error) {
      return Promise.reject(error);
    }
    const time = Math.max(this.#lastTime, Math.trunc(this.#clock.wallMs()));
    this.#lastTime = time;
    const lsn = this.#builder.append({ t: 'commit', time });
    return new Promise((resolve, reject) => {
      this.#commits.push({ lsn, time, resolve, reject });
      this.#start();
    });
  }

  /**
   * Resolves when less than `below` bytes wait to be written (two frames at least, since one is always being filled). Default 16 MiB.
   * @throws as `commit`
   */
  ready(below = BUFFERED_BYTES_MAX): Promise<void> {
    const enough = Math.max(below, 2 * this.#frameBytes);
    try {
      this.#assertUsable();
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.bufferedBytes < enough) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ below: enough, resolve, reject }));
  }

  /**
   * Waits for the commits under way, drops what was appended after the last one, and gives the files back. Does not throw, also
   * when the writer has failed (its commits were rejected with the reason). May be repeated.
   */
  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    // The loop is started once more in case commits were appended in this very turn.
    this.#start();
    while (this.#loop) await this.#loop;
    await Promise.all(this.#queue.map((frame) => frame.done));
    this.#dropQueue();
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
    if (!this.#failure) {
      try {
        await this.#cutUncommitted();
        await this.#mark();
      } catch (error) {
        // Nothing committed is at stake: the next open finds the same and repeats it.
        this.#log.warn(
          { journal: this.#storage.location, err: error },
          'journal could not be tidied at close',
        );
      }
    }
    await closeQuietly(this.#storage, this.#log);
  }

  #assertUsable(): void {
    if (this.#failure) throw this.#failure;
    if (this.#closing) {
      throw journalErrors.make('JOURNAL_CLOSED', `journal ${this.#storage.location} was closed`);
    }
  }

  #checkPiece(piece: BodyRecord): void {
    invariant(piece.data.length <= BODY_PIECE_BYTES, 'a body piece is at most 1 MiB');
    const open = this.#openBody;
    if (open) {
      invariant(
        piece.at === open.nextAt && piece.size === open.size && Buffer.compare(piece.hash, open.hash) === 0,
        'pieces of one body follow each other',
      );
    } else {
      invariant(piece.at === 0, 'a body begins with its first piece');
    }
    const nextAt = piece.at + piece.data.length;
    invariant(
      nextAt <= piece.size && (nextAt === piece.size || piece.data.length > 0),
      'a piece lies in its body',
    );
    this.#openBody = nextAt < piece.size ? { hash: piece.hash, nextAt, size: piece.size } : undefined;
  }

  /** A frame is complete: compress it, or queue it for compression. */
  #enqueue(raw: RawFrame): void {
    const endsSegment = this.#rollWanted && raw.commitLsn === raw.firstLsn + raw.recordCount - 1;
    if (endsSegment) this.#rollWanted = false;
    const frame: QueuedFrame = { ...raw, endsSegment };
    this.#queue.push(frame);
    this.#queuedBytes += raw.raw.length;
    if (raw.raw.length <= COMPRESS_HERE_BYTES_MAX) frame.compressed = compressHere(raw.raw, this.#level);
    else this.#compressNext();
    this.#start();
  }

  #compressNext(): void {
    for (const frame of this.#queue) {
      if (this.#compressing >= COMPRESSIONS_MAX) return;
      if (frame.compressed || frame.done) continue;
      this.#compressing += 1;
      frame.done = this.#compress(frame);
    }
  }

  async #compress(frame: QueuedFrame): Promise<void> {
    this.#compressed = true;
    const compressor = this.#compressors.pop() ?? new FrameCompressor(this.#level);
    try {
      frame.compressed = await compressor.compress(frame.raw);
    } catch (error) {
      frame.failure = error;
    }
    this.#compressors.push(compressor);
    this.#compressing -= 1;
    this.#compressNext();
  }

  #start(): void {
    if (this.#loop || this.#failure) return;
    this.#loop = this.#run().finally(() => {
      this.#loop = undefined;
      // What came in after the last look of the loop and before this callback.
      if (!this.#failure && (this.#builder.hasCommit || (this.#queue.length > 0 && !this.#closing)))
        this.#start();
    });
  }

  async #run(): Promise<void> {
    // Commits of the same turn of the event loop share a frame and a sync.
    await new Promise<void>((resolve) => setImmediate(resolve));
    try {
      for (;;) {
        this.#builder.emitThroughCommit();
        if (this.#queue.length === 0) {
          this.#rest();
          return;
        }
        if (this.#closing && this.#commits.length === 0) return;
        const batch = await this.#nextBatch();
        const commitEnd = await this.#write(batch);
        if (commitEnd) await this.#sync(commitEnd);
        this.#wakeWaiters();
        if (batch.at(-1)?.endsSegment) await this.#roll();
      }
    } catch (error) {
      await this.#fail(error);
    }
  }

  /**
   * What was needed since the last rest is kept for the next rush, and let go after a time without one: a journal that is quiet holds little memory.
   * Nothing is queued, so every compressor is here.
   */
  #rest(): void {
    if (!this.#compressed) for (const compressor of this.#compressors.splice(0)) compressor.close();
    this.#compressed = false;
    this.#builder.rest();
  }

  /** The frames at the front of the queue that are compressed, at least one. */
  async #nextBatch(): Promise<QueuedFrame[]> {
    const first = this.#queue[0] as QueuedFrame;
    if (!first.compressed) {
      this.#compressNext();
      // Compressions start in the queue's order, so the first frame's is under way.
      await first.done;
      if (first.failure) throw first.failure;
    }
    const batch: QueuedFrame[] = [];
    let bytes = 0;
    for (const frame of this.#queue) {
      if (!frame.compressed || bytes > WRITE_BYTES_MAX) break;
      batch.push(frame);
      bytes += frame.compressed.payload.length;
      if (frame.endsSegment) break;
    }
    return batch;
  }

  /** Writes the frames at the end of the active segment; returns where the last commit among them ends, if there is one. */
  async #write(batch: readonly QueuedFrame[]): Promise<CommitEnd | undefined> {
    const { name, size: start } = this.#active;
    const last = batch.at(-1) as QueuedFrame;
    const parts: Uint8Array[] = [];
    const locations: FrameLocation[] = [];
    let commitEnd: CommitEnd | undefined;
    let offset = start;
    let previousHash = this.#previousHash;
    let lastLsn = this.#writtenLsn;
    for (const frame of batch) {
      invariant(frame.firstLsn === lastLsn + 1, 'frames are written in order');
      lastLsn = lastLsnOf(frame);
      const { payload, zstd } = frame.compressed as Compressed;
      const encoded = encodeFrame(
        this.#id,
        {
          firstLsn: frame.firstLsn,
          recordCount: frame.recordCount,
          rawBytes: frame.raw.length,
          durableLsn: this.#durableLsn,
          commitLsn: frame.commitLsn,
          commitTime: frame.commitTime,
          previousHash,
          payload,
          zstd,
        },
        this.#active.key,
      );
      parts.push(...encoded.parts);
      locations.push({ firstLsn: frame.firstLsn, lastLsn, segment: name, offset, length: encoded.length });
      offset += encoded.length;
      previousHash = encoded.hash;
      if (endsWithCommit(frame)) {
        commitEnd = { lsn: lastLsn, time: frame.commitTime, offset, hash: previousHash };
      }
    }
    crashPoint('journal.append.before-write');
    try {
      await this.#storage.append(name, start, parts);
    } catch (error) {
      throw storageError(error, `write segment ${name} at offset ${start}`);
    }
    crashPoint('journal.append.after-write');
    this.#active.size = offset;
    this.#previousHash = previousHash;
    this.#writtenLsn = lastLsnOf(batch.at(-1) as QueuedFrame);
    this.#unreported.push(...locations);
    this.#marked = false;
    this.#queue.splice(0, batch.length);
    for (const frame of batch) {
      this.#queuedBytes -= frame.raw.length;
      frame.release();
    }
    const rollUnderWay = last.endsSegment || this.#queue.some((frame) => frame.endsSegment);
    if (this.#active.size >= this.#segmentBytes && !rollUnderWay) this.#rollWanted = true;
    return commitEnd;
  }

  /** Makes everything written durable, reports the frames that are committed by that, and resolves their commits. */
  async #sync(commitEnd: CommitEnd): Promise<void> {
    crashPoint('journal.append.before-sync');
    try {
      await this.#storage.sync(this.#active.name);
    } catch (error) {
      throw storageError(error, `sync segment ${this.#active.name}`);
    }
    crashPoint('journal.append.after-sync');
    this.#durableLsn = this.#writtenLsn;
    this.#committedEnd = commitEnd;
    while (this.#unreported[0] && this.#unreported[0].lastLsn <= commitEnd.lsn) {
      this.onFrame(this.#unreported.shift() as FrameLocation);
    }
    while (this.#commits[0] && this.#commits[0].lsn <= commitEnd.lsn) {
      const { resolve, lsn, time } = this.#commits.shift() as PendingCommit;
      resolve({ lsn, time });
    }
  }

  /** Seals the active segment, which ends with a durable commit, and begins the next. */
  async #roll(): Promise<void> {
    const { lsn, time, hash } = this.#committedEnd;
    invariant(lsn === this.#writtenLsn, 'a segment ends with a commit');
    crashPoint('journal.seal.before');
    try {
      await this.#storage.seal(this.#active.name);
    } catch (error) {
      throw storageError(error, `seal segment ${this.#active.name}`);
    }
    crashPoint('journal.seal.after-seal');
    const { active, previousHash } = await createSegment(this.#storage, this.#key, {
      journalId: this.#id,
      ordinal: this.#active.ordinal + 1,
      firstLsn: (lsn + 1) as Lsn,
      timeBefore: time,
      previousHash: hash,
    });
    crashPoint('journal.seal.after-create');
    this.#active = active;
    this.#previousHash = previousHash;
    this.#committedEnd = { lsn, time, offset: active.size, hash: previousHash };
    this.#marked = true;
    crashPoint('journal.seal.after');
  }

  #wakeWaiters(): void {
    const buffered = this.bufferedBytes;
    const waiting = this.#waiters.filter(({ below }) => buffered >= below);
    const ready = this.#waiters.filter(({ below }) => buffered < below);
    this.#waiters = waiting;
    for (const waiter of ready) waiter.resolve();
  }

  async #fail(error: unknown): Promise<void> {
    this.#failure = error;
    await Promise.all(this.#queue.map((frame) => frame.done));
    this.#dropQueue();
    try {
      await this.#cutUncommitted();
    } catch (cutError) {
      this.#log.warn(
        { journal: this.#storage.location, segment: this.#active.name, err: cutError },
        'the uncommitted end of the journal could not be cut; the next open does it',
      );
    }
    for (const commit of this.#commits.splice(0)) commit.reject(error);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  /** Of frames whose compression is over. Their buffers are not given back: a write that failed may not have ended. */
  #dropQueue(): void {
    this.#queue = [];
    this.#queuedBytes = 0;
    for (const compressor of this.#compressors.splice(0)) compressor.close();
  }

  /** The file's own size is asked for: after a failed write it is not what we counted. */
  async #cutUncommitted(): Promise<void> {
    const { offset, hash } = this.#committedEnd;
    if ((await this.#storage.size(this.#active.name)) === offset) return;
    await this.#storage.truncate(this.#active.name, offset);
    this.#active.size = offset;
    this.#previousHash = hash;
  }

  /** A frame without records that says: all before it is durable. Protects the end of a journal at rest from being taken for torn. */
  async #mark(): Promise<void> {
    if (this.#marked) return;
    const { lsn, time } = this.#committedEnd;
    const payload = Buffer.alloc(0);
    const { parts } = encodeFrame(
      this.#id,
      {
        firstLsn: (lsn + 1) as Lsn,
        recordCount: 0,
        rawBytes: 0,
        durableLsn: lsn,
        commitLsn: lsn,
        commitTime: time,
        previousHash: this.#previousHash,
        payload,
        zstd: false,
      },
      undefined,
    );
    try {
      await this.#storage.append(this.#active.name, this.#active.size, parts);
      await this.#storage.sync(this.#active.name);
    } catch (error) {
      await this.#storage.truncate(this.#active.name, this.#active.size);
      throw error;
    }
    this.#marked = true;
  }
}

function lastLsnOf(frame: QueuedFrame): Lsn {
  return (frame.firstLsn + frame.recordCount - 1) as Lsn;
}

function endsWithCommit(frame: QueuedFrame): boolean {
  return frame.commitLsn === lastLsnOf(frame);
}

async function closeQuietly(storage: SegmentStorage, log: Log): Promise<void> {
  try {
    await storage.close();
  } catch (error) {
    log.warn({ journal: storage.location, err: error }, 'segment files could not be closed');
  }
}
