/** Goal: whatever a mail server's script sends is read as far as it makes sense, and never throws. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readPushedEvent } from './pushed-event.ts';

const read = (text: string | Uint8Array) =>
  readPushedEvent(typeof text === 'string' ? Buffer.from(text) : text);

test('numbers as text or with a fraction are numbers; those that are none are left out', () => {
  const event = (fields: string) => read(`{"user":"a","events":[{"name":"X",${fields}}]}`)?.event.changes[0];
  assert.equal(event('"uid":"2.0"')?.uid, 2);
  assert.equal(event('"uid":7')?.uid, 7);
  assert.equal(event('"uid_validity":"1795442721.0"')?.uidValidity, 1795442721);
  for (const none of ['"uid":"x"', '"uid":-1', '"uid":""', '"uid":null', '"uid":[]', '"uid":1e99']) {
    assert.equal(event(none)?.uid, undefined, none);
  }
});

test('control characters and bytes that are no UTF-8 do not stop it', () => {
  const bytes = Buffer.concat([
    Buffer.from('{"user":"a","events":[{"name":"N\u0001","mailbox":"'),
    Buffer.from([0xff, 0x0a]),
    Buffer.from('"}]}'),
  ]);
  assert.equal(read(bytes)?.event.changes.length, 1);
});

test('of a body that is no JSON the user is enough', () => {
  assert.deepEqual(read('{"user":"alice","events":[{"subject":"un"escaped"}]}'), {
    event: { user: 'alice', changes: [] },
    happened: true,
  });
  assert.equal(read('no user at all'), undefined);
  assert.equal(read('[1,2]'), undefined);
  assert.equal(read('{"user":""}'), undefined);
});

test('a transaction that failed changed nothing', () => {
  assert.equal(read('{"user":"a","success":false,"events":[]}')?.happened, false);
});

test('any bytes are read or refused, never thrown at', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void read(bytes)));
  fc.assert(fc.property(fc.json(), (json) => void read(json)));
});
