/**
 * Random numbers that repeat: the same seed gives the same sequence on every machine. For generated data, tests and
 * jitter; never for keys or nonces.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number | string) {
    // xmur3 spreads the seed's text over the state.
    let hash = 1779033703;
    const text = String(seed);
    for (let at = 0; at < text.length; at += 1) {
      hash = Math.imul(hash ^ text.charCodeAt(at), 3432918353);
      hash = (hash << 13) | (hash >>> 19);
    }
    const next = () => {
      hash = Math.imul(hash ^ (hash >>> 16), 2246822507);
      hash = Math.imul(hash ^ (hash >>> 13), 3266489909);
      hash ^= hash >>> 16;
      return hash | 0;
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    for (let warm = 0; warm < 12; warm += 1) this.uint32();
  }

  /** 0 … 2^32 - 1. The generator is sfc32 (PractRand, 2010). */
  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }

  /** 0 (included) … 1 (excluded). */
  float(): number {
    return this.uint32() / 4294967296;
  }

  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.float() * (max - min + 1));
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.float() < probability;
  }

  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.float() * items.length)] as T;
  }

  /** One of `items`, each as likely as its weight says. */
  weighted<T>(items: readonly { readonly weight: number; readonly item: T }[]): T {
    let left = this.float() * items.reduce((sum, { weight }) => sum + weight, 0);
    for (const { weight, item } of items) {
      left -= weight;
      if (left < 0) return item;
    }
    return (items.at(-1) as { item: T }).item;
  }

  /** `items` in a new order. */
  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let at = result.length - 1; at > 0; at -= 1) {
      const other = this.integer(0, at);
      [result[at], result[other]] = [result[other] as T, result[at] as T];
    }
    return result;
  }
}
