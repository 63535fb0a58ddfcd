/**
 * Mailbox names on the wire are modified UTF-7 (RFC 3501 section 5.1.3): printable ASCII as it is, `&-` for `&`,
 * the rest as UTF-16 in base64 with `,` for `/` between `&` and `-`.
 *
 * Servers also show names that are not valid: a raw `&`, 8-bit bytes, an encoding that another program wrote
 * its own way. Those must come back to the server unchanged, or the mailbox cannot be opened. So such a name is
 * not decoded: each byte that is not printable ASCII, and each `&`, becomes the private-use character
 * U+EF00 + byte, and encoding turns these characters into the bytes again. For every name of bytes,
 * `encodeMailboxName(decodeMailboxName(bytes))` gives the same bytes.
 */

const RAW_BYTE = 0xef00;
const isRawByte = (unit: number) => unit >= RAW_BYTE && unit <= RAW_BYTE + 0xff;
const isPrintable = (unit: number) => unit >= 0x20 && unit <= 0x7e;
const AMPERSAND = 0x26;
const DASH = 0x2d;

/** The Unicode name for what the server sent. `INBOX` in any case becomes `INBOX` (RFC 9051 section 5.1). */
export function decodeMailboxName(wire: Uint8Array): string {
  const bytes = Buffer.from(wire.buffer, wire.byteOffset, wire.length);
  const text = bytes.toString('latin1');
  if (text.length === 5 && text.toUpperCase() === 'INBOX') return 'INBOX';
  if (!needsDecoding(text)) return text;
  const decoded = strictlyDecoded(text);
  if (decoded !== undefined && encodeMailboxName(decoded).equals(bytes)) return decoded;
  let raw = '';
  for (const byte of bytes) {
    raw += String.fromCharCode(isPrintable(byte) && byte !== AMPERSAND ? byte : RAW_BYTE + byte);
  }
  return raw;
}

/** The bytes to send for a name: what `decodeMailboxName` got, or the encoding of any Unicode name. */
export function encodeMailboxName(name: string): Buffer {
  let wire = '';
  let index = 0;
  while (index < name.length) {
    const unit = name.charCodeAt(index);
    if (unit === AMPERSAND) wire += '&-';
    else if (isPrintable(unit)) wire += String.fromCharCode(unit);
    else if (isRawByte(unit)) wire += String.fromCharCode(unit - RAW_BYTE);
    else {
      const start = index;
      while (index < name.length) {
        const next = name.charCodeAt(index);
        if (isPrintable(next) || isRawByte(next)) break;
        index += 1;
      }
      wire += `&${base64OfUtf16(name.slice(start, index))}-`;
      continue;
    }
    index += 1;
  }
  return Buffer.from(wire, 'latin1');
}

/**
 * The name meant in an event: Dovecot 2.3 tells NOTIFY's names in UTF-8 instead of modified UTF-7. Only for hints;
 * a name from a listing is what the server has, however odd.
 */
export function hintedMailboxName(name: string): string {
  if (![...name].some((character) => isRawByte(character.charCodeAt(0)))) return name;
  const text = encodeMailboxName(name).toString('utf8');
  return text.includes('\ufffd') ? name : text;
}

function needsDecoding(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit === AMPERSAND || !isPrintable(unit)) return true;
  }
  return false;
}

function strictlyDecoded(text: string): string | undefined {
  let name = '';
  let index = 0;
  while (index < text.length) {
    const unit = text.charCodeAt(index);
    if (!isPrintable(unit)) return undefined;
    if (unit !== AMPERSAND) {
      name += text[index];
      index += 1;
      continue;
    }
    const end = text.indexOf('-', index);
    if (end < 0) return undefined;
    if (text.charCodeAt(index + 1) === DASH) name += '&';
    else {
      const utf16 = Buffer.from(text.slice(index + 1, end).replaceAll(',', '/'), 'base64');
      if (utf16.length % 2 !== 0) return undefined;
      name += utf16.swap16().toString('utf16le');
    }
    index = end + 1;
  }
  // A lone surrogate cannot be stored as UTF-8: such a name stays raw.
  return name.isWellFormed() ? name : undefined;
}

function base64OfUtf16(text: string): string {
  return Buffer.from(text, 'utf16le').swap16().toString('base64').replaceAll('/', ',').replace(/=+$/, '');
}
