import type { Clock, Log } from '../lib/index.ts';
import { KEY_BYTES } from './cipher.ts';
import { journalErrors } from './errors.ts';
import { localStorage } from './local-storage.ts';
import type { SegmentStorage } from './storage.ts';

export interface JournalReaderOptions {
  /** A folder, or a storage adapter. */
  readonly storage: string | SegmentStorage;
  /** 32 bytes; needed when the journal is encrypted. */
  readonly key?: Uint8Array;
}

export interface JournalWriterOptions extends JournalReaderOptions {
  readonly clock: Clock;
  readonly log: Log;
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
