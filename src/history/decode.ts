/** Header values as people read them. */
import libmime from 'libmime';
import type { MessageSummary, RawSummary } from '../catalog/index.ts';

/** Decodes RFC 2047 words in the header values of a catalog row. Never throws: what cannot be decoded stays as it is. */
export function decodeSummary(raw: RawSummary): MessageSummary {
  return { ...raw, subject: decodeWords(raw.subject), from: decodeWords(raw.from) };
}

export function decodeWords(value: string): string {
  if (!value.includes('=?')) return value;
  try {
    return libmime.decodeWords(value).replaceAll('\0', '').toWellFormed();
  } catch {
    // An unknown charset or broken base64: the raw value tells more than nothing.
    return value;
  }
}
