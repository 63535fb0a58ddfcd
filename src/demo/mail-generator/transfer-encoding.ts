/** Content transfer encodings (RFC 2045, 6) and encoded words in headers (RFC 2047). */
import { type Charset, encodeText } from './charsets.ts';
import type { TransferEncoding } from './languages.ts';

/** `text` has CRLF line ends. The result ends with CRLF. */
export function encodeBody(text: Buffer, transfer: TransferEncoding): Buffer {
  if (transfer === 'base64') return base64Lines(text);
  if (transfer === 'quoted-printable') return quotedPrintable(text);
  return text;
}

const lineBytes = 76;

/** Base64 in lines of 76 characters with CRLF. */
export function base64Lines(bytes: Buffer): Buffer {
  const encoded = Buffer.from(bytes.toString('base64'), 'latin1');
  const lines = Math.ceil(encoded.length / lineBytes);
  const result = Buffer.allocUnsafe(encoded.length + lines * 2);
  let to = 0;
  for (let from = 0; from < encoded.length; from += lineBytes) {
    to += encoded.copy(result, to, from, from + lineBytes);
    result[to++] = 0x0d;
    result[to++] = 0x0a;
  }
  return result;
}

/** How many bytes of content make about `encodedBytes` of `base64Lines`. */
export function base64Content(encodedBytes: number): number {
  return Math.max(0, Math.floor((encodedBytes * lineBytes * 3) / ((lineBytes + 2) * 4)));
}

const hex = '0123456789ABCDEF';

function quotedPrintable(text: Buffer): Buffer {
  const out: string[] = [];
  let column = 0;
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at] as number;
    if (byte === 0x0d && text[at + 1] === 0x0a) {
      out.push('\r\n');
      column = 0;
      at += 1;
      continue;
    }
    const endOfLine = text[at + 1] === 0x0d;
    const plain = (byte > 0x20 && byte < 0x7f && byte !== 0x3d) || (byte === 0x20 && !endOfLine);
    const piece = plain ? String.fromCharCode(byte) : `=${hex[byte >> 4]}${hex[byte & 15]}`;
    if (column + piece.length > lineBytes - 1) {
      out.push('=\r\n');
      column = 0;
    }
    out.push(piece);
    column += piece.length;
  }
  return Buffer.from(out.join(''), 'latin1');
}

/**
 * Header text: as it is when it is ASCII, else encoded words of at most 75 characters, folded. A word is cut between
 * characters, never inside one.
 */
export function encodeHeader(text: string, charset: Charset): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  const used = charset === 'us-ascii' ? 'utf-8' : charset;
  const contentMax = Math.floor((75 - `=?${used}?B??=`.length) / 4) * 3;
  const words: string[] = [];
  let piece = '';
  for (const character of text) {
    if (encodeText(piece + character, used).length > contentMax) {
      words.push(piece);
      piece = '';
    }
    piece += character;
  }
  words.push(piece);
  return words.map((word) => `=?${used}?B?${encodeText(word, used).toString('base64')}?=`).join('\r\n ');
}
