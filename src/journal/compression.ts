/** zstd for frames, off this thread where the frame is large enough to be worth the trip. */
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdCompressSync, zstdDecompress } from 'node:zlib';

const compressAsync = promisify(zstdCompress);
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
  return smaller(raw, zstdCompressSync(raw, options(raw.length, level)));
}

/** `raw` must not change until it resolves. */
export async function compress(raw: Buffer, level: number): Promise<Compressed> {
  return smaller(raw, await compressAsync(raw, options(raw.length, level)));
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

function options(rawBytes: number, level: number) {
  return {
    params: { [constants.ZSTD_c_compressionLevel]: level },
    pledgedSrcSize: rawBytes,
    // Mail shrinks to less than half: one output chunk, so one trip to the thread pool. Each further chunk would be another.
    chunkSize: (rawBytes >> 1) + 128,
  };
}

function smaller(raw: Buffer, compressed: Buffer): Compressed {
  return compressed.length < raw.length ? { payload: compressed, zstd: true } : { payload: raw, zstd: false };
}
