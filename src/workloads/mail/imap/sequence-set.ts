/**
 * IMAP sequence-sets (RFC 9051 section 9, `sequence-set`): `1:3,7,9:*`. Here a set is a list of inclusive
 * ranges in the order they were written; `*` is `STAR`, larger than every UID.
 */
export interface UidRange {
  readonly from: number;
  readonly to: number;
}

/** Stands for `*`, the largest number in use. UIDs are 32 bits, so no UID equals it. */
export const STAR = 0x1_0000_0000;

/** Parses a set; undefined when the text is not one. Reversed ranges (`9:3`) are put right; order of ranges is kept. */
export function parseSequenceSet(text: string): UidRange[] | undefined {
  const ranges: UidRange[] = [];
  let position = 0;
  const number = (): number => {
    if (text.charCodeAt(position) === 42) {
      position += 1;
      return STAR;
    }
    let value = 0;
    const start = position;
    for (; position < text.length; position++) {
      const digit = text.charCodeAt(position) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      if (value >= STAR) return -1;
    }
    return position === start ? -1 : value;
  };
  for (;;) {
    const first = number();
    if (first < 1) return undefined;
    let last = first;
    if (text.charCodeAt(position) === 58) {
      position += 1;
      last = number();
      if (last < 1) return undefined;
    }
    ranges.push(first <= last ? { from: first, to: last } : { from: last, to: first });
    if (position === text.length) return ranges;
    if (text.charCodeAt(position) !== 44) return undefined;
    position += 1;
  }
}

/** Writes ranges as a set. An empty list gives an empty text, which is not a set: do not send it. */
export function formatSequenceSet(ranges: Iterable<UidRange>): string {
  const written = (value: number) => (value >= STAR ? '*' : String(value));
  let text = '';
  for (const { from, to } of ranges) {
    if (text !== '') text += ',';
    text += from === to ? written(from) : `${written(from)}:${written(to)}`;
  }
  return text;
}

/** Sorts, and joins ranges that touch or overlap. */
export function normalizeRanges(ranges: Iterable<UidRange>): UidRange[] {
  const joined: { from: number; to: number }[] = [];
  for (const range of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1);
    if (last && range.from <= last.to + 1) last.to = Math.max(last.to, range.to);
    else joined.push({ from: range.from, to: range.to });
  }
  return joined;
}

/** The ranges that hold exactly these UIDs, which must ascend. */
export function rangesOfUids(ascending: Iterable<number>): UidRange[] {
  const ranges: { from: number; to: number }[] = [];
  let last: { from: number; to: number } | undefined;
  for (const uid of ascending) {
    if (last && uid === last.to + 1) last.to = uid;
    else {
      last = { from: uid, to: uid };
      ranges.push(last);
    }
  }
  return ranges;
}

/** Every UID of the ranges, in their order. A range up to `*` has no end: it must not be there. */
export function* uidsOfRanges(ranges: Iterable<UidRange>): Generator<number> {
  for (const { from, to } of ranges) {
    if (to >= STAR) throw new RangeError(`a set with * cannot be enumerated: ${from}:*`);
    for (let uid = from; uid <= to; uid++) yield uid;
  }
}

export function countOfRanges(ranges: Iterable<UidRange>): number {
  let count = 0;
  for (const { from, to } of ranges) count += to - from + 1;
  return count;
}

/** True when the UID is in the set; `ranges` must be as `normalizeRanges` gives them. */
export function rangesHold(ranges: readonly UidRange[], uid: number): boolean {
  let low = 0;
  let high = ranges.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const range = ranges[middle] as UidRange;
    if (uid < range.from) high = middle - 1;
    else if (uid > range.to) low = middle + 1;
    else return true;
  }
  return false;
}

/**
 * Cuts ranges into sets of at most `count` UIDs each, for one command each. With many holes a set also ends
 * at about `textBytesMax` characters, because servers limit the length of a command line (Dovecot: 64 KiB).
 */
export function* splitRanges(
  ranges: Iterable<UidRange>,
  count: number,
  textBytesMax = 8_000,
): Generator<UidRange[]> {
  let part: UidRange[] = [];
  let left = count;
  let textBytes = 0;
  for (const range of ranges) {
    let { from } = range;
    while (from <= range.to) {
      const to = Math.min(range.to, from + left - 1);
      part.push({ from, to });
      left -= to - from + 1;
      textBytes += 22;
      from = to + 1;
      if (left === 0 || textBytes >= textBytesMax) {
        yield part;
        part = [];
        left = count;
        textBytes = 0;
      }
    }
  }
  if (part.length > 0) yield part;
}
