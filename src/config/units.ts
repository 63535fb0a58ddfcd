/** Values with units: durations `250ms`, `30s`, `5m`, `2h`, `1d`, and sizes `512KiB`, `4MiB`, `1GiB`. */

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1 << 10,
  MiB: 1 << 20,
  GiB: 1 << 30,
  kB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
};

/** Milliseconds, or undefined when `text` is not a duration. */
export function parseDuration(text: string): number | undefined {
  return withUnit(text, DURATION_MS);
}

/** Bytes, or undefined when `text` is not a size. */
export function parseSize(text: string): number | undefined {
  return withUnit(text, SIZE_BYTES);
}

function withUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(text.trim());
  const factor = match?.[2] === undefined ? undefined : units[match[2]];
  if (match === null || factor === undefined) return undefined;
  return Math.round(Number(match[1]) * factor);
}
