/**
 * Fills memory that was given back for reuse, so that a test catches whoever still reads it: a body full of 0xDD has
 * another hash than its message. Only where `UNDERSTUDY_POISON=1` is set, as in the test runs; else it costs one
 * comparison.
 */
export const poisoning = process.env['UNDERSTUDY_POISON'] === '1';
const POISON = 0xdd;

/** To be called when nobody may read `bytes` any more. */
export function poison(bytes: Uint8Array): void {
  if (poisoning) bytes.fill(POISON);
}
