import { BODY_PIECE_BYTES, type BodyRecord } from './records.ts';

/** The records of one body, to be appended one after the other. The data of each is a view into `data`. */
export function* bodyPieces(hash: Uint8Array, data: Uint8Array): Generator<BodyRecord> {
  let at = 0;
  do {
    yield { t: 'body', hash, size: data.length, at, data: data.subarray(at, at + BODY_PIECE_BYTES) };
    at += BODY_PIECE_BYTES;
  } while (at < data.length);
}
