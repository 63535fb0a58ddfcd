/**
 * Buffers for large literals, used again and again: half of all bytes of mail come in messages with attachments, and
 * fresh memory for each of those keeps the garbage collector busy.
 *
 * A buffer belongs to who took it until that one gives it back. One that is never given back, as when a connection breaks in
 * the middle of a literal, is the garbage collector's.
 */
import { invariant, poison } from '../../../lib/index.ts';

const SMALLEST_BYTES = 256 << 10;
/** A larger one is made for the purpose, and let go. */
const LARGEST_BYTES = 2 << 20;
/** Of each size; sizes double. */
const KEPT = 3;

export class LiteralBuffers {
  readonly #spare = new Map<number, Buffer[]>();
  /** Taken and not given back: what is given back twice would be two messages' at once. */
  readonly #taken = new WeakSet<ArrayBufferLike>();

  /** A buffer of exactly this length; its content is undefined. */
  take(bytes: number): Buffer {
    if (bytes > LARGEST_BYTES) return this.#lend(Buffer.allocUnsafeSlow(bytes), bytes);
    let size = SMALLEST_BYTES;
    while (size < bytes) size *= 2;
    return this.#lend(this.#spare.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size), bytes);
  }

  #lend(whole: Buffer, bytes: number): Buffer {
    this.#taken.add(whole.buffer);
    return whole.subarray(0, bytes);
  }

  /** `buffer`: from `take`, and not given back yet. Nobody may look at it any more. */
  giveBack(buffer: Buffer): void {
    invariant(this.#taken.delete(buffer.buffer), 'a buffer is given back once, to where it was taken');
    poison(buffer);
    const size = buffer.buffer.byteLength;
    if (size > LARGEST_BYTES) return;
    const spare = this.#spare.get(size) ?? [];
    this.#spare.set(size, spare);
    if (spare.length < KEPT) spare.push(Buffer.from(buffer.buffer));
  }
}
