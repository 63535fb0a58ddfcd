/** The 160 bytes at the start of a segment; docs/internals/journal-format.md. Pure: no I/O. */
import { hash } from 'node:crypto';
import { KEY_ID_BYTES, KEY_SALT_BYTES } from './cipher.ts';
import type { Lsn } from './records.ts';

export const FORMAT_VERSION = 1;
export const SEGMENT_HEADER_BYTES = 160;
export const HASH_BYTES = 32;
export const JOURNAL_ID_BYTES = 16;
const MAGIC = Buffer.from('UNDRSTDY', 'latin1');
const ENCRYPTED = 1;
const HASHED_BYTES = SEGMENT_HEADER_BYTES - HASH_BYTES;

export interface SegmentHeader {
  readonly journalId: Buffer;
  readonly ordinal: number;
  readonly firstLsn: Lsn;
  /** Time of the last commit before this segment, ms; 0 in the first. */
  readonly timeBefore: number;
  /** Absent when frames are not encrypted. */
  readonly encryption?: { readonly keyId: Buffer; readonly keySalt: Buffer };
  /** Hash of the last frame of the previous segment; zero in the first. */
  readonly previousHash: Buffer;
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt16BE(FORMAT_VERSION, 8);
  bytes.writeUInt16BE(SEGMENT_HEADER_BYTES, 10);
  bytes.writeUInt32BE(header.encryption ? ENCRYPTED : 0, 12);
  header.journalId.copy(bytes, 16);
  bytes.writeBigUInt64BE(BigInt(header.ordinal), 32);
  bytes.writeBigUInt64BE(BigInt(header.firstLsn), 40);
  bytes.writeBigUInt64BE(BigInt(header.timeBefore), 48);
  header.encryption?.keyId.copy(bytes, 64);
  header.encryption?.keySalt.copy(bytes, 80);
  header.previousHash.copy(bytes, 96);
  hash('sha256', bytes.subarray(0, HASHED_BYTES), 'buffer').copy(bytes, HASHED_BYTES);
  return bytes;
}

/** How long a header says that it is, whatever its version; 0 where it does not say. */
export function declaredHeaderBytes(bytes: Buffer): number {
  return bytes.length >= 12 && bytes.subarray(0, 8).equals(MAGIC) ? bytes.readUInt16BE(10) : 0;
}

export type DecodedSegmentHeader =
  | { readonly kind: 'header'; readonly header: SegmentHeader; readonly hash: Buffer }
  | { readonly kind: 'other-version'; readonly version: number }
  | { readonly kind: 'damaged'; readonly what: string };

export function decodeSegmentHeader(bytes: Buffer): DecodedSegmentHeader {
  if (bytes.length < 12) return { kind: 'damaged', what: `only ${bytes.length} bytes long` };
  if (!bytes.subarray(0, 8).equals(MAGIC)) return { kind: 'damaged', what: 'does not begin with the magic' };
  const version = bytes.readUInt16BE(8);
  const headerBytes = bytes.readUInt16BE(10);
  if (bytes.length < headerBytes || headerBytes < 12 + HASH_BYTES) {
    return { kind: 'damaged', what: 'segment header cut short' };
  }
  const hashed = bytes.subarray(0, headerBytes - HASH_BYTES);
  const declared = bytes.subarray(headerBytes - HASH_BYTES, headerBytes);
  if (!hash('sha256', hashed, 'buffer').equals(declared)) {
    if (version !== FORMAT_VERSION && isOursButForVersion(hashed, declared))
      return { kind: 'other-version', version };
    return { kind: 'damaged', what: 'segment header does not match its checksum' };
  }
  const flags = bytes.readUInt32BE(12);
  if (version !== FORMAT_VERSION || headerBytes !== SEGMENT_HEADER_BYTES || (flags & ~ENCRYPTED) !== 0) {
    return { kind: 'other-version', version };
  }
  const header: SegmentHeader = {
    journalId: copyOf(bytes, 16, JOURNAL_ID_BYTES),
    ordinal: Number(bytes.readBigUInt64BE(32)),
    firstLsn: Number(bytes.readBigUInt64BE(40)) as Lsn,
    timeBefore: Number(bytes.readBigUInt64BE(48)),
    previousHash: copyOf(bytes, 96, HASH_BYTES),
    ...(flags & ENCRYPTED
      ? { encryption: { keyId: copyOf(bytes, 64, KEY_ID_BYTES), keySalt: copyOf(bytes, 80, KEY_SALT_BYTES) } }
      : {}),
  };
  return { kind: 'header', header, hash: Buffer.from(declared) };
}

export function segmentName(firstLsn: Lsn): string {
  return `${firstLsn.toString(16).padStart(16, '0')}.seg`;
}

/** Journal ids are shown as 32 hexadecimal digits. */
export function journalIdText(journalId: Buffer): string {
  return journalId.toString('hex');
}

function copyOf(bytes: Buffer, offset: number, length: number): Buffer {
  return Buffer.from(bytes.subarray(offset, offset + length));
}

/** Only the version differs from a header of ours: whoever changed it, it is the version that keeps us from reading. */
function isOursButForVersion(hashed: Buffer, declared: Buffer): boolean {
  const ours = Buffer.from(hashed);
  ours.writeUInt16BE(FORMAT_VERSION, 8);
  return hash('sha256', ours, 'buffer').equals(declared);
}
