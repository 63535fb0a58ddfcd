/** Goal: frames come out of a compressor that is used again as out of a new one. Method: frames of all sizes and kinds in random order, several compressors at once. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { constants as zlib, zstdCompressSync } from 'node:zlib';
import { Random } from '../lib/index.ts';
import { compressHere, decompress, FrameCompressor } from './compression.ts';

const SIZES = [1, 63, 64, 4_096, 32_769, 500_000, (1 << 20) - 1, 1 << 20, (1 << 20) + 200, 3 << 20];

/** Bytes that shrink to nothing, not at all, or about by half. */
function content(kind: string, bytes: number): Buffer {
  if (kind === 'same') return Buffer.alloc(bytes, 'a');
  const random = randomBytes(bytes);
  return kind === 'random' ? random : Buffer.from(random.toString('hex').slice(0, bytes), 'latin1');
}

describe('frame compressor', () => {
  it('gives frames of any size and kind as zstd alone would, many at once, and each decompresses', async () => {
    const random = new Random('frame compressor');
    const compressors = [1, 1, 1, 3, 9].map((level) => ({ level, compressor: new FrameCompressor(level) }));
    await Promise.all(
      compressors.map(async ({ level, compressor }) => {
        for (let count = 0; count < 30; count += 1) {
          const original = content(
            random.pick(['same', 'random', 'hex']) as string,
            random.pick(SIZES) as number,
          );
          const raw = Buffer.from(original);
          const { payload, zstd } = await compressor.compress(raw);
          const expected = zstdCompressSync(original, {
            params: { [zlib.ZSTD_c_compressionLevel]: level },
            pledgedSrcSize: original.length,
          });
          assert.equal(zstd, expected.length < original.length);
          assert.ok(payload.equals(zstd ? expected : original), `${original.length} bytes, level ${level}`);
          if (zstd) assert.ok((await decompress(payload, original.length)).equals(original));
        }
        compressor.close();
      }),
    );
  });

  it('writes into the frame only, which may lie between others in one buffer', async () => {
    const compressor = new FrameCompressor(1);
    const buffer = Buffer.alloc(300_000, 'ab');
    const { payload } = await compressor.compress(buffer.subarray(100_000, 200_000));
    assert.ok(payload.length < 1_000);
    assert.ok(buffer.subarray(0, 100_000).equals(Buffer.alloc(100_000, 'ab')));
    assert.ok(buffer.subarray(200_000).equals(Buffer.alloc(100_000, 'ab')));
    compressor.close();
  });

  it('rejects what is under way when it is closed, leaves those bytes alone, and works again', async () => {
    const compressor = new FrameCompressor(1);
    const original = content('hex', 1 << 20);
    const raw = Buffer.from(original);
    const broken = compressor.compress(raw);
    compressor.close();
    await assert.rejects(broken, /closed/);
    assert.ok(raw.equals(original));
    const { payload } = await compressor.compress(raw);
    assert.ok((await decompress(payload, original.length)).equals(original));
    compressor.close();
  });

  it('refuses a second frame at the same time', async () => {
    const compressor = new FrameCompressor(1);
    const first = compressor.compress(content('hex', 100_000));
    await assert.rejects(compressor.compress(content('hex', 100_000)), /one frame at a time/);
    assert.ok((await first).zstd);
    compressor.close();
  });

  it('keeps frames whose zstd would end exactly where a buffer ends', async () => {
    // Small frames are compressed here into half their size and a little: some of these end exactly there.
    for (let noise = 0; noise < 700; noise += 1) {
      const original = Buffer.concat([randomBytes(noise), Buffer.alloc(700 - noise)]);
      const { payload, zstd } = compressHere(original, 1);
      if (zstd) assert.ok((await decompress(payload, original.length)).equals(original), `${noise}`);
    }
  });
});
