/**
 * Reads an IMAP sequence-set of UIDs (RFC 9051 `sequence-set`, without `*`) into ranges, both ends included.
 * Undefined when it is not one.
 */
export function parseUidSet(text: string): readonly (readonly [first: number, last: number])[] | undefined {
  const ranges: [number, number][] = [];
  for (const part of text.split(',')) {
    const found = /^([1-9]\d{0,9})(?::([1-9]\d{0,9}))?$/.exec(part);
    if (!found) return undefined;
    const first = Number(found[1]);
    const last = Number(found[2] ?? found[1]);
    ranges.push(first <= last ? [first, last] : [last, first]);
  }
  return ranges;
}
