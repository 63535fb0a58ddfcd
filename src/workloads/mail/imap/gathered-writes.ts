/**
 * Small pieces of a command go out together: a write of its own for each costs a system call here and a wake-up there, which for small
 * messages is more than the messages do.
 */
import type { Socket } from 'node:net';

const GATHERED_BYTES = 64 << 10;
/** From this size on bytes are written as they are, not copied. */
const DIRECT_BYTES = 16 << 10;

export class GatheredWrites {
  readonly #socket: Socket;
  /** Never used again once written: the socket may hold it for long. */
  #buffer: Buffer | undefined;
  #filled = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Latin1. */
  text(text: string): boolean {
    if (text.length > DIRECT_BYTES) return this.bytes(Buffer.from(text, 'latin1'));
    const flowing = this.#makeRoom(text.length);
    this.#filled += (this.#buffer as Buffer).write(text, this.#filled, 'latin1');
    return flowing;
  }

  /** False: wait for `drain` before more. Small bytes are copied, large ones must not change until they are written. */
  bytes(bytes: Uint8Array): boolean {
    if (bytes.length >= DIRECT_BYTES) {
      this.#socket.cork();
      this.flush();
      const flowing = this.#socket.write(bytes);
      this.#socket.uncork();
      return flowing;
    }
    const flowing = this.#makeRoom(bytes.length);
    (this.#buffer as Buffer).set(bytes, this.#filled);
    this.#filled += bytes.length;
    return flowing;
  }

  flush(): boolean {
    if (this.#filled === 0) return true;
    const gathered = (this.#buffer as Buffer).subarray(0, this.#filled);
    this.#buffer = undefined;
    this.#filled = 0;
    return this.#socket.write(gathered);
  }

  #makeRoom(bytes: number): boolean {
    const flowing = this.#filled + bytes <= GATHERED_BYTES || this.flush();
    this.#buffer ??= Buffer.allocUnsafeSlow(GATHERED_BYTES);
    return flowing;
  }
}
