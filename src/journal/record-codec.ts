/**
 * Records to CBOR (RFC 8949) and back: the subset that docs/internals/journal-format.md names. Own code rather than a
 * library for two reasons: a record is written straight into the frame's buffer and a body's bytes are copied once, and the
 * reader accepts exactly what the format allows. The test holds it against cbor-x.
 */
import type { JournalRecord } from './records.ts';

const UINT = 0;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;
/** Largest CBOR head: one byte and a 64-bit argument. */
const HEAD_MAX = 9;

type RecordValue = string | number | boolean | null | Uint8Array | readonly string[] | undefined;

/** What a payload's bytes can be wrong about; the caller knows the segment and offset and says so. */
export class RecordSyntaxError extends Error {}

/** An upper bound of the encoded size, cheap to compute (text counted as 3 bytes per UTF-16 unit). */
export function encodedSizeBound(record: JournalRecord): number {
  let bound = HEAD_MAX;
  const fields = record as unknown as Record<string, RecordValue>;
  for (const key in fields) {
    const value = fields[key];
    bound += HEAD_MAX + key.length + HEAD_MAX;
    if (typeof value === 'string') bound += value.length * 3;
    else if (value instanceof Uint8Array) bound += value.length;
    else if (Array.isArray(value)) for (const item of value as string[]) bound += HEAD_MAX + item.length * 3;
  }
  return bound;
}

/** Writes `record` at `offset`, where `encodedSizeBound` bytes must be free; returns the offset after it. */
export function encodeRecord(record: JournalRecord, into: Buffer, offset: number): number {
  const fields = record as unknown as Record<string, RecordValue>;
  let count = 0;
  for (const key in fields) if (fields[key] !== undefined) count += 1;
  let at = writeHead(into, offset, MAP, count);
  at = writeText(into, at, 't');
  at = writeText(into, at, record.t);
  for (const key in fields) {
    const value = fields[key];
    if (key === 't' || value === undefined) continue;
    at = writeValue(into, writeText(into, at, key), value);
  }
  return at;
}

/**
 * The record that begins at `offset`, and where the next begins. Byte strings are views into `bytes`: copy what is to
 * outlive it.
 * @throws RecordSyntaxError
 */
export function decodeRecord(bytes: Buffer, offset: number): { record: JournalRecord; end: number } {
  const cursor = new Cursor(bytes, offset);
  const count = cursor.head(MAP);
  const fields: Record<string, unknown> = {};
  for (let index = 0; index < count; index++) {
    const key = cursor.text();
    if (Object.hasOwn(fields, key)) throw new RecordSyntaxError(`key ${key} twice in one record`);
    fields[key] = cursor.value();
  }
  checkFields(fields, count);
  return { record: fields as unknown as JournalRecord, end: cursor.at };
}

/** Where the record that begins at `offset` ends, without building it. @throws RecordSyntaxError */
export function skipRecord(bytes: Buffer, offset: number): number {
  const cursor = new Cursor(bytes, offset);
  const count = cursor.head(MAP);
  for (let index = 0; index < count; index++) {
    cursor.skip();
    cursor.skip();
  }
  return cursor.at;
}

function writeValue(into: Buffer, at: number, value: NonNullable<RecordValue> | null): number {
  if (typeof value === 'string') return writeText(into, at, value);
  if (typeof value === 'number') return writeHead(into, at, UINT, value);
  if (typeof value === 'boolean' || value === null) {
    into[at] = value === null ? NULL : value ? TRUE : FALSE;
    return at + 1;
  }
  if (value instanceof Uint8Array) {
    const start = writeHead(into, at, BYTES, value.length);
    into.set(value, start);
    return start + value.length;
  }
  let next = writeHead(into, at, ARRAY, value.length);
  for (const item of value) next = writeText(into, next, item);
  return next;
}

function writeText(into: Buffer, at: number, text: string): number {
  // Short ASCII, the usual case, is written without asking for its length in UTF-8 first.
  if (text.length < 24) {
    let index = 0;
    for (; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) break;
      into[at + 1 + index] = code;
    }
    if (index === text.length) {
      into[at] = (TEXT << 5) | text.length;
      return at + 1 + text.length;
    }
  }
  const start = writeHead(into, at, TEXT, Buffer.byteLength(text));
  return start + into.write(text, start, 'utf8');
}

function writeHead(into: Buffer, at: number, major: number, argument: number): number {
  if (!Number.isSafeInteger(argument) || argument < 0) {
    throw new RangeError(`a journal record holds no such number: ${argument}`);
  }
  const type = major << 5;
  if (argument < 24) return into.writeUInt8(type | argument, at);
  if (argument < 0x100) return into.writeUInt8(argument, into.writeUInt8(type | 24, at));
  if (argument < 0x10000) return into.writeUInt16BE(argument, into.writeUInt8(type | 25, at));
  if (argument < 0x100000000) return into.writeUInt32BE(argument, into.writeUInt8(type | 26, at));
  return into.writeBigUInt64BE(BigInt(argument), into.writeUInt8(type | 27, at));
}

class Cursor {
  readonly #bytes: Buffer;
  at: number;
  #major = 0;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** Reads a head of any major type and returns its argument. */
  #anyHead(): number {
    const bytes = this.#bytes;
    const first = bytes[this.at];
    if (first === undefined) throw new RecordSyntaxError('the payload ends inside a record');
    this.#major = first >> 5;
    const info = first & 0x1f;
    this.at += 1;
    if (info < 24) return info;
    const width = info === 24 ? 1 : info === 25 ? 2 : info === 26 ? 4 : info === 27 ? 8 : 0;
    if (width === 0)
      throw new RecordSyntaxError(`CBOR head 0x${first.toString(16)} is not used in a journal`);
    const start = this.at;
    this.at += width;
    if (this.at > bytes.length) throw new RecordSyntaxError('the payload ends inside a record');
    if (width < 8) return bytes.readUIntBE(start, width);
    const high = bytes.readUInt32BE(start);
    if (high > 0x1fffff) throw new RecordSyntaxError('a number above 2^53-1');
    return high * 0x100000000 + bytes.readUInt32BE(start + 4);
  }

  head(major: number): number {
    const argument = this.#anyHead();
    if (this.#major !== major) {
      throw new RecordSyntaxError(`CBOR major type ${this.#major} where ${major} was expected`);
    }
    return argument;
  }

  text(): string {
    return this.#textOf(this.head(TEXT));
  }

  value(): unknown {
    const first = this.#bytes[this.at];
    const argument = this.#anyHead();
    switch (this.#major) {
      case UINT:
        return argument;
      case BYTES:
        return this.#bytes.subarray(this.#span(argument), this.at);
      case TEXT:
        return this.#textOf(argument);
      case ARRAY: {
        const items: string[] = [];
        for (let index = 0; index < argument; index++) items.push(this.text());
        return items;
      }
      default:
        if (first === FALSE || first === TRUE) return first === TRUE;
        if (first === NULL) return null;
        throw new RecordSyntaxError(`CBOR major type ${this.#major} is not used in a journal`);
    }
  }

  skip(): void {
    const argument = this.#anyHead();
    if (this.#major === BYTES || this.#major === TEXT) this.#span(argument);
    else if (this.#major === ARRAY) for (let index = 0; index < argument; index++) this.skip();
  }

  #textOf(length: number): string {
    const start = this.#span(length);
    return this.#bytes.toString('utf8', start, this.at);
  }

  /** Moves over `length` bytes; returns where they begin. */
  #span(length: number): number {
    const start = this.at;
    this.at += length;
    if (this.at > this.#bytes.length) throw new RecordSyntaxError('the payload ends inside a record');
    return start;
  }
}

type FieldType = 'int' | 'text' | 'bytes' | 'hash' | 'texts' | 'bool' | 'text-or-null';

/** Keys of each record as in the format page; a trailing `?` marks one that may be absent. */
const shapes: Readonly<Record<JournalRecord['t'], Readonly<Record<string, FieldType>>>> = {
  body: { hash: 'hash', size: 'int', at: 'int', data: 'bytes' },
  account: { account: 'text' },
  'account-gone': { account: 'text' },
  mailbox: {
    id: 'int',
    account: 'text',
    name: 'text',
    delimiter: 'text-or-null',
    uidValidity: 'int',
    'guid?': 'text',
    specialUse: 'texts',
    subscribed: 'bool',
  },
  'mailbox-change': {
    id: 'int',
    'name?': 'text',
    'delimiter?': 'text-or-null',
    'guid?': 'text',
    'specialUse?': 'texts',
    'subscribed?': 'bool',
  },
  'mailbox-gone': { id: 'int' },
  position: { id: 'int', uidNext: 'int', 'highestModSeq?': 'text', 'complete?': 'bool' },
  message: {
    id: 'int',
    uid: 'int',
    hash: 'hash',
    size: 'int',
    flags: 'texts',
    date: 'text',
    'guid?': 'text',
  },
  flags: { id: 'int', uid: 'int', flags: 'texts' },
  vanished: { id: 'int', uids: 'text' },
  'set-aside': { id: 'int', uid: 'int', code: 'text', detail: 'text' },
  subscriptions: { account: 'text', names: 'texts' },
  checkpoint: { 'label?': 'text', cause: 'text', 'account?': 'text' },
  control: { topic: 'text', id: 'text', data: 'text', 'more?': 'bool' },
  commit: { time: 'int' },
};

const compiledShapes = new Map(
  Object.entries(shapes).map(([type, keys]) => [
    type,
    Object.entries(keys).map(([key, fieldType]) => ({
      key: key.replace('?', ''),
      optional: key.endsWith('?'),
      fieldType,
    })),
  ]),
);

function checkFields(fields: Record<string, unknown>, count: number): void {
  const { t: type } = fields;
  const shape = typeof type === 'string' ? compiledShapes.get(type) : undefined;
  if (!shape) throw new RecordSyntaxError(`record of unknown type ${String(type)}`);
  let known = 1;
  for (const { key, optional, fieldType } of shape) {
    const value = fields[key];
    if (value === undefined) {
      if (!optional) throw new RecordSyntaxError(`record ${type} without ${key}`);
    } else if (!isOfType(value, fieldType)) {
      throw new RecordSyntaxError(`record ${type}: ${key} is not of type ${fieldType}`);
    } else {
      known += 1;
    }
  }
  if (known !== count) {
    throw new RecordSyntaxError(`record ${type} with an unknown key`);
  }
}

function isOfType(value: unknown, type: FieldType): boolean {
  switch (type) {
    case 'int':
      return typeof value === 'number';
    case 'text':
      return typeof value === 'string';
    case 'text-or-null':
      return typeof value === 'string' || value === null;
    case 'bool':
      return typeof value === 'boolean';
    case 'texts':
      return Array.isArray(value);
    case 'bytes':
      return value instanceof Uint8Array;
    case 'hash':
      return value instanceof Uint8Array && value.length === 32;
  }
}
