/** Goal: the comparison of shown and printed output is strict where it should be and lenient where it must. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingLine } from './output.ts';

const agree: readonly [what: string, shown: readonly string[], printed: string][] = [
  ['the same', ['a', 'b'], 'a\nb\n'],
  ['columns of other width', ['UID  date'], 'UID    date\n'],
  [
    'another time and LSN',
    ['as of 2026-01-01T00:00:00.000Z (lsn:1)'],
    'as of 2027-02-02T11:11:11.111Z (lsn:22)\n',
  ],
  ['another duration', ['restored in 21 ms'], 'restored in 1.8 s\n'],
  ['any lines', ['a', '…', 'd'], 'a\nb\nc\nd\n'],
  ['no lines in place of any', ['a', '…', 'b'], 'a\nb\n'],
  ['any end', ['a', '…'], 'a\nb\n'],
  ['any text', ['a … c'], 'a b c\n'],
  ['logs between', ['a', 'b'], 'a\n{"level":"warn","msg":"x"}\nb\n'],
];
for (const [what, shown, printed] of agree) {
  test(`agrees: ${what}`, () => assert.equal(missingLine(shown, printed), undefined));
}

const differ: readonly [what: string, shown: readonly string[], printed: string][] = [
  ['another word', ['a'], 'b\n'],
  ['another number', ['3 messages'], '4 messages\n'],
  ['a line too many', ['a'], 'a\nb\n'],
  ['a line too few', ['a', 'b'], 'a\n'],
  ['another order', ['a', 'b'], 'b\na\n'],
  ['a line that never comes', ['…', 'z'], 'a\nb\n'],
  ['a part of a line', ['messages'], '3 messages\n'],
];
for (const [what, shown, printed] of differ) {
  test(`differs: ${what}`, () => assert.notEqual(missingLine(shown, printed), undefined));
}
