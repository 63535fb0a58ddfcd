/**
 * Which bodies a vault may hold, in 2 MiB: a Bloom filter. A first shadow asks for every body whether it is there, and it never
 * is; without this each question would be a read transaction of the catalog. It never says no of a body that was added.
 * Of a body that was not, it says yes once in 500 times with a million added, and always with very many.
 */
const BITS = 1 << 24;

export class SeenBodies {
  readonly #bits = new Uint32Array(BITS / 32);

  /** `hash`: SHA-256, whose bytes are as good as any hash functions. */
  add(hash: Uint8Array): void {
    for (let at = 0; at < 12; at += 3) {
      const bit = bitAt(hash, at);
      this.#bits[bit >>> 5] = (this.#bits[bit >>> 5] as number) | (1 << (bit & 31));
    }
  }

  mayHave(hash: Uint8Array): boolean {
    for (let at = 0; at < 12; at += 3) {
      const bit = bitAt(hash, at);
      if (((this.#bits[bit >>> 5] as number) & (1 << (bit & 31))) === 0) return false;
    }
    return true;
  }
}

/** The 24 bits at a byte offset. */
function bitAt(hash: Uint8Array, at: number): number {
  return ((hash[at] as number) << 16) | ((hash[at + 1] as number) << 8) | (hash[at + 2] as number);
}
