/**
 * The storage port: where the segments of one journal lie. Segments are named files that grow at the end. Adapters: `localStorage`
 * (a folder) and `MemoryStorage` (tests: crashes and faults). All adapters run the same contract suite.
 *
 * Errors: an adapter throws what its system throws (with `code` where it has one: ENOSPC, EIO, ENOENT); the caller gives it a meaning.
 */
export interface StoredSegment {
  /** File name: `0000000000000001.seg`. */
  readonly name: string;
  readonly size: number;
  readonly sealed: boolean;
}

export interface SegmentStorage {
  /** Names this place in messages: the folder. */
  readonly location: string;
  /** All segments, sorted by name. A place that does not exist has none. */
  list(): Promise<readonly StoredSegment[]>;
  /** Bytes in the segment now; may grow while another process appends. */
  size(name: string): Promise<number>;
  /** Up to `length` bytes from `offset`; fewer where the segment ends, none beyond its end. The buffer belongs to the caller. */
  read(name: string, offset: number, length: number): Promise<Buffer>;
  /**
   * A new segment with exactly these first bytes. All or nothing: once it resolves the segment is durable under its name; before, even after a
   * power cut, it is absent or whole. Throws (EEXIST) when the name is taken.
   */
  create(name: string, header: Uint8Array): Promise<void>;
  /** Writes `parts` one after the other at `offset`, which is the segment's end. Not durable before `sync`. May be partly done when it throws. */
  append(name: string, offset: number, parts: readonly Uint8Array[]): Promise<void>;
  /** Writes the same bytes again where they lie already, so that the next `sync` vouches for them. Not durable before `sync`. */
  rewrite(name: string, offset: number, bytes: Uint8Array): Promise<void>;
  /** Returns when everything appended so far survives a power cut. After it has thrown, nothing appended since the last success can be trusted. */
  sync(name: string): Promise<void>;
  /** Cuts the segment to `length` bytes, durably; unseals it when it was sealed. */
  truncate(name: string, length: number): Promise<void>;
  /** Syncs and marks the segment as never changing again. May be repeated. */
  seal(name: string): Promise<void>;
  /** Removes what an interrupted `create` left. */
  tidy(): Promise<void>;
  /** Gives back handles. May be repeated; the storage can be used again after. */
  close(): Promise<void>;
}
