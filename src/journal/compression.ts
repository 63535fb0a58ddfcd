/** zstd for frames, off this thread where the frame is large enough to be worth the trip. */
import { promisify } from 'node:util';
import { constants, ZstdCompress, zstdCompressSync, zstdDecompress } from 'node:zlib';
import { invariant, poison } from '../lib/index.ts';

const decompressAsync = promisify(zstdDecompress);
/** Below this many bytes a round trip to a thread costs more time than compressing. */
export const COMPRESS_HERE_BYTES_MAX = 32 << 10;
/** Below this many bytes zstd's own header eats what it saves. */
const WORTHWHILE_BYTES = 64;

export interface Compressed {
  readonly payload: Buffer;
  /** False: the raw bytes themselves, because compressed they would not be smaller. */
  readonly zstd: boolean;
}

export function compressHere(raw: Buffer, level: number): Compressed {
  if (raw.length < WORTHWHILE_BYTES) return { payload: raw, zstd: false };
  return smaller(
    raw,
    zstdCompressSync(raw, {
      params: { [constants.ZSTD_c_compressionLevel]: level },
      pledgedSrcSize: raw.length,
      // Mail shrinks to less than half: one output chunk.
      chunkSize: (raw.length >> 1) + 128,
    }),
  );
}

/**
 * Compresses one frame after the other in Node's thread pool, with one zstd context and one output buffer for all of
 * them: a context and buffers for each frame cost more time than compressing it, most of it in the garbage collector,
 * which sees memory that it should free.
 */
export class FrameCompressor {
  readonly #level: number;
  #stream: FrameStream | undefined;
  #busy = false;

  constructor(level: number) {
    this.#level = level;
  }

  /**
   * One at a time. The result takes the place of `raw`, which nobody may read or change until it resolves. What was in `raw` is
   * gone then, but where nothing could be saved. After an error `raw` is as it was, and the next call begins with a new context.
   */
  async compress(raw: Buffer): Promise<Compressed> {
    invariant(!this.#busy, 'a compressor has one frame at a time');
    this.#busy = true;
    this.#stream ??= new FrameStream(this.#level);
    const stream = this.#stream;
    try {
      const pieces = await stream.compress(raw);
      const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
      invariant(bytes > 0, 'a zstd frame has a header');
      if (bytes >= raw.length) return { payload: raw, zstd: false };
      let at = 0;
      for (const piece of pieces) at += piece.copy(raw, at);
      poison(raw.subarray(bytes));
      return { payload: raw.subarray(0, bytes), zstd: true };
    } catch (error) {
      this.close();
      throw error;
    } finally {
      stream.reuseOutput();
      this.#busy = false;
    }
  }

  /** Gives its memory back; what is under way is rejected. It may be used again. */
  close(): void {
    this.#stream?.destroy();
    this.#stream = undefined;
  }
}

/** Of a frame of usual size also where nothing can be saved; more comes in pieces. */
const OUTPUT_BYTES = (1 << 20) + (64 << 10);

/** Every write is a whole zstd frame. What comes out is taken as it comes: there is no reader to be waited for. */
class FrameStream extends ZstdCompress {
  #output: Buffer[] = [];
  #reject: (error: Error) => void = () => {};

  constructor(level: number) {
    super({
      params: { [constants.ZSTD_c_compressionLevel]: level },
      // Ends the frame with each write; the next write begins a new one, with nothing of the one before.
      flush: constants.ZSTD_e_end,
      chunkSize: OUTPUT_BYTES,
    });
    // After an error no write is called back.
    this.on('error', (error) => this.#reject(error));
    this.on('close', () => this.#reject(new Error('the compressor was closed')));
  }

  override push(chunk: Buffer | null): boolean {
    if (chunk) this.#output.push(chunk);
    return true;
  }

  /** Resolves with the pieces of the frame, which are there until `reuseOutput`. */
  compress(raw: Buffer): Promise<readonly Buffer[]> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      this.write(raw, (error) => {
        if (error) reject(error);
        else resolve(this.#output);
      });
    });
  }

  /** Node fills its output buffer to the end before it makes another one; this begins it anew. Without that field, memory is all it costs. */
  reuseOutput(): void {
    for (const piece of this.#output) poison(piece);
    this.#output = [];
    (this as { _outOffset?: number })._outOffset = 0;
  }
}

/** @throws when `stored` is not zstd of exactly `rawBytes` bytes. */
export async function decompress(stored: Buffer, rawBytes: number): Promise<Buffer> {
  const raw = await decompressAsync(stored, {
    chunkSize: Math.max(rawBytes, 64),
    maxOutputLength: Math.max(rawBytes, 64),
  });
  if (raw.length !== rawBytes)
    throw new Error(`payload of ${raw.length} bytes where ${rawBytes} were declared`);
  return raw;
}

function smaller(raw: Buffer, compressed: Buffer): Compressed {
  return compressed.length < raw.length ? { payload: compressed, zstd: true } : { payload: raw, zstd: false };
}
