/** The segments of a journal as a set: do their headers agree with each other, with their names and with the key? */
import type { UnderstudyError } from '../lib/index.ts';
import { keyIdOf, segmentKey } from './cipher.ts';
import { journalErrors, storageError } from './errors.ts';
import type { Lsn } from './records.ts';
import {
  declaredHeaderBytes,
  decodeSegmentHeader,
  journalIdText,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentName,
} from './segment-header.ts';
import type { SegmentStorage, StoredSegment } from './storage.ts';

export interface Segment {
  readonly name: string;
  readonly size: number;
  readonly sealed: boolean;
  readonly header: SegmentHeader;
  readonly headerHash: Buffer;
  /** Derived from the key for this segment; absent when its frames are not encrypted. */
  readonly key?: Buffer;
}

export type FaultCode =
  | 'JOURNAL_DAMAGED'
  | 'JOURNAL_VERSION_UNKNOWN'
  | 'JOURNAL_SEGMENT_MISSING'
  | 'JOURNAL_SEGMENT_MISPLACED'
  | 'JOURNAL_SEGMENT_FOREIGN'
  | 'JOURNAL_KEY_MISSING'
  | 'JOURNAL_KEY_WRONG';

/** Something wrong with stored bytes: where, and what. */
export interface Fault {
  readonly code: FaultCode;
  readonly segment: string;
  readonly offset: number;
  /** The LSN expected there, where it is known. */
  readonly lsn?: Lsn;
  readonly what: string;
}

export function faultError(location: string, fault: Fault): UnderstudyError {
  const lsn = fault.lsn === undefined ? '' : ` (LSN ${fault.lsn})`;
  const { code, ...details } = fault;
  return journalErrors.make(
    code,
    `journal ${location}, segment ${fault.segment}, offset ${fault.offset}${lsn}: ${fault.what}`,
    { details: { location, ...details } },
  );
}

/** All segments whose headers can be read, in order, and what is wrong with the set. Empty when there is no journal. */
export async function loadSegments(
  storage: SegmentStorage,
  key: Uint8Array | undefined,
): Promise<{ segments: Segment[]; faults: Fault[] }> {
  const faults: Fault[] = [];
  const segments: Segment[] = [];
  const keyId = key && keyIdOf(key);
  for (const stored of await listSegments(storage)) {
    const decoded = decodeSegmentHeader(await readHeader(storage, stored));
    if (decoded.kind === 'damaged') {
      faults.push({ code: 'JOURNAL_DAMAGED', segment: stored.name, offset: 0, what: decoded.what });
    } else if (decoded.kind === 'other-version') {
      const what = `written in journal format ${decoded.version}`;
      faults.push({ code: 'JOURNAL_VERSION_UNKNOWN', segment: stored.name, offset: 0, what });
    } else {
      const { encryption, journalId } = decoded.header;
      const fits = encryption !== undefined && keyId?.equals(encryption.keyId);
      if (encryption && !fits) {
        faults.push({
          code: key ? 'JOURNAL_KEY_WRONG' : 'JOURNAL_KEY_MISSING',
          segment: stored.name,
          offset: 0,
          what: key ? 'encrypted with another key than the one given' : 'encrypted, and no key was given',
        });
      }
      segments.push({
        ...stored,
        header: decoded.header,
        headerHash: decoded.hash,
        ...(encryption && key && fits ? { key: segmentKey(key, journalId, encryption.keySalt) } : {}),
      });
    }
  }
  faults.push(...orderFaults(segments, faults));
  return { segments, faults };
}

/** Pure: what the headers say about each other. Names that `earlier` faults account for are not reported as missing again. */
export function orderFaults(segments: readonly Segment[], earlier: readonly Fault[]): Fault[] {
  const faults: Fault[] = [];
  const journalId = commonJournalId(segments);
  const isEncrypted = segments[0]?.header.encryption !== undefined;
  let expectedOrdinal = 1;
  let previousName = '';
  for (const { name, header } of segments) {
    const at = { segment: name, offset: 0, lsn: header.firstLsn };
    if (!header.journalId.equals(journalId)) {
      const what = `belongs to journal ${journalIdText(header.journalId)}, the others to ${journalIdText(journalId)}`;
      faults.push({ code: 'JOURNAL_SEGMENT_FOREIGN', ...at, what });
    } else if (name !== segmentName(header.firstLsn)) {
      const what = `its header says that it is ${segmentName(header.firstLsn)}`;
      faults.push({ code: 'JOURNAL_SEGMENT_MISPLACED', ...at, what });
    } else if (header.ordinal < expectedOrdinal) {
      const what = `it is segment number ${header.ordinal}, and there is another one with that number`;
      faults.push({ code: 'JOURNAL_SEGMENT_MISPLACED', ...at, what });
    } else {
      if ((header.encryption !== undefined) !== isEncrypted) {
        const what = `it is ${isEncrypted ? 'not ' : ''}encrypted, the first segment is${isEncrypted ? '' : ' not'}`;
        faults.push({ code: 'JOURNAL_DAMAGED', ...at, what });
      }
      const missing = header.ordinal - expectedOrdinal;
      const unreadable = earlier.filter(
        (fault) => fault.code === 'JOURNAL_DAMAGED' && fault.segment > previousName && fault.segment < name,
      );
      if (missing > unreadable.length) {
        const what = `segment number ${header.ordinal}; number ${expectedOrdinal}${missing > 1 ? ` to ${header.ordinal - 1}` : ''} before it is not there`;
        faults.push({ code: 'JOURNAL_SEGMENT_MISSING', ...at, what });
      }
      expectedOrdinal = header.ordinal + 1;
      previousName = name;
    }
  }
  return faults;
}

/** The id that most segments carry, so that a stray file and not the journal is called foreign. */
export function commonJournalId(segments: readonly Segment[]): Buffer {
  const counts = new Map<string, number>();
  for (const { header } of segments) {
    const id = header.journalId.toString('hex');
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const [most] = [...counts].sort((left, right) => right[1] - left[1]);
  return Buffer.from(most?.[0] ?? '', 'hex');
}

async function listSegments(storage: SegmentStorage): Promise<readonly StoredSegment[]> {
  try {
    return await storage.list();
  } catch (error) {
    throw storageError(error, `list the segments in ${storage.location}`);
  }
}

async function readHeader(storage: SegmentStorage, segment: StoredSegment): Promise<Buffer> {
  try {
    const bytes = await storage.read(segment.name, 0, SEGMENT_HEADER_BYTES);
    const declared = declaredHeaderBytes(bytes);
    // That of a later version may be longer, and is told from a damaged one by its hash.
    return declared > bytes.length ? await storage.read(segment.name, 0, declared) : bytes;
  } catch (error) {
    throw storageError(error, `read the header of segment ${segment.name}`);
  }
}
