/** Goal: no two literals ever share a buffer. Method: random taking and giving back, each buffer marked by its owner. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../lib/index.ts';
import { LiteralBuffers } from './literal-buffers.ts';

test('a buffer is its owner’s alone until it is given back, whatever the sizes', () => {
  const buffers = new LiteralBuffers();
  const random = new Random('literal buffers');
  let held: { bytes: Buffer; mark: number }[] = [];
  for (let count = 0; count < 2_000; count += 1) {
    if (held.length < 12 && random.chance(0.5)) {
      const size = random.pick([1, 130_000, 262_144, 262_145, 1_000_000, 2_097_152, 2_097_153]) as number;
      const bytes = buffers.take(size);
      assert.equal(bytes.length, size);
      bytes[0] = count & 0xff;
      bytes[size - 1] = count & 0xff;
      held.push({ bytes, mark: count & 0xff });
    } else {
      const leaving = random.pick(held);
      if (!leaving) continue;
      for (const { bytes, mark } of held) {
        assert.equal(bytes[0], mark);
        assert.equal(bytes.at(-1), mark);
      }
      held = held.filter((one) => one !== leaving);
      buffers.giveBack(leaving.bytes);
    }
  }
});

test('what is given back is used again, and giving it back twice, or elsewhere, is refused', () => {
  const buffers = new LiteralBuffers();
  const first = buffers.take(300_000);
  buffers.giveBack(first);
  assert.throws(() => buffers.giveBack(first), /once/);
  assert.equal(buffers.take(400_000).buffer, first.buffer);
  assert.throws(() => buffers.giveBack(Buffer.alloc(300_000)), /once/);
});
