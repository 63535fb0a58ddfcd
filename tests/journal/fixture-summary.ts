import { hash } from 'node:crypto';
import type { JournalReader, Lsn } from '../../src/journal/index.ts';

/** What a journal holds, as JSON: byte strings as hexadecimal digits, long ones as their SHA-256. */
export async function summaryOf(reader: JournalReader): Promise<unknown> {
  const entries: unknown[] = [];
  for await (const { lsn, record } of reader.entries(1 as Lsn)) {
    const fields = Object.entries(record).map(([name, value]) => [name, jsonOf(value)]);
    entries.push({ lsn, ...Object.fromEntries(fields) });
  }
  return { journalId: reader.journalId, committedLsn: reader.committedLsn, entries };
}

function jsonOf(value: unknown): unknown {
  if (!(value instanceof Uint8Array)) return value;
  const bytes = Buffer.from(value);
  return bytes.length <= 300 ? bytes.toString('hex') : { bytes: bytes.length, sha256: hash('sha256', bytes) };
}
