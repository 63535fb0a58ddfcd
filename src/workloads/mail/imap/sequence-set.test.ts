import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import {
  countOfRanges,
  formatSequenceSet,
  normalizeRanges,
  parseSequenceSet,
  rangesHold,
  rangesOfUids,
  STAR,
  splitRanges,
  uidsOfRanges,
} from './sequence-set.ts';

const seed = Number(process.env['FC_SEED'] ?? randomInt(2 ** 31));

test('sets are read as RFC 9051 writes them, and nothing else is one', () => {
  assert.deepEqual(parseSequenceSet('2,4:7,9,12:*'), [
    { from: 2, to: 2 },
    { from: 4, to: 7 },
    { from: 9, to: 9 },
    { from: 12, to: STAR },
  ]);
  assert.deepEqual(parseSequenceSet('*:4'), [{ from: 4, to: STAR }]);
  for (const text of ['', '0', 'a', '1,', ',1', '1:', ':1', '1::2', '1 2', '4294967296', '-1', '1.5']) {
    assert.equal(parseSequenceSet(text), undefined, text);
  }
});

test('UIDs survive being made ranges, text, ranges and parts', () => {
  const uids = fc
    .uniqueArray(fc.integer({ min: 1, max: 400 }), { maxLength: 200 })
    .map((list) => list.sort((a, b) => a - b));
  fc.assert(
    fc.property(uids, fc.integer({ min: 1, max: 50 }), (list, count) => {
      const ranges = rangesOfUids(list);
      assert.deepEqual(normalizeRanges([...ranges].reverse()), ranges);
      assert.equal(countOfRanges(ranges), list.length);
      if (list.length > 0) {
        assert.deepEqual([...uidsOfRanges(parseSequenceSet(formatSequenceSet(ranges)) ?? [])], list);
      }
      const parts = [...splitRanges(ranges, count)];
      assert.deepEqual(
        parts.flatMap((part) => [...uidsOfRanges(part)]),
        list,
      );
      assert.ok(parts.every((part) => countOfRanges(part) <= count));
      for (let uid = 0; uid <= 401; uid++) assert.equal(rangesHold(ranges, uid), list.includes(uid));
    }),
    { seed, numRuns: 300 },
  );
});
