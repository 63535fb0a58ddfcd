import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, duration, number, table, visible } from './human.ts';

test('figures read well', () => {
  assert.deepEqual([0, 1023, 1024, 713_000_000, 5 * 2 ** 40].map(bytes), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '680 MiB',
    '5.0 TiB',
  ]);
  assert.deepEqual([1, 1234, 1234567].map(number), ['1', '1,234', '1,234,567']);
  assert.deepEqual([12, 1500, 61_000, 3_700_000, 3 * 86_400_000].map(duration), [
    '12 ms',
    '1.5 s',
    '1 min 1 s',
    '1 h 1 min',
    '3 d 0 h',
  ]);
});

test('a duration is rounded before it is split', () => {
  assert.deepEqual([999.6, 9_960, 59_400, 59_700, 119_700, 3_599_700].map(duration), [
    '1.0 s',
    '10 s',
    '59 s',
    '1 min 0 s',
    '2 min 0 s',
    '1 h 0 min',
  ]);
});

test('mail cannot command the terminal', () => {
  assert.equal(visible('a\u001b[2Jb\u202ec\n'), 'a\\x1b[2Jb\\x202ec\\x0a');
  assert.equal(
    table(
      ['n', 'x'],
      [
        ['1', 'a\rb'],
        ['22', ''],
      ],
      [0],
    ),
    ' n  x\n 1  a\\x0db\n22\n',
  );
});
