/** When a client's things went well, and the longest time that nothing did. */

export interface Gap {
  readonly outageMs: number;
  readonly fromMs: number;
  /** Absent: nothing has gone well since. */
  readonly toMs?: number;
}

export class Successes {
  readonly #at: number[] = [];

  add(atMs: number): void {
    this.#at.push(atMs);
  }

  get last(): number | undefined {
    return this.#at.at(-1);
  }

  /** The longest gap of which any part lies between `sinceMs` and `untilMs`. A gap that has not ended ends at `nowMs` for this. */
  longestGap(sinceMs: number, untilMs: number, nowMs: number): Gap {
    const first = Math.max(0, lowerBound(this.#at, sinceMs) - 1);
    let longest: Gap = { outageMs: 0, fromMs: sinceMs, toMs: sinceMs };
    for (let index = first; index < this.#at.length; index += 1) {
      const fromMs = this.#at[index] as number;
      if (fromMs > untilMs) break;
      const toMs = this.#at[index + 1];
      const outageMs = (toMs ?? nowMs) - fromMs;
      if (outageMs > longest.outageMs)
        longest = { outageMs, fromMs, ...(toMs === undefined ? {} : { toMs }) };
    }
    if (this.#at.length === 0) return { outageMs: nowMs - sinceMs, fromMs: sinceMs };
    return longest;
  }
}

/** Index of the first that is not below `value`. */
function lowerBound(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
