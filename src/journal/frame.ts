/** A frame: header of 136 bytes and a stored payload; docs/internals/journal-format.md. Pure: no I/O. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { decrypt, encrypt, NONCE_BYTES, newNonce, TAG_BYTES } from './cipher.ts';
import type { Lsn } from './records.ts';
import { HASH_BYTES } from './segment-header.ts';

export const FRAME_HEADER_BYTES = 136;
/** A reader refuses larger sizes as damage, so that a flipped bit cannot ask for gigabytes. */
export const FRAME_PAYLOAD_BYTES_MAX = 64 << 20;
export const FRAME_MAGIC = Buffer.from('UFRM', 'latin1');
const ZSTD = 1;
const ENCRYPTED = 2;
const PREVIOUS_HASH_AT = 68;
const CRC_AT = 100;
const HASH_AT = CRC_AT + 4;

export interface FrameHeader {
  readonly zstd: boolean;
  readonly encrypted: boolean;
  readonly firstLsn: Lsn;
  readonly recordCount: number;
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly durableLsn: Lsn;
  readonly commitLsn: Lsn;
  readonly commitTime: number;
  readonly nonce: Buffer;
  readonly previousHash: Buffer;
  readonly hash: Buffer;
}

/** LSN of the last record; for a mark (no records), of the last record before it. */
export function lastLsnOf(header: FrameHeader): Lsn {
  return (header.firstLsn + header.recordCount - 1) as Lsn;
}

/** Whether everything up to the end of this frame is committed: the journal may be cut after it. */
export function endsCommitted(header: FrameHeader): boolean {
  return header.commitLsn === lastLsnOf(header);
}

export interface FrameToWrite {
  readonly firstLsn: Lsn;
  readonly recordCount: number;
  readonly rawBytes: number;
  readonly durableLsn: Lsn;
  readonly commitLsn: Lsn;
  readonly commitTime: number;
  readonly previousHash: Uint8Array;
  /** Compressed when `zstd`, raw otherwise. */
  readonly payload: Uint8Array;
  readonly zstd: boolean;
}

/** The parts of a frame to be written one after the other, their total length, and the frame's hash. */
export function encodeFrame(
  journalId: Buffer,
  frame: FrameToWrite,
  key: Uint8Array | undefined,
): { parts: Uint8Array[]; length: number; hash: Buffer } {
  const encrypting = key !== undefined && frame.recordCount > 0;
  const storedBytes = frame.payload.length + (encrypting ? TAG_BYTES : 0);
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  FRAME_MAGIC.copy(header, 0);
  header.writeUInt8((frame.zstd ? ZSTD : 0) | (encrypting ? ENCRYPTED : 0), 4);
  header.writeBigUInt64BE(BigInt(frame.firstLsn), 8);
  header.writeUInt32BE(frame.recordCount, 16);
  header.writeUInt32BE(frame.rawBytes, 20);
  header.writeUInt32BE(storedBytes, 24);
  header.writeBigUInt64BE(BigInt(frame.durableLsn), 32);
  header.writeBigUInt64BE(BigInt(frame.commitLsn), 40);
  header.writeBigUInt64BE(BigInt(frame.commitTime), 48);
  const nonce = encrypting ? newNonce() : undefined;
  nonce?.copy(header, 56);
  header.set(frame.previousHash, PREVIOUS_HASH_AT);
  header.writeUInt32BE(crc32(header.subarray(0, CRC_AT)), CRC_AT);

  const stored =
    encrypting && nonce
      ? encrypt(key, nonce, [journalId, header.subarray(0, CRC_AT)], frame.payload)
      : [frame.payload];
  const hash = frameHash(journalId, header, stored);
  hash.copy(header, HASH_AT);
  return { parts: [header, ...stored], length: FRAME_HEADER_BYTES + storedBytes, hash };
}

/** The header at the start of `bytes`, or what is wrong with it. Not yet known: whether the payload belongs to it. */
export function decodeFrameHeader(bytes: Buffer): FrameHeader | string {
  if (bytes.length < FRAME_HEADER_BYTES) return 'frame header cut short';
  if (!bytes.subarray(0, 4).equals(FRAME_MAGIC)) return 'no frame begins here';
  if (crc32(bytes.subarray(0, CRC_AT)) !== bytes.readUInt32BE(CRC_AT)) {
    return 'frame header does not match its checksum';
  }
  const flags = bytes.readUInt8(4);
  const header: FrameHeader = {
    zstd: (flags & ZSTD) !== 0,
    encrypted: (flags & ENCRYPTED) !== 0,
    firstLsn: Number(bytes.readBigUInt64BE(8)) as Lsn,
    recordCount: bytes.readUInt32BE(16),
    rawBytes: bytes.readUInt32BE(20),
    storedBytes: bytes.readUInt32BE(24),
    durableLsn: Number(bytes.readBigUInt64BE(32)) as Lsn,
    commitLsn: Number(bytes.readBigUInt64BE(40)) as Lsn,
    commitTime: Number(bytes.readBigUInt64BE(48)),
    nonce: Buffer.from(bytes.subarray(56, 56 + NONCE_BYTES)),
    previousHash: Buffer.from(bytes.subarray(PREVIOUS_HASH_AT, CRC_AT)),
    hash: Buffer.from(bytes.subarray(HASH_AT, HASH_AT + HASH_BYTES)),
  };
  if ((flags & ~(ZSTD | ENCRYPTED)) !== 0) return 'frame with unknown flags';
  if (Math.max(header.rawBytes, header.storedBytes) > FRAME_PAYLOAD_BYTES_MAX) return 'frame too large';
  if (header.encrypted && header.storedBytes < TAG_BYTES) return 'encrypted frame without its tag';
  return header;
}

/** Whether `stored` is the payload that was written with this header. */
export function frameMatches(journalId: Buffer, headerBytes: Buffer, stored: Uint8Array): boolean {
  return frameHash(journalId, headerBytes, [stored]).equals(
    headerBytes.subarray(HASH_AT, HASH_AT + HASH_BYTES),
  );
}

/** The key vouches for what a segment holds: a frame that anybody could have written is none of it. A mark has no records. */
export const PLAIN_FRAME = 'frame is not encrypted in a segment that is';

/** The payload before encryption: still compressed when `zstd`. @throws when the key does not fit, or is not used. */
export function decryptPayload(
  journalId: Buffer,
  header: FrameHeader,
  headerBytes: Buffer,
  stored: Buffer,
  key: Uint8Array | undefined,
): Buffer {
  if (!header.encrypted) {
    if (key && header.recordCount > 0) throw new Error(PLAIN_FRAME);
    return stored;
  }
  if (!key) throw new Error('frame is encrypted in a segment that is not');
  return decrypt(key, header.nonce, [journalId, headerBytes.subarray(0, CRC_AT)], stored);
}

function frameHash(journalId: Buffer, header: Buffer, stored: readonly Uint8Array[]): Buffer {
  const digest = createHash('sha256').update(journalId).update(header.subarray(0, HASH_AT));
  for (const part of stored) digest.update(part);
  return digest.digest();
}
