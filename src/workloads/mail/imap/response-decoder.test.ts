/**
 * Goal: whatever way the bytes of a stream are cut into reads, the same responses come out, and no byte of a
 * message that was handed out is written again. Method: random streams, random cuts, tiny buffers.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { MalformedResponse, ResponseDecoder } from './response-decoder.ts';
import { type FetchResponse, type ImapResponse, ResponseParser } from './responses.ts';

const seed = Number(process.env['FC_SEED'] ?? randomInt(2 ** 31));
const limits = { slabBytes: 256, ownBytes: 64 };

/** One response and the body that must come out of it. */
const response = fc.oneof(
  fc
    .record({
      uid: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      body: fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.uint8Array({ minLength: 60, maxLength: 70 }),
        fc.uint8Array({ maxLength: 900 }),
      ),
      style: fc.constantFrom('', '+', '~'),
      tail: fc.constantFrom(')', ' FLAGS (\\Seen) MODSEQ (12))'),
    })
    .map(({ uid, body, style, tail }) => ({
      body: Buffer.from(body),
      bytes: Buffer.concat([
        Buffer.from(
          `* 1 FETCH (UID ${uid} X-GUID {3}\r\na,b BODY[] ${style === '~' ? '~' : ''}{${body.length}${style === '+' ? '+' : ''}}\r\n`,
        ),
        body,
        Buffer.from(`${tail}\r\n`),
      ]),
    })),
  fc
    .constantFrom(
      '* 5 EXISTS\r\n',
      '* OK text that ends in {5}\r\n',
      'U1 NO [X] also {99}\r\n',
      '+ go on {7}\r\n',
      '* FLAGS (\\Seen $X)\r\n',
      `* VANISHED ${'1,'.repeat(300)}9\r\n`,
      '* OK bare line feed\n',
    )
    .map((text) => ({ body: undefined, bytes: Buffer.from(text) })),
);

/** A body is valid until the response is handled only. */
function withOwnBody(response: ImapResponse): ImapResponse {
  return response.type === 'fetch' && response.body
    ? { ...response, body: Buffer.from(response.body) }
    : response;
}

test('any chunking of a stream gives the same responses, with the bodies as they came', () => {
  fc.assert(
    fc.property(
      fc.array(response, { maxLength: 12 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 300 })),
      fc.infiniteStream(fc.boolean()),
      (sent, sizes, coins) => {
        const decoder = new ResponseDecoder(limits);
        const parser = new ResponseParser();
        const seen: ImapResponse[] = [];
        const stream = Buffer.concat(sent.map(({ bytes }) => bytes));
        const coin = () => coins.next().value as boolean;
        let place: Buffer | undefined;
        const drain = () => {
          for (;;) {
            const raw = decoder.next();
            if (raw) {
              const parsed = parser.parse(raw);
              // While somebody handles a response the socket asks where the bytes after the pause belong.
              if (coin()) place = decoder.target(true);
              seen.push(withOwnBody(parsed));
              decoder.handled();
            } else if (decoder.literalWanted > 0) decoder.acceptLiteral();
            else return;
          }
        };
        for (let offset = 0; offset < stream.length; ) {
          const piece = stream.subarray(offset, offset + (sizes.next().value as number));
          if (coin()) {
            decoder.push(piece);
            place = undefined;
            offset += piece.length;
          } else {
            // As a socket does: the place is asked for first, and parsing may go on before the bytes arrive.
            if (coin()) drain();
            const target = place ?? decoder.target();
            assert.ok(target.length > 0);
            if (place === undefined && coin()) drain();
            place = undefined;
            const count = Math.min(target.length, piece.length);
            target.set(piece.subarray(0, count));
            decoder.wrote(target, count);
            offset += count;
          }
          if (coin()) drain();
          if (place === undefined && coin()) decoder.rest();
        }
        drain();
        assert.equal(decoder.midResponse, false);
        assert.equal(seen.length, sent.length);
        for (const [index, { body }] of sent.entries()) {
          if (body === undefined) continue;
          const fetched = seen[index] as FetchResponse;
          assert.deepEqual(fetched.body, body);
          assert.equal(fetched.guid, 'a,b');
        }
      },
    ),
    { seed, numRuns: 2_000 },
  );
});

test('a stream cut anywhere but between responses is known as cut', () => {
  const stream = Buffer.from('* 1 FETCH (UID 1 BODY[] {100}\r\n'.concat('x'.repeat(100), ')\r\n'));
  for (let cut = 1; cut < stream.length; cut++) {
    const decoder = new ResponseDecoder(limits);
    decoder.push(stream.subarray(0, cut));
    if (decoder.next() === undefined && decoder.literalWanted > 0) decoder.acceptLiteral();
    assert.equal(decoder.next(), undefined);
    assert.equal(decoder.midResponse, true, `cut at ${cut}`);
  }
});

test('a line or a literal beyond its limit is refused, not stored', () => {
  const long = new ResponseDecoder({ ...limits, responseBytesMax: 1000 });
  assert.throws(() => {
    for (;;) {
      long.push(Buffer.alloc(100, 'x'));
      long.next();
    }
  }, MalformedResponse);
  const large = new ResponseDecoder({ ...limits, literalBytesMax: 1000 });
  large.push(Buffer.from('* 1 FETCH (BODY[] {99999999999}\r\n'));
  assert.throws(() => large.next(), MalformedResponse);
});
