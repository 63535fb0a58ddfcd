/**
 * Bounds the bytes of large messages held in memory at once by all connections to a server. Who asks for more
 * than the whole budget waits until nobody holds anything, then passes alone.
 */
export class ByteBudget {
  readonly limit: number;
  #held = 0;
  readonly #waiting: { bytes: number; grant: () => void }[] = [];

  constructor(limitBytes: number) {
    this.limit = limitBytes;
  }

  get heldBytes(): number {
    return this.#held;
  }

  /** Undefined when the bytes are granted at once; else a promise. First come, first served. Give back with `release`. */
  acquire(bytes: number): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#held += bytes;
      return undefined;
    }
    return new Promise((resolve) => {
      this.#waiting.push({ bytes, grant: resolve });
    });
  }

  /** Takes the bytes without waiting, beyond the limit if need be: for a holder who would otherwise wait for itself. */
  force(bytes: number): void {
    this.#held += bytes;
  }

  release(bytes: number): void {
    this.#held -= bytes;
    for (let next = this.#waiting[0]; next && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#held += next.bytes;
      next.grant();
    }
  }

  #fits(bytes: number): boolean {
    return this.#held === 0 || this.#held + bytes <= this.limit;
  }
}
