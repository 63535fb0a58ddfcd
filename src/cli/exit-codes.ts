/** The one place that maps what happened to an exit status: a published contract. */
import type { Outcome } from '../api/index.ts';
import type { ErrorKind } from '../lib/index.ts';

export const exitCodes: Readonly<Record<ErrorKind | Outcome, number>> = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  partial: 4,
  differs: 5,
};
