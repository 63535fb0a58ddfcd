/** Segments in memory, for tests: knows what was synced, and can lose the rest as a power cut does. */
import type { SegmentStorage, StoredSegment } from './storage.ts';

/** What a disk may lose alone: a page of the cache. */
const PAGE_BYTES = 512;

interface MemorySegment {
  bytes: Buffer;
  /** The content that survives a power cut for certain. */
  synced: Buffer;
  sealed: boolean;
}

export class MemoryStorage implements SegmentStorage {
  readonly location: string;
  /** Open to tests, which alter it as a disk or an operator would. */
  readonly segments = new Map<string, MemorySegment>();

  constructor(location = 'memory') {
    this.location = location;
  }

  async list(): Promise<readonly StoredSegment[]> {
    return [...this.segments]
      .map(([name, { bytes, sealed }]) => ({ name, size: bytes.length, sealed }))
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  async size(name: string): Promise<number> {
    return this.#segment(name).bytes.length;
  }

  async read(name: string, offset: number, length: number): Promise<Buffer> {
    return Buffer.from(this.#segment(name).bytes.subarray(offset, offset + length));
  }

  async create(name: string, header: Uint8Array): Promise<void> {
    if (this.segments.has(name)) throw systemError('EEXIST', `segment exists: ${name}`);
    this.segments.set(name, { bytes: Buffer.from(header), synced: Buffer.from(header), sealed: false });
  }

  async append(name: string, offset: number, parts: readonly Uint8Array[]): Promise<void> {
    const segment = this.#segment(name);
    if (offset !== segment.bytes.length)
      throw new Error(`append at ${offset}, the end is ${segment.bytes.length}`);
    segment.bytes = Buffer.concat([segment.bytes, ...parts]);
  }

  async rewrite(name: string, offset: number, bytes: Uint8Array): Promise<void> {
    const segment = this.#segment(name);
    if (!segment.bytes.subarray(offset, offset + bytes.length).equals(bytes)) throw new Error('other bytes');
  }

  async sync(name: string): Promise<void> {
    const segment = this.#segment(name);
    segment.synced = segment.bytes;
  }

  async truncate(name: string, length: number): Promise<void> {
    const segment = this.#segment(name);
    segment.bytes = segment.bytes.subarray(0, length);
    segment.synced = segment.synced.subarray(0, length);
    segment.sealed = false;
  }

  async seal(name: string): Promise<void> {
    await this.sync(name);
    this.#segment(name).sealed = true;
  }

  async tidy(): Promise<void> {}

  async close(): Promise<void> {}

  /**
   * The storage as a power cut now might leave it: what was synced is there; of the rest, each page is kept, zeroed or missing
   * from some point on, as `random` (0 to below 1) decides.
   */
  afterPowerCut(random: () => number): MemoryStorage {
    const after = new MemoryStorage(this.location);
    for (const [name, { bytes, synced, sealed }] of this.segments) {
      const length = synced.length + Math.floor(random() * (bytes.length - synced.length + 1));
      const left = Buffer.from(bytes.subarray(0, length));
      for (let offset = synced.length; offset < length; offset += PAGE_BYTES) {
        if (random() < 0.3) left.fill(0, offset, Math.min(length, offset + PAGE_BYTES));
      }
      after.segments.set(name, { bytes: left, synced: left, sealed });
    }
    return after;
  }

  /** An independent copy of everything, synced or not. */
  copy(): MemoryStorage {
    const copy = new MemoryStorage(this.location);
    for (const [name, { bytes, synced, sealed }] of this.segments) {
      copy.segments.set(name, { bytes: Buffer.from(bytes), synced: Buffer.from(synced), sealed });
    }
    return copy;
  }

  #segment(name: string): MemorySegment {
    const segment = this.segments.get(name);
    if (!segment) throw systemError('ENOENT', `no such segment: ${name}`);
    return segment;
  }
}

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}
