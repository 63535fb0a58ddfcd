/** The known sequence of steps that the crash test's child appends and its parent expects: a function of the step's number. */
import { hash } from 'node:crypto';
import type { Step } from './support.ts';

/** Records of each step: one body, one account, one commit. */
export const RECORDS_PER_STEP = 3;
/** So small that every child fills several segments. */
export const SEGMENT_BYTES = 40 << 10;

export function stepNumber(number: number): Step {
  // Mostly small; every ninth large enough to be compressed off the thread.
  const size = number % 9 === 0 ? 60_000 + number : (number * 131) % 2500;
  return {
    bodies: [bytesOf(number, size)],
    records: [{ t: 'account', account: `step ${number}` }],
  };
}

/** Bytes of which about half compress away. */
function bytesOf(number: number, size: number): Buffer {
  const bytes = Buffer.alloc(size, `step ${number} `);
  for (let offset = 0; offset + 64 < size; offset += 64) {
    hash('sha256', `${number}/${offset}`, 'buffer').copy(bytes, offset);
  }
  return bytes;
}
