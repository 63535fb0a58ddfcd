/** From a stored frame to its records. */
import { decompress } from './compression.ts';
import { decryptPayload } from './frame.ts';
import { decodeRecord, skipRecord } from './record-codec.ts';
import type { JournalEntry, JournalRecord, Lsn } from './records.ts';
import type { StoredFrame } from './scan.ts';

/** The records of a frame as bytes: decrypted and decompressed. */
export interface OpenFrame {
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
  readonly segment: string;
  readonly offset: number;
  readonly length: number;
  readonly raw: Buffer;
}

/** @throws Error saying what is wrong with the payload (its checksum was right, so a defect or a wrong key wrote it) */
export async function openFrame(
  journalId: Buffer,
  segment: { readonly name: string; readonly key?: Buffer },
  frame: StoredFrame,
): Promise<OpenFrame> {
  const { header } = frame;
  const payload = decryptPayload(journalId, header, frame.headerBytes, frame.stored, segment.key);
  const raw = header.zstd ? await decompress(payload, header.rawBytes) : payload;
  if (raw.length !== header.rawBytes) {
    throw new Error(`payload of ${raw.length} bytes where ${header.rawBytes} were declared`);
  }
  return {
    firstLsn: header.firstLsn,
    lastLsn: (header.firstLsn + header.recordCount - 1) as Lsn,
    segment: segment.name,
    offset: frame.offset,
    length: frame.length,
    raw,
  };
}

/** Records from `fromLsn` to `toLsn`, as far as they are in the frame. @throws RecordSyntaxError */
export function* entriesOf(frame: OpenFrame, fromLsn: Lsn, toLsn: Lsn): Generator<JournalEntry> {
  let offset = 0;
  for (let lsn = frame.firstLsn as number; lsn <= frame.lastLsn && lsn <= toLsn; lsn++) {
    if (lsn < fromLsn) {
      offset = skipRecord(frame.raw, offset);
      continue;
    }
    const { record, end } = decodeRecord(frame.raw, offset);
    offset = end;
    yield { lsn: lsn as Lsn, record };
  }
}

/** Where a record begins that was read: who reads on does not look for it from the frame's start. */
const places = new WeakMap<OpenFrame, { readonly lsn: number; readonly offset: number }>();

/** The record with this LSN, which lies in the frame. @throws RecordSyntaxError */
export function recordOf(frame: OpenFrame, lsn: Lsn): JournalRecord {
  const place = places.get(frame);
  let { lsn: at, offset } = place && place.lsn <= lsn ? place : { lsn: frame.firstLsn as number, offset: 0 };
  for (; at < lsn; at++) offset = skipRecord(frame.raw, offset);
  places.set(frame, { lsn: at, offset });
  return decodeRecord(frame.raw, offset).record;
}
