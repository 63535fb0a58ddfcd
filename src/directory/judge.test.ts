import assert from 'node:assert/strict';
import test from 'node:test';
import { changesFor, foldValue, judge, sameValues } from './judge.ts';

test('the verdict follows what is there, and what is done already comes first', () => {
  const wish = { from: ['a.example'], to: ['b.example'] };
  const rows: [string[], { from: string[]; to: string[] }, ReturnType<typeof judge>][] = [
    [['a.example'], wish, 'ready'],
    [['A.Example'], wish, 'ready'],
    [['B.example'], wish, 'done'],
    [['c.example'], wish, 'conflict'],
    [[], wish, 'conflict'],
    [['a.example', 'b.example'], wish, 'conflict'],
    [[], { from: [], to: ['b.example'] }, 'ready'],
    [['a.example'], { from: [], to: ['b.example'] }, 'conflict'],
    [[], { from: ['a.example'], to: [] }, 'done'],
    [['a.example'], { from: ['a.example'], to: ['A.EXAMPLE'] }, 'done'],
    [['y', 'x'], { from: ['x', 'y'], to: ['z'] }, 'ready'],
    [['10.0.0.1'], { from: ['a.example'], to: ['10.0.0.1'] }, 'done'],
  ];
  for (const [found, change, verdict] of rows) {
    assert.equal(judge(found, change), verdict, JSON.stringify([found, change]));
  }
});

test('values that a directory calls equal are equal: case and spare spaces do not count', () => {
  for (const same of ['mail-a.example', ' mail-a.example', 'Mail-A.example  ']) {
    assert.equal(foldValue(same), 'mail-a.example', JSON.stringify(same));
  }
  assert.equal(foldValue('a   B'), 'a b');
  assert.notEqual(foldValue('ab'), foldValue('a b'));
  assert.notEqual(foldValue('a\t'), foldValue('a'));
  assert.equal(judge(['a.example '], { from: ['a.example'], to: [] }), 'ready');
});

test('values are a set without case', () => {
  assert.equal(sameValues(['a', 'b'], ['B', 'A']), true);
  assert.equal(sameValues(['a', 'A'], ['a']), true);
  assert.equal(sameValues(['a'], ['a', 'b']), false);
});

test('a change names every old value, and asks for nothing when nothing is to be deleted or added', () => {
  const shape = (found: string[], to: string[]) =>
    changesFor('mailHost', found, to).map(({ operation, modification }) => [operation, modification.values]);
  assert.deepEqual(shape(['a', 'b'], ['c']), [
    ['delete', ['a', 'b']],
    ['add', ['c']],
  ]);
  assert.deepEqual(shape([], ['c']), [['add', ['c']]]);
  assert.deepEqual(shape(['a'], []), [['delete', ['a']]]);
});
