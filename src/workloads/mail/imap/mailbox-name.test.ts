import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { decodeMailboxName, encodeMailboxName } from './mailbox-name.ts';

const seed = Number(process.env['FC_SEED'] ?? randomInt(2 ** 31));

test('names of RFC 3501 and of people', () => {
  for (const [wire, name] of [
    ['~peter/mail/&U,BTFw-/&ZeVnLIqe-', '~peter/mail/台北/日本語'],
    ['Entw&APw-rfe', 'Entwürfe'],
    ['R&-D', 'R&D'],
    ['&2D3eAA-', '😀'],
    ['iNbOx', 'INBOX'],
  ] as const) {
    assert.equal(decodeMailboxName(Buffer.from(wire)), name);
  }
  assert.equal(encodeMailboxName('日本語/R&D 😀').toString(), '&ZeVnLIqe-/R&-D &2D3eAA-');
});

test('a name of any bytes goes back to the server as it came', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc
      .string({ maxLength: 20, unit: fc.constantFrom('&', '-', ',', 'A', 'b', '/', '\xe9', '\n', '0') })
      .map((text) => Buffer.from(text, 'latin1')),
  );
  fc.assert(
    fc.property(bytes, (wire) => {
      const again = encodeMailboxName(decodeMailboxName(wire));
      const inbox = Buffer.from(wire).toString('latin1').toUpperCase() === 'INBOX';
      assert.deepEqual(again, inbox ? Buffer.from('INBOX') : Buffer.from(wire));
    }),
    { seed, numRuns: 5_000 },
  );
});

test('any Unicode name comes back as it was, but private-use characters that stand for raw bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (name) => {
      fc.pre(!/[\uef00-\uefff]/.test(name) && name.toUpperCase() !== 'INBOX');
      assert.equal(decodeMailboxName(encodeMailboxName(name)), name);
    }),
    { seed, numRuns: 2_000 },
  );
});
