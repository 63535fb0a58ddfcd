import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { indexBody } from './index-body.ts';

function index(text: string | Buffer, at = 0) {
  const data = Buffer.from(text as string);
  return indexBody({ t: 'body', hash: new Uint8Array(32), size: data.length, at, data });
}

test('subject, sender and message id are taken from the header, whatever the case and order', () => {
  const found = index(
    'Received: x\r\nmessage-ID: <1@a>\r\nFROM : A <a@b>\r\nSubject:Hello\r\n\r\nSubject: no\r\n',
  );
  assert.deepEqual([found?.subject, found?.from, found?.messageId], ['Hello', 'A <a@b>', '<1@a>']);
});

test('folded lines are unfolded, encoded words left alone', () => {
  const found = index('Subject: =?utf-8?q?a?=\r\n\t=?utf-8?q?b?=\r\nFrom: x\n folded\n\nbody');
  assert.equal(found?.subject, '=?utf-8?q?a?= =?utf-8?q?b?=');
  assert.equal(found?.from, 'x folded');
});

test('8-bit values are read as UTF-8 where they are that, else as Latin-1', () => {
  assert.equal(index('Subject: Gr\u00fc\u00dfe\n\n')?.subject, 'Grüße');
  assert.equal(index(Buffer.from('Subject: Gr\u00fc\u00dfe\n\n', 'latin1'))?.subject, 'Grüße');
});

test('a header after the first blank line, or a second one of the name, does not count', () => {
  assert.equal(index('A: b\n\nSubject: in the body\n')?.subject, '');
  assert.equal(index('Subject: one\nSubject: two\n\n')?.subject, 'one');
});

test('long values are shortened at a blank and stay well formed', () => {
  const subject = index(`Subject: ${'word '.repeat(200)}\n\n`)?.subject ?? '';
  assert.ok(subject.length <= 300 && subject.endsWith('word'));
  assert.ok(index(`Subject: ${'😀'.repeat(300)}x\n\n`)?.subject.isWellFormed());
});

test('only the first piece says something; no bytes break it', () => {
  assert.equal(index('Subject: x\n\n', 5), undefined);
  fc.assert(fc.property(fc.uint8Array(), (bytes) => index(Buffer.from(bytes)) !== undefined));
  fc.assert(
    fc.property(
      fc.uint8Array(),
      (bytes) => index(Buffer.concat([Buffer.from('Subject:'), bytes])) !== undefined,
    ),
  );
});
