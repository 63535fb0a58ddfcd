import type { Clock, Log } from '../lib/index.ts';
import { KEY_BYTES } from './cipher.ts';
import { journalErrors } from './errors.ts';
import { localStorage } from './local-storage.ts';
import type { Lsn } from './records.ts';
import type { SegmentStorage } from './storage.ts';

export interface JournalReaderOptions {
  /** A folder, or a storage adapter. */
  readonly storage: string | SegmentStorage;
  /** 32 bytes; needed when the journal is encrypted. */
  readonly key?: Uint8Array;
  /**
   * Where a frame begins that was committed, as `onFrame` said: the end of the journal is looked for from there, not from the beginning of the last
   * segment, which may hold a hundred thousand frames. A hint: where it is wrong the segment is read.
   */
  readonly near?: { readonly segment: string; readonly offset: number } | undefined;
}

/** A journal as it was found, before anything was done to it. */
export interface FoundJournal {
  readonly journalId: string;
  readonly committedLsn: Lsn;
}

export interface JournalWriterOptions extends JournalReaderOptions {
  readonly clock: Clock;
  readonly log: Log;
  /**
   * Called once before anything is changed, with what is there (undefined: no segment). Who knows from elsewhere what must be there throws
   * when it is not: no local rule can see that the end of a journal is gone, and what is left of it is evidence.
   */
  readonly accept?: (found: FoundJournal | undefined) => void;
  /** Raw bytes at which a frame is closed. Default 1 MiB; smaller only in tests. */
  readonly frameBytes?: number;
  /** Stored bytes at which a segment is sealed at the next commit. Default 256 MiB. */
  readonly segmentBytes?: number;
  /** zstd level. Default 1: level 3 saves a few percent of space for half the speed. */
  readonly compressionLevel?: number;
}

export function storageOf(storage: string | SegmentStorage): SegmentStorage {
  return typeof storage === 'string' ? localStorage(storage) : storage;
}

export function checkKey(key: Uint8Array | undefined): Uint8Array | undefined {
  if (key && key.length !== KEY_BYTES) {
    throw journalErrors.make(
      'JOURNAL_KEY_FILE_INVALID',
      `a key has ${KEY_BYTES} bytes, this one ${key.length}`,
    );
  }
  return key;
}
