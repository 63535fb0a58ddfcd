/** Whether a plan has the standby of its pair to itself. */
import type { PlanRecord } from '../index.ts';

/** A plan that has begun to finish the standby by itself and has not ended, however it was interrupted: nobody else may write there. */
export function hasStandbyAtWork({ state, steps }: PlanRecord): boolean {
  const hasEnded = state === 'done' || state === 'committed' || state === 'rolled-back';
  return (
    !hasEnded && steps.some(({ name, attempts }) => attempts > 0 && (name === 'finish' || name === 'prepare'))
  );
}
