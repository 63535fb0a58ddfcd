/** Opening a journal for writing: make it, or bring its end back to the last commit. */
import { randomBytes } from 'node:crypto';
import type { Log } from '../lib/index.ts';
import { KEY_SALT_BYTES, keyIdOf, segmentKey } from './cipher.ts';
import { journalErrors, storageError } from './errors.ts';
import type { FoundJournal } from './options.ts';
import type { Lsn } from './records.ts';
import { findTail, judgeStop, readBytes, type Tail } from './scan.ts';
import {
  encodeSegmentHeader,
  HASH_BYTES,
  JOURNAL_ID_BYTES,
  journalIdText,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentName,
} from './segment-header.ts';
import { commonJournalId, faultError, loadSegments, type Segment } from './segments.ts';
import type { SegmentStorage } from './storage.ts';

/** What opening a journal found and did. */
export interface Recovery {
  /** True when there was no journal and one was made. */
  readonly created: boolean;
  /** Bytes cut from the end of the last segment: nothing that was ever acknowledged. */
  readonly cutBytes: number;
  /** Records in the whole frames among them. */
  readonly cutRecords: number;
  /** Why the reading stopped before the end of the file, if it did: `frame cut short`. */
  readonly tornFrame?: string;
}

/** The segment that is being written. */
export interface ActiveSegment {
  readonly name: string;
  readonly ordinal: number;
  readonly key?: Buffer;
  size: number;
}

export interface OpenedJournal {
  readonly journalId: Buffer;
  readonly active: ActiveSegment;
  readonly previousHash: Buffer;
  readonly committedLsn: Lsn;
  readonly committedTime: number;
  /** Whether the journal itself says that all of it is durable; if not, a mark at the next close will. */
  readonly proven: boolean;
  readonly recovery: Recovery;
}

const REWRITE_BYTES = 4 << 20;

/**
 * @throws JOURNAL_DAMAGED, JOURNAL_SEGMENT_*, JOURNAL_KEY_*, JOURNAL_VERSION_UNKNOWN, and what `accept` throws, with nothing changed;
 * JOURNAL_STORAGE_*. May be repeated; a second call finds nothing to do.
 */
export async function recover(
  storage: SegmentStorage,
  key: Uint8Array | undefined,
  log: Log,
  accept: (found: FoundJournal | undefined) => void = () => {},
): Promise<OpenedJournal> {
  const { segments, faults } = await loadSegments(storage, key);
  const last = segments.at(-1);
  if (faults[0]) throw faultError(storage.location, faults[0]);
  if (!last) {
    accept(undefined);
    return createJournal(storage, key);
  }
  if (key && !last.header.encryption) {
    throw journalErrors.make(
      'JOURNAL_NOT_ENCRYPTED',
      `journal ${storage.location} exists and is not encrypted`,
    );
  }
  const journalId = commonJournalId(segments);
  const tail = await findTail(storage, journalId, last);
  const damage = await judgeStop(storage, journalId, last, tail.stop);
  if (damage) throw faultError(storage.location, damage);
  accept({ journalId: journalIdText(journalId), committedLsn: tail.committedLsn });

  try {
    await storage.tidy();
    await settle(storage, last, tail);
  } catch (error) {
    throw storageError(error, `recover segment ${last.name}`);
  }
  const recovery: Recovery = {
    created: false,
    cutBytes: tail.uncommittedBytes,
    cutRecords: tail.uncommittedRecords,
    ...(tail.stop.invalid === undefined ? {} : { tornFrame: tail.stop.invalid }),
  };
  if (recovery.cutBytes > 0) {
    log.warn(
      { journal: storage.location, segment: last.name, committedLsn: tail.committedLsn, ...recovery },
      'journal ended after its last commit: the uncommitted end was cut',
    );
  }
  const opened = {
    journalId,
    previousHash: tail.committed.previousHash,
    committedLsn: tail.committedLsn,
    committedTime: tail.committedTime,
    recovery,
  };
  if (last.sealed && tail.uncommittedBytes === 0) {
    // The machine stopped between sealing this segment and making the next.
    const active = await createSegment(storage, key, {
      journalId,
      ordinal: last.header.ordinal + 1,
      firstLsn: tail.committed.nextLsn,
      timeBefore: tail.committedTime,
      previousHash: tail.committed.previousHash,
    });
    return { ...opened, ...active, proven: true };
  }
  const active: ActiveSegment = {
    name: last.name,
    ordinal: last.header.ordinal,
    size: tail.committed.offset,
    ...(last.key ? { key: last.key } : {}),
  };
  return { ...opened, active, proven: tail.provenLsn >= tail.committedLsn };
}

/** Cuts the uncommitted end and makes what is left durable, whatever the page cache went through before. */
async function settle(storage: SegmentStorage, segment: Segment, tail: Tail): Promise<void> {
  if (tail.uncommittedBytes > 0) await storage.truncate(segment.name, tail.committed.offset);
  await writeUnprovenAgain(storage, segment, tail);
}

/**
 * Makes durable what is committed and what no frame declares durable. A sync alone does not: after one that failed pages look written and
 * are not. Only for whoever has the journal's lock.
 */
export async function writeUnprovenAgain(
  storage: SegmentStorage,
  segment: Segment,
  tail: Tail,
): Promise<void> {
  if (segment.sealed || tail.unprovenOffset >= tail.committed.offset) return;
  for (let offset = tail.unprovenOffset; offset < tail.committed.offset; offset += REWRITE_BYTES) {
    const length = Math.min(REWRITE_BYTES, tail.committed.offset - offset);
    await storage.rewrite(segment.name, offset, await readBytes(storage, segment.name, offset, length));
  }
  await storage.sync(segment.name);
}

async function createJournal(storage: SegmentStorage, key: Uint8Array | undefined): Promise<OpenedJournal> {
  const journalId = randomBytes(JOURNAL_ID_BYTES);
  const { active, previousHash } = await createSegment(storage, key, {
    journalId,
    ordinal: 1,
    firstLsn: 1 as Lsn,
    timeBefore: 0,
    previousHash: Buffer.alloc(HASH_BYTES),
  });
  return {
    journalId,
    active,
    previousHash,
    committedLsn: 0 as Lsn,
    committedTime: 0,
    proven: true,
    recovery: { created: true, cutBytes: 0, cutRecords: 0 },
  };
}

/** Makes the next segment; the hash returned is what its first frame continues. */
export async function createSegment(
  storage: SegmentStorage,
  key: Uint8Array | undefined,
  fields: Omit<SegmentHeader, 'encryption'>,
): Promise<{ active: ActiveSegment; previousHash: Buffer }> {
  const keySalt = randomBytes(KEY_SALT_BYTES);
  const bytes = encodeSegmentHeader({
    ...fields,
    ...(key ? { encryption: { keyId: keyIdOf(key), keySalt } } : {}),
  });
  const name = segmentName(fields.firstLsn);
  try {
    await storage.create(name, bytes);
  } catch (error) {
    throw storageError(error, `create segment ${name} in ${storage.location}`);
  }
  const active: ActiveSegment = {
    name,
    ordinal: fields.ordinal,
    size: SEGMENT_HEADER_BYTES,
    ...(key ? { key: segmentKey(key, fields.journalId, keySalt) } : {}),
  };
  return { active, previousHash: Buffer.from(bytes.subarray(SEGMENT_HEADER_BYTES - HASH_BYTES)) };
}
