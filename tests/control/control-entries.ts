/** What the child writes, by number: small entries, and some that are many records long. */
import type { JsonValue } from '../../src/lib/index.ts';

export const TOPIC = 'numbers';

/** Longer than a record may be: it is written in pieces. */
const LONG_CHARS = 700_000;

export function entryOf(number: number): { readonly id: string; readonly data: JsonValue } {
  const isLong = number % 5 === 3;
  return {
    id: `id-${number % 3}`,
    data: { number, text: isLong ? `${number} ä😀`.repeat(LONG_CHARS / 8) : `entry ${number}` },
  };
}
