import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { internalDateMs, packDate, unpackDate } from './internal-date.ts';

const dates = [
  '17-Jul-1996 02:44:25 -0700',
  ' 7-Jul-2026 23:59:59 +0530',
  '07-Jul-2026 00:00:00 +0000',
  '29-Feb-2024 12:00:00 +1400',
];

test('a usual date becomes a number and the same text again', () => {
  for (const date of dates) {
    assert.equal(typeof packDate(date), 'number', date);
    assert.equal(unpackDate(packDate(date)), date);
  }
});

test('any text comes back as it was', () => {
  const odd = [
    '',
    'NIL',
    '31-Feb-2024 12:00:00 +0000',
    '17-Jul-1996 02:44:25 -0000',
    ' 17-Jul-1996 02:44:25 +0000',
  ];
  odd.push('01-Jan-1960 00:00:00 +0000', '17-jul-1996 02:44:25 +0000', '01-Jan-9999 00:00:00 +9959');
  for (const text of odd) assert.equal(unpackDate(packDate(text)), text);
  const part = (min: number, max: number) => fc.integer({ min, max });
  fc.assert(
    fc.property(part(0, 253402300799), part(-1439, 1439), fc.boolean(), (seconds, zone, blank) => {
      const text = unpackDate(seconds * 8192 + (zone + 2048) * 2 + (blank ? 1 : 0));
      assert.equal(unpackDate(packDate(text)), text);
      if (typeof packDate(text) === 'number') assert.equal(internalDateMs(text), seconds * 1000);
    }),
  );
});
