export { bodyPieces } from './body-pieces.ts';
export { FaultyStorage, type PlannedFault } from './faulty-storage.ts';
export { FolderLock, type LockHolder, type LockRefusal } from './folder-lock.ts';
export { loadKeyFile } from './key-file.ts';
export { localStorage } from './local-storage.ts';
export { MemoryStorage } from './memory-storage.ts';
export type { FoundJournal, JournalReaderOptions, JournalWriterOptions } from './options.ts';
export { type JournalFrame, type JournalInfo, JournalReader, type SegmentInfo } from './reader.ts';
export {
  type AccountGoneRecord,
  type AccountRecord,
  BODY_PIECE_BYTES,
  type BodyRecord,
  type CheckpointRecord,
  type CommitRecord,
  type ControlRecord,
  type FlagsRecord,
  type JournalEntry,
  type JournalRecord,
  type Lsn,
  type MailboxChangeRecord,
  type MailboxGoneRecord,
  type MailboxId,
  type MailboxRecord,
  type MessageRecord,
  type PositionRecord,
  type SetAsideRecord,
  type StepRecord,
  type SubscriptionsRecord,
  type VanishedRecord,
} from './records.ts';
export type { Recovery } from './recover.ts';
export type { Fault, FaultCode } from './segments.ts';
export type { SegmentStorage, StoredSegment } from './storage.ts';
export { type VerifyProgress, type VerifyReport, verifyJournal } from './verify.ts';
export { type Committed, type FrameLocation, JournalWriter } from './writer.ts';
