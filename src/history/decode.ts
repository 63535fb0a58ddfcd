/** Header values as people read them. */
import { createRequire } from 'node:module';
import type Libmime from 'libmime';
import type { MessageSummary, RawSummary } from '../catalog/index.ts';

/** Decodes RFC 2047 words in the header values of a catalog row. Never throws: what cannot be decoded stays as it is. */
export function decodeSummary(raw: RawSummary): MessageSummary {
  return { ...raw, subject: decodeWords(raw.subject), from: decodeWords(raw.from) };
}

export function decodeWords(value: string): string {
  if (!value.includes('=?')) return value;
  try {
    return libmime().decodeWords(value).replaceAll('\0', '').toWellFormed();
  } catch {
    // An unknown charset or broken base64: the raw value tells more than nothing.
    return value;
  }
}

let loaded: typeof Libmime | undefined;

/** Its tables of charsets are loaded with the first word that needs them: a listing without one does not wait for them. */
function libmime(): typeof Libmime {
  loaded ??= createRequire(import.meta.url)('libmime') as typeof Libmime;
  return loaded;
}
