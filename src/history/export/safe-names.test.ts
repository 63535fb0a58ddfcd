import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { modifiedUtf7 } from './modified-utf7.ts';
import { SafePaths, safeName } from './safe-names.ts';

function decode(name: string): string {
  if (name === '%') return '';
  const bytes = name.replace(/(?:%[0-9a-f]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString(),
  );
  return bytes;
}

test('no name leaves its folder, hides or is refused by a file system, and each can be read back', () => {
  for (const name of [
    '..',
    '.',
    '',
    'a/b',
    '.hidden',
    'x.',
    'x ',
    'a\0b',
    '100%',
    'con:',
    'a\\b',
    'Entwürfe',
    '日本',
  ]) {
    assert.match(safeName(name), /^(?![.])[^/\\\0:]+(?<![. ])$/u, JSON.stringify(name));
    assert.equal(decode(safeName(name)), name);
  }
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), (name) => {
      const safe = safeName(name, '.');
      assert.ok(!/[/\\\0.]/.test(safe) && safe !== '');
      assert.equal(decode(safe), name.toWellFormed());
    }),
  );
});

test('names that are too long are cut and stay apart', () => {
  const one = safeName(`${'ü'.repeat(300)}1`);
  const other = safeName(`${'ü'.repeat(300)}2`);
  assert.ok(Buffer.byteLength(one) <= 200 && one !== other);
});

test('siblings that differ in case alone get names that differ without it; the same name stays', () => {
  const paths = new SafePaths(safeName);
  const names = ['WORK', 'Work', 'work', 'wORK'].map((name) => paths.components([name, 'x'])[0] as string);
  assert.equal(new Set(names.map((name) => name.toLowerCase())).size, 4);
  assert.deepEqual(names.map(decode), ['WORK', 'Work', 'work', 'wORK']);
  assert.deepEqual(paths.components(['work', 'x']), [names[2], 'x']);
});

test('modified UTF-7 as in RFC 3501', () => {
  assert.equal(modifiedUtf7('~peter/mail/台北/日本語'), '~peter/mail/&U,BTFw-/&ZeVnLIqe-');
  assert.equal(modifiedUtf7('A & B'), 'A &- B');
});
