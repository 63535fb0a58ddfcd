/** Goal: every record survives encoding unchanged, and other readers of CBOR agree. Method: random records; cbor-x as a second opinion. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Encoder } from 'cbor-x';
import fc from 'fast-check';
import { arbitraryRecord, plain, runProperty } from '../../tests/journal/support.ts';
import {
  decodeRecord,
  encodedSizeBound,
  encodeRecord,
  RecordSyntaxError,
  skipRecord,
} from './record-codec.ts';
import type { JournalRecord } from './records.ts';

function encode(record: JournalRecord): Buffer {
  const bytes = Buffer.alloc(encodedSizeBound(record));
  return bytes.subarray(0, encodeRecord(record, bytes, 0));
}

describe('record codec', () => {
  it('gives back what was encoded, within the bound, and skips exactly one record', () =>
    runProperty(
      fc.property(arbitraryRecord, (record) => {
        const bytes = Buffer.concat([encode(record), Buffer.from([0xff])]);
        const { record: decoded, end } = decodeRecord(bytes, 0);
        assert.deepEqual(plain(decoded), plain(record));
        assert.equal(end, bytes.length - 1);
        assert.equal(skipRecord(bytes, 0), end);
      }),
    ));

  it('is CBOR as cbor-x reads it', () => {
    const decoder = new Encoder({ useRecords: false, mapsAsObjects: true });
    return runProperty(
      fc.property(arbitraryRecord, (record) => {
        const decoded = decoder.decode(encode(record));
        // cbor-x gives integers above 2^32 as bigint.
        for (const key in decoded) if (typeof decoded[key] === 'bigint') decoded[key] = Number(decoded[key]);
        assert.deepEqual(plain(decoded), plain(record));
      }),
    );
  });

  it('refuses bytes that are cut or are no record, without reading beyond them', () =>
    runProperty(
      fc.property(arbitraryRecord, fc.nat(), (record, cut) => {
        const bytes = encode(record);
        assert.throws(() => decodeRecord(bytes.subarray(0, cut % bytes.length), 0), RecordSyntaxError);
      }),
    ));

  it('refuses records of unknown type, with unknown, missing, repeated or mistyped keys', () => {
    const encoder = new Encoder({ useRecords: false, variableMapSize: true });
    for (const value of [
      { t: 'nonsense' },
      { t: 'account' },
      { t: 'account', account: 1 },
      { t: 'account', account: 'a', more: 1 },
      { t: 'account', account: 'a', toString: 'x' },
      { account: 'a' },
      ['t', 'account'],
    ]) {
      assert.throws(() => decodeRecord(Buffer.from(encoder.encode(value)), 0), RecordSyntaxError);
    }
    const twice = Buffer.concat([
      Buffer.from([0xa2]),
      encode({ t: 'account', account: 'a' }).subarray(1, 11),
    ]);
    assert.throws(() => decodeRecord(Buffer.concat([twice, twice.subarray(1)]), 0), RecordSyntaxError);
  });

  it('refuses numbers that a journal cannot hold', () => {
    for (const time of [-1, 0.5, Number.NaN, 2 ** 53])
      assert.throws(() => encode({ t: 'commit', time }), RangeError);
  });
});
