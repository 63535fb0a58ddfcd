import type { BodyRecord } from '../journal/index.ts';

/**
 * What the catalog keeps of a body: its identity and three header values, raw (RFC 2047 words not decoded),
 * unfolded and shortened. The fold takes these instead of body records, so that nobody holds body bytes for it.
 */
export interface IndexedBody {
  readonly t: 'indexed-body';
  readonly hash: Uint8Array;
  readonly size: number;
  readonly subject: string;
  readonly from: string;
  readonly messageId: string;
}

/** Longest header value kept, in characters. */
const longest = { subject: 300, from: 200, messageId: 200 };
/** A header that has not ended by here is not read further. */
const headerBytesMax = 64 * 1024;

/**
 * Reduces a body record; undefined for every piece but the first. Pure. A body that is no mail at all has empty
 * values. The first header of a name counts.
 */
export function indexBody(record: BodyRecord): IndexedBody | undefined {
  if (record.at !== 0) return undefined;
  const values = { subject: '', from: '', messageId: '' };
  let missing = 3;
  const data = record.data;
  const end = Math.min(data.length, headerBytesMax);
  let start = 0;
  while (start < end && missing > 0) {
    const lineEnd = endOfLine(data, start, end);
    const key = wantedName(data, start, lineEnd);
    if (isBlank(data, start, lineEnd)) break;
    let next = lineEnd + 1;
    if (key && values[key.field] === '') {
      let valueEnd = lineEnd;
      while (next < end && (data[next] === SPACE || data[next] === TAB)) {
        valueEnd = endOfLine(data, next, end);
        next = valueEnd + 1;
      }
      values[key.field] = shorten(unfold(data.subarray(key.valueAt, valueEnd)), longest[key.field]);
      missing -= 1;
    }
    start = next;
  }
  return { t: 'indexed-body', hash: record.hash, size: record.size, ...values };
}

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;

function endOfLine(data: Uint8Array, from: number, end: number): number {
  const at = data.indexOf(LF, from);
  return at < 0 || at > end ? end : at;
}

function isBlank(data: Uint8Array, start: number, end: number): boolean {
  return start === end || (end - start === 1 && data[start] === CR);
}

type Field = 'subject' | 'from' | 'messageId';
const wanted: readonly (readonly [name: string, field: Field])[] = [
  ['subject', 'subject'],
  ['from', 'from'],
  ['message-id', 'messageId'],
];

/** Which wanted header a line is, compared byte by byte: most lines are none of them. */
function wantedName(
  data: Uint8Array,
  start: number,
  end: number,
): { field: Field; valueAt: number } | undefined {
  const first = (data[start] ?? 0) | 0x20;
  if (first !== 0x73 && first !== 0x66 && first !== 0x6d) return undefined;
  for (const [name, field] of wanted) {
    let i = 0;
    while (i < name.length && ((data[start + i] ?? 0) | 0x20) === (name.charCodeAt(i) | 0x20)) i += 1;
    if (i < name.length) continue;
    let at = start + i;
    while (data[at] === SPACE || data[at] === TAB) at += 1;
    if (data[at] === COLON && at < end) return { field, valueAt: at + 1 };
  }
  return undefined;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const latin1 = new TextDecoder('windows-1252');

/** Bytes of a header value to text: UTF-8 where it is that, else Latin-1; folds, NUL and outer blanks taken out. */
function unfold(bytes: Uint8Array): string {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    text = latin1.decode(bytes);
  }
  return text
    .replace(/\r?\n(?=[ \t])/g, '')
    .replace(/[\0\r\n\t]+/g, ' ')
    .trim();
}

/** Cuts at a blank where one is near, so that no encoded word is cut in two. */
function shorten(text: string, max: number): string {
  if (text.length <= max) return text;
  const blank = text.lastIndexOf(' ', max);
  const cut = text.slice(0, blank > max / 2 ? blank : max);
  return cut.isWellFormed() ? cut : cut.slice(0, -1);
}
