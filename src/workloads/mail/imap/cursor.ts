/** Reads the tokens of one response (RFC 9051 section 9) in place: atoms, numbers, strings, literals, lists. */
import { excerptOf, MalformedResponse, type RawLiteral, type RawResponse } from './response-decoder.ts';

const SPACE = 32;
const QUOTE = 34;
const OPEN = 40;
const CLOSE = 41;
const BACKSLASH = 92;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const TILDE = 126;

export class Cursor {
  bytes: Buffer = Buffer.alloc(0);
  position = 0;
  end = 0;
  #start = 0;
  #literals: readonly RawLiteral[] = [];
  #literalIndex = 0;

  load(response: RawResponse): void {
    this.bytes = response.bytes;
    this.position = response.start;
    this.#start = response.start;
    this.end = response.end;
    this.#literals = response.literals;
    this.#literalIndex = 0;
  }

  get atEnd(): boolean {
    return this.position >= this.end;
  }

  /** The next byte, or -1 at the end. */
  peek(): number {
    return this.position < this.end ? (this.bytes[this.position] as number) : -1;
  }

  takeIf(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.position += 1;
    return true;
  }

  expect(byte: number): void {
    if (!this.takeIf(byte)) throw this.malformed(`"${String.fromCharCode(byte)}" expected`);
  }

  /** Skips any spaces: some servers send two, or one before a closing parenthesis. */
  spaces(): void {
    while (this.peek() === SPACE) this.position += 1;
  }

  /** Bytes up to a space, parenthesis, quote or the end, as text. */
  atom(): string {
    const start = this.position;
    while (this.position < this.end) {
      const byte = this.bytes[this.position] as number;
      if (byte === SPACE || byte === OPEN || byte === CLOSE || byte === QUOTE) break;
      this.position += 1;
    }
    if (this.position === start) throw this.malformed('an atom expected');
    return this.bytes.toString('latin1', start, this.position);
  }

  /** A FETCH item's name with its section: `UID`, `BODY[HEADER.FIELDS (DATE)]<0>`; letters in upper case. */
  itemName(): string {
    const start = this.position;
    while (this.position < this.end) {
      const byte = this.bytes[this.position] as number;
      if (byte === SPACE || byte === OPEN || byte === CLOSE) break;
      if (byte === OPEN_BRACKET) {
        const close = this.bytes.indexOf(CLOSE_BRACKET, this.position);
        if (close < 0 || close >= this.end) throw this.malformed('a section is not closed');
        this.position = close;
      }
      this.position += 1;
    }
    if (this.position === start) throw this.malformed('an item name expected');
    return this.bytes.toString('latin1', start, this.position).toUpperCase();
  }

  number(): number {
    let value = 0;
    const start = this.position;
    while (this.position < this.end) {
      const digit = (this.bytes[this.position] as number) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      this.position += 1;
    }
    if (this.position === start) throw this.malformed('a number expected');
    return value;
  }

  /** Digits as text: a MODSEQ has 63 bits. */
  digits(): string {
    const start = this.position;
    while (this.position < this.end && isDigit(this.bytes[this.position] as number)) this.position += 1;
    if (this.position === start) throw this.malformed('a number expected');
    return this.bytes.toString('latin1', start, this.position);
  }

  /** A string of any kind (quoted, literal, literal8, atom), or null for NIL. The bytes of a literal are not copied. */
  nstringBytes(): Buffer | null {
    const byte = this.peek();
    if (byte === QUOTE) return this.#quoted();
    if (byte === OPEN_BRACE || (byte === TILDE && this.bytes[this.position + 1] === OPEN_BRACE)) {
      return this.#literal();
    }
    const start = this.position;
    const atom = this.atom();
    if (atom.length === 3 && atom.toUpperCase() === 'NIL') return null;
    return this.bytes.subarray(start, this.position);
  }

  nstring(): string | null {
    const bytes = this.nstringBytes();
    return bytes === null ? null : textOf(bytes);
  }

  /** A mailbox name or other string that cannot be NIL: the word NIL is a name here. */
  astringBytes(): Buffer {
    const start = this.position;
    return this.nstringBytes() ?? this.bytes.subarray(start, this.position);
  }

  /** The text between the parentheses of a flat list of atoms, as sent. */
  flatList(): string {
    this.expect(OPEN);
    const close = this.bytes.indexOf(CLOSE, this.position);
    if (close < 0 || close >= this.end) throw this.malformed('a list is not closed');
    const text = this.bytes.toString('latin1', this.position, close);
    this.position = close + 1;
    return text;
  }

  /** Passes over one value of any shape. */
  skipValue(): void {
    let depth = 0;
    do {
      this.spaces();
      const byte = this.peek();
      if (byte === OPEN) {
        depth += 1;
        this.position += 1;
      } else if (byte === CLOSE) {
        if (depth === 0) throw this.malformed('a value expected');
        depth -= 1;
        this.position += 1;
      } else if (byte === -1) {
        throw this.malformed(depth === 0 ? 'a value expected' : 'a list is not closed');
      } else this.nstringBytes();
    } while (depth > 0);
  }

  /** The rest of the response as text. */
  rest(): string {
    const text = textOf(this.bytes.subarray(this.position, this.end));
    this.position = this.end;
    return text;
  }

  malformed(reason: string): MalformedResponse {
    return new MalformedResponse(
      `${reason} at byte ${this.position - this.#start}`,
      excerptOf(this.bytes, this.#start, this.end),
    );
  }

  #quoted(): Buffer {
    const start = this.position + 1;
    let position = start;
    let escaped = false;
    for (; position < this.end; position++) {
      const byte = this.bytes[position];
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) {
        escaped = true;
        position += 1;
      }
    }
    if (position >= this.end) throw this.malformed('a quoted string is not closed');
    this.position = position + 1;
    const inside = this.bytes.subarray(start, position);
    if (!escaped) return inside;
    const plain = Buffer.allocUnsafe(inside.length);
    let length = 0;
    for (let index = 0; index < inside.length; index++) {
      if (inside[index] === BACKSLASH) index += 1;
      plain[length++] = inside[index] as number;
    }
    return plain.subarray(0, length);
  }

  #literal(): Buffer {
    const literal = this.#literals[this.#literalIndex];
    const lineEnd = this.bytes.indexOf(10, this.position);
    if (!literal || literal.at !== lineEnd + 1) throw this.malformed('a literal expected');
    this.#literalIndex += 1;
    this.position = literal.resume;
    return literal.data;
  }
}

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57;
}

/** UTF-8 where it is valid, else one character per byte. */
export function textOf(bytes: Buffer): string {
  for (const byte of bytes) {
    if (byte >= 0x80) {
      const text = bytes.toString('utf8');
      return text.includes('\ufffd') ? bytes.toString('latin1') : text;
    }
  }
  return bytes.toString('latin1');
}
