import { randomBytes } from 'node:crypto';
import type { PlanId } from './types.ts';

/** A new id: the day in UTC, so that ids sort by it, and four random digits; none of `taken`. */
export function newPlanId(wallMs: number, taken: ReadonlySet<string>): PlanId {
  const day = new Date(wallMs).toISOString().slice(0, 10).replaceAll('-', '');
  for (;;) {
    const id = `${day}-${randomBytes(2).toString('hex')}`;
    if (!taken.has(id)) return id as PlanId;
  }
}
