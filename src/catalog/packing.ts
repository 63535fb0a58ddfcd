/** Small forms of values that every message row has. */

/** Flags are atoms (RFC 9051 `flag`), so a blank parts them. */
export function packFlags(flags: readonly string[]): string {
  return flags.join(' ');
}

export function unpackFlags(packed: string): readonly string[] {
  return packed === '' ? [] : packed.split(' ');
}

/** Dovecot's usual GUID, 32 lower-case hex digits, as 16 bytes; any other as it is. */
export function packGuid(guid: string): Uint8Array | string {
  return /^[0-9a-f]{32}$/.test(guid) ? Buffer.from(guid, 'hex') : guid;
}

export function unpackGuid(packed: Uint8Array | string): string {
  return typeof packed === 'string'
    ? packed
    : Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength).toString('hex');
}

/** A hash as a key of a Map. */
export function hashKey(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('latin1');
}
