/**
 * Text into the character sets that mail comes in. The runtime only decodes the old ones, so the tables are made
 * by decoding every code once.
 */
export type Charset =
  | 'us-ascii'
  | 'utf-8'
  | 'iso-8859-1'
  | 'iso-8859-2'
  | 'koi8-r'
  | 'windows-1251'
  | 'gb2312'
  | 'iso-2022-jp';

/** Encodes `text`; what the character set lacks becomes `?`. */
export function encodeText(text: string, charset: Charset): Buffer {
  // All of these character sets write ASCII as it is, and most text is that.
  if (Buffer.byteLength(text) === text.length) return Buffer.from(text, 'latin1');
  switch (charset) {
    case 'utf-8':
      return Buffer.from(text, 'utf8');
    case 'iso-2022-jp':
      return encodeJapanese(text);
    default:
      return encodeWithTable(text, tableOf(charset));
  }
}

type Table = ReadonlyMap<string, readonly number[]>;

const tables = new Map<Charset, Table>();

function tableOf(charset: Charset): Table {
  let table = tables.get(charset);
  if (!table) {
    table = makeTable(charset);
    tables.set(charset, table);
  }
  return table;
}

function makeTable(charset: Charset): Table {
  const table = new Map<string, readonly number[]>();
  const ascii = charset === 'iso-2022-jp' ? 0 : 128;
  for (let code = 0; code < ascii; code += 1) table.set(String.fromCharCode(code), [code]);
  if (charset === 'us-ascii') return table;
  const decoder = new TextDecoder(charset, { fatal: true });
  const add = (bytes: readonly number[], wrapped: readonly number[] = bytes) => {
    const character = decodeOrNothing(decoder, wrapped);
    if (character?.length === 1 && !table.has(character)) table.set(character, bytes);
  };
  if (charset === 'gb2312') {
    eachPair(0xa1, 0xfe, (pair) => add(pair));
  } else if (charset === 'iso-2022-jp') {
    eachPair(0x21, 0x7e, (pair) => add(pair, [...toJapanese, ...pair, ...toAscii]));
  } else {
    for (let code = 128; code < 256; code += 1) add([code]);
  }
  return table;
}

function eachPair(from: number, to: number, visit: (pair: readonly [number, number]) => void): void {
  for (let first = from; first <= to; first += 1) {
    for (let second = from; second <= to; second += 1) visit([first, second]);
  }
}

function decodeOrNothing(decoder: TextDecoder, bytes: readonly number[]): string | undefined {
  try {
    return decoder.decode(Uint8Array.from(bytes));
  } catch {
    // A code that the character set leaves free.
    return undefined;
  }
}

function encodeWithTable(text: string, table: Table): Buffer {
  const bytes: number[] = [];
  for (const character of text) bytes.push(...(table.get(character) ?? [0x3f]));
  return Buffer.from(bytes);
}

/** RFC 1468: escape sequences change between ASCII and JIS X 0208; a line ends in ASCII. */
const toJapanese = [0x1b, 0x24, 0x42];
const toAscii = [0x1b, 0x28, 0x42];

function encodeJapanese(text: string): Buffer {
  const table = tableOf('iso-2022-jp');
  const bytes: number[] = [];
  let japanese = false;
  for (const character of text) {
    const code = character.charCodeAt(0) < 128 ? undefined : (table.get(character) ?? table.get('？'));
    if (japanese !== (code !== undefined)) {
      japanese = code !== undefined;
      bytes.push(...(japanese ? toJapanese : toAscii));
    }
    bytes.push(...(code ?? [character.charCodeAt(0)]));
  }
  if (japanese) bytes.push(...toAscii);
  return Buffer.from(bytes);
}
