/**
 * Cuts the bytes that a server sends into whole responses (RFC 9051 section 7), without a socket: the owner
 * reads into `target()`, says how much came with `wrote`, and takes responses with `next` until there is none.
 *
 * Built so that the bytes of messages are copied once at most. Bytes are read straight into a slab; a literal
 * that fits in it is handed out as a view of the slab. One larger than `ownBytes` gets a buffer of its own,
 * into which the rest of it is read directly.
 *
 * Modes, and what leaves them:
 *   line     scanning for the end of a line; leaves to `literal` or `grant` at a line that ends in {n}
 *   literal  the slab is filled up to the end of a small literal; back to `line`
 *   grant    a large literal is announced; nothing moves until the owner calls `acceptLiteral`; to `own`
 *   own      bytes go into the literal's own buffer; back to `line` when it is full
 */
import { poison, poisoning } from '../../../lib/index.ts';
import { LiteralBuffers } from './literal-buffers.ts';

export interface RawLiteral {
  /** Offset in `RawResponse.bytes` just after the line that announces it. */
  readonly at: number;
  readonly data: Buffer;
  /** Offset at which the text goes on: behind the literal, or `at` when its bytes are kept apart. */
  readonly resume: number;
}

export interface RawResponse {
  readonly bytes: Buffer;
  readonly start: number;
  /** Without the closing CRLF. */
  readonly end: number;
  readonly literals: readonly RawLiteral[];
}

export interface DecoderLimits {
  /** Slab size once a connection is busy; it starts with a sixteenth. A literal handed out keeps its slab alive. Default 512 KiB. */
  readonly slabBytes?: number;
  /** Literals above this get a buffer of their own. Default 128 KiB. */
  readonly ownBytes?: number;
  /** Largest response without its large literals. Default 64 MiB: a search result of millions. */
  readonly responseBytesMax?: number;
  /** Largest literal. Default 1 GiB. */
  readonly literalBytesMax?: number;
}

/** Not IMAP, or beyond a limit. `excerpt` is printable. */
export class MalformedResponse extends Error {
  readonly excerpt: string;
  readonly tooLarge: boolean;

  constructor(reason: string, excerpt: string, tooLarge = false) {
    super(`${reason}: ${excerpt}`);
    this.name = 'MalformedResponse';
    this.excerpt = excerpt;
    this.tooLarge = tooLarge;
  }
}

const LF = 10;
const CR = 13;
const PLUS = 43;
const CLOSE_BRACE = 125;
const OPEN_BRACE = 123;
const NO_LITERALS: readonly RawLiteral[] = [];

const SLABS_RETIRED = 2;
/** One read after a pause, which is copied. */
const ASIDE_BYTES = 64 << 10;

/** For all connections of this thread. */
const literalBuffers = new LiteralBuffers();

export class ResponseDecoder {
  readonly #slabBytes: number;
  readonly #ownBytes: number;
  readonly #responseBytesMax: number;
  readonly #literalBytesMax: number;
  #slab: Buffer;
  /** The slab up to `fill`: what a search for LF may look at. */
  #filled: Buffer;
  #start = 0;
  /** Start of the line that is being read, or of the literal. */
  #line = 0;
  /** No LF between `line` and here. */
  #scan = 0;
  #fill = 0;
  /** A view of this slab was handed out: its bytes stay as they are until the slab comes round again. */
  #shared = false;
  /**
   * Slabs left behind, oldest first. One is used again when two others were filled since: by then whoever was
   * handed a view of it has been waited for. Fresh memory for every 512 KiB would keep the garbage collector busy.
   */
  readonly #retired: Buffer[] = [];
  /** For bytes that come after a pause: they are copied to where they belong then. */
  #aside: Buffer | undefined;
  #mode: 'line' | 'literal' | 'grant' | 'own' = 'line';
  #literals: { at: number; length: number; own: Buffer | undefined }[] = [];
  #literalBytes = 0;
  #own: Buffer | undefined;
  #ownFill = 0;
  /** Buffers of literals that were handed out since `handled`. */
  #lent: Buffer[] = [];
  /** The same for views of slabs; gathered only where they are poisoned. */
  #lentViews: Buffer[] = [];

  constructor(limits: DecoderLimits = {}) {
    this.#slabBytes = limits.slabBytes ?? 512 << 10;
    this.#ownBytes = limits.ownBytes ?? 128 << 10;
    this.#responseBytesMax = limits.responseBytesMax ?? 64 << 20;
    this.#literalBytesMax = limits.literalBytesMax ?? 1 << 30;
    this.#slab = Buffer.allocUnsafeSlow(Math.max(64, this.#slabBytes >> 4));
    this.#filled = this.#slab.subarray(0, 0);
  }

  /** Size of the large literal that waits for `acceptLiteral`; 0 when none does. */
  get literalWanted(): number {
    return this.#mode === 'grant' ? this.#literalBytes : 0;
  }

  /** True when bytes of an unfinished response are held: an end of the stream now cuts a response. */
  get midResponse(): boolean {
    return this.#mode !== 'line' || this.#fill > this.#start;
  }

  /**
   * Where the next bytes belong; never empty. `held`: nothing is read before what is held was taken with `next`, so
   * that it need not move to a larger slab to make room.
   */
  target(held = false): Buffer {
    if (held && this.#mode !== 'own' && this.#fill > this.#start) {
      this.#aside ??= Buffer.allocUnsafeSlow(ASIDE_BYTES);
      return this.#aside;
    }
    if (this.#mode === 'own') return (this.#own as Buffer).subarray(this.#ownFill);
    if (this.#start === this.#fill && !this.#shared) {
      this.#start = 0;
      this.#line = 0;
      this.#scan = 0;
      this.#fill = 0;
      this.#filled = this.#slab.subarray(0, 0);
    }
    const rest = this.#mode === 'literal' ? this.#scan + this.#literalBytes - this.#fill : 0;
    const wanted = Math.max(rest, 0);
    const least = Math.max(wanted, this.#slab.length >> 4, 1);
    if (this.#slab.length - this.#fill < least) this.#roll(wanted);
    return this.#slab.subarray(this.#fill);
  }

  /**
   * `count` bytes came into `buffer`, which `target` gave. Parsing in between may have moved the place where they
   * belong; then they are copied there.
   */
  wrote(buffer: Uint8Array, count: number): void {
    if (this.#mode === 'own') {
      const own = this.#own as Buffer;
      if (buffer.buffer === own.buffer && buffer.byteOffset === own.byteOffset + this.#ownFill) {
        this.#advanceOwn(count);
        return;
      }
    } else if (
      buffer.buffer === this.#slab.buffer &&
      buffer.byteOffset === this.#slab.byteOffset + this.#fill
    ) {
      this.#advance(count);
      return;
    }
    this.push(buffer.subarray(0, count));
  }

  /** Copies bytes that were read elsewhere, such as a TLS record. */
  push(chunk: Uint8Array): void {
    for (let offset = 0; offset < chunk.length; ) {
      const target = this.target();
      const piece = chunk.subarray(offset, offset + target.length);
      target.set(piece);
      if (this.#mode === 'own') this.#advanceOwn(piece.length);
      else this.#advance(piece.length);
      offset += piece.length;
    }
  }

  /** The buffer for the announced large literal is allocated now. */
  acceptLiteral(): void {
    const own = literalBuffers.take(this.#literalBytes);
    const present = Math.min(this.#fill - this.#scan, own.length);
    this.#slab.copy(own, 0, this.#scan, this.#scan + present);
    // What follows the literal in the slab moves up to the line that announced it.
    this.#slab.copyWithin(this.#scan, this.#scan + present, this.#fill);
    this.#fill -= present;
    this.#filled = this.#slab.subarray(0, this.#fill);
    this.#own = own;
    this.#ownFill = 0;
    this.#mode = 'own';
    this.#advanceOwn(present);
  }

  /** Nobody looks at the responses handed out so far any more: the buffers of their large literals are used again. */
  handled(): void {
    if (poisoning) for (const view of this.#lentViews.splice(0)) poison(view);
    if (this.#lent.length === 0) return;
    for (const own of this.#lent.splice(0)) literalBuffers.giveBack(own);
  }

  /** Gives back what a busy connection needed; of use where a handled one now waits for long. */
  rest(): void {
    this.#retired.length = 0;
    this.#aside = undefined;
    const small = Math.max(64, this.#slabBytes >> 4);
    if (this.#mode !== 'line' || this.#fill > this.#start || this.#slab.length <= small) return;
    this.#slab = Buffer.allocUnsafeSlow(small);
    this.#filled = this.#slab.subarray(0, 0);
    this.#start = 0;
    this.#line = 0;
    this.#scan = 0;
    this.#fill = 0;
    this.#shared = false;
  }

  /**
   * The next whole response, or undefined: more bytes are needed, or `literalWanted` is to be accepted.
   * Throws `MalformedResponse`; the stream is of no use after it.
   */
  next(): RawResponse | undefined {
    for (;;) {
      if (this.#mode === 'grant' || this.#mode === 'own') return undefined;
      if (this.#mode === 'literal') {
        const end = this.#scan + this.#literalBytes;
        if (this.#fill < end) return undefined;
        this.#literals.push({ at: this.#scan, length: this.#literalBytes, own: undefined });
        this.#scan = end;
        this.#line = end;
        this.#mode = 'line';
      }
      const lineEnd = this.#filled.indexOf(LF, this.#scan);
      if (lineEnd < 0) {
        this.#scan = this.#fill;
        if (this.#fill - this.#start > this.#responseBytesMax) {
          throw new MalformedResponse(
            `a response longer than ${this.#responseBytesMax} bytes`,
            excerptOf(this.#slab, this.#start, this.#fill),
            true,
          );
        }
        return undefined;
      }
      const lineStart = this.#line;
      this.#scan = lineEnd + 1;
      this.#line = this.#scan;
      const literalBytes = this.#announcedLiteral(lineStart, lineEnd);
      if (literalBytes < 0) return this.#take(lineEnd);
      if (literalBytes > this.#literalBytesMax) {
        throw new MalformedResponse(
          `a literal of ${literalBytes} bytes, more than ${this.#literalBytesMax}`,
          excerptOf(this.#slab, this.#start, lineEnd),
          true,
        );
      }
      this.#literalBytes = literalBytes;
      this.#mode = literalBytes > this.#ownBytes ? 'grant' : 'literal';
    }
  }

  #take(lineEnd: number): RawResponse {
    const bytes = this.#slab;
    const start = this.#start;
    let end = lineEnd;
    if (end > start && bytes[end - 1] === CR) end -= 1;
    this.#start = lineEnd + 1;
    if (this.#literals.length === 0) return { bytes, start, end, literals: NO_LITERALS };
    const literals: RawLiteral[] = [];
    for (const { at, length, own } of this.#literals) {
      if (own) {
        literals.push({ at, data: own, resume: at });
        this.#lent.push(own);
      } else {
        const data = bytes.subarray(at, at + length);
        literals.push({ at, data, resume: at + length });
        if (length > 0) this.#shared = true;
        if (poisoning) this.#lentViews.push(data);
      }
    }
    this.#literals = [];
    return { bytes, start, end, literals };
  }

  /** Size of the literal that this line announces by `{n}`, `{n+}`, `~{n}` at its end; -1 when it does not. */
  #announcedLiteral(lineStart: number, lineEnd: number): number {
    const bytes = this.#slab;
    let position = lineEnd - 1;
    if (bytes[position] === CR) position -= 1;
    if (position <= lineStart || bytes[position] !== CLOSE_BRACE) return -1;
    position -= 1;
    if (bytes[position] === PLUS) position -= 1;
    let value = 0;
    let scale = 1;
    let digits = 0;
    for (; position >= lineStart; position--) {
      const digit = (bytes[position] as number) - 48;
      if (digit < 0 || digit > 9) break;
      value += digit * scale;
      scale *= 10;
      digits += 1;
    }
    if (digits === 0 || digits > 15 || position < lineStart || bytes[position] !== OPEN_BRACE) return -1;
    // The text of a status response is free, so `{5}` at its end means nothing.
    return this.#isFreeText(lineEnd) ? -1 : value;
  }

  #isFreeText(lineEnd: number): boolean {
    const bytes = this.#slab;
    if (bytes[this.#start] === PLUS) return true;
    const wordStart = bytes.indexOf(32, this.#start) + 1;
    if (wordStart === 0 || wordStart > lineEnd) return false;
    return /^(?:OK|NO|BAD|BYE|PREAUTH)(?:[ \r\n]|$)/i.test(
      bytes.toString('latin1', wordStart, Math.min(wordStart + 8, lineEnd)),
    );
  }

  #advance(count: number): void {
    this.#fill += count;
    this.#filled = this.#slab.subarray(0, this.#fill);
  }

  #advanceOwn(count: number): void {
    const own = this.#own as Buffer;
    this.#ownFill += count;
    if (this.#ownFill < own.length) return;
    this.#literals.push({ at: this.#scan, length: own.length, own });
    this.#own = undefined;
    this.#mode = 'line';
  }

  /** Goes on in a fresh slab, with room for `wanted` bytes beyond what is held of the unfinished response. */
  #roll(wanted: number): void {
    const held = this.#fill - this.#start;
    const busy = this.#shared || held > this.#slab.length >> 1;
    let size = busy ? Math.min(this.#slab.length * 4, this.#slabBytes) : this.#slab.length;
    while (size - held - wanted < size >> 3) size *= 2;
    this.#retired.push(this.#slab);
    const oldest = this.#retired.length > SLABS_RETIRED ? this.#retired.shift() : undefined;
    const slab = oldest && oldest.length >= size ? oldest : Buffer.allocUnsafeSlow(size);
    this.#slab.copy(slab, 0, this.#start, this.#fill);
    for (const literal of this.#literals) literal.at -= this.#start;
    this.#scan -= this.#start;
    this.#line -= this.#start;
    this.#start = 0;
    this.#fill = held;
    this.#slab = slab;
    this.#filled = slab.subarray(0, held);
    this.#shared = false;
  }
}

/** At most 200 bytes in printable form. */
export function excerptOf(bytes: Buffer, start: number, end: number): string {
  const shown = bytes.toString('latin1', start, Math.min(end, start + 200));
  const printable = shown.replace(
    /[^\x20-\x7e]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return end - start > 200 ? `${printable}…` : printable;
}
