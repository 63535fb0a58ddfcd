import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from './random.ts';

describe('Random', () => {
  it('repeats its sequence for the same seed, and another for another', () => {
    const sequence = (seed: number | string) => {
      const random = new Random(seed);
      return Array.from({ length: 100 }, () => random.uint32());
    };
    assert.deepEqual(sequence(7), sequence('7'));
    assert.notDeepEqual(sequence(7), sequence(8));
  });

  it('gives the same numbers in every release, since generated fixtures depend on them', () => {
    const random = new Random('fixture');
    assert.deepEqual([random.uint32(), random.uint32(), random.uint32()], [1348784468, 855755261, 371041571]);
  });

  it('spreads evenly', () => {
    const random = new Random(1);
    const counts = new Map<number, number>();
    for (let at = 0; at < 60_000; at += 1) {
      const face = random.integer(1, 6);
      counts.set(face, (counts.get(face) ?? 0) + 1);
    }
    assert.deepEqual([...counts.keys()].sort(), [1, 2, 3, 4, 5, 6]);
    for (const count of counts.values()) assert.ok(Math.abs(count - 10_000) < 500, String(count));
  });

  it('shuffles without loss', () => {
    const items = Array.from({ length: 50 }, (_, at) => at);
    const shuffled = new Random(2).shuffled(items);
    assert.notDeepEqual(shuffled, items);
    assert.deepEqual(
      shuffled.sort((a, b) => a - b),
      items,
    );
  });
});
