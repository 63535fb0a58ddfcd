/** Whether people may be at work on the server that a plan moves them to. */
import type { PlanRecord } from '../index.ts';

/** From then on they are given back what they wrote there, by a rollback's own steps; before, undoing the plan's steps is enough. */
export function isMoved({ steps }: Pick<PlanRecord, 'steps'>): boolean {
  // Also a step that found its work done: clients may go where somebody else has led them.
  return steps.some(
    ({ name, direction, state, attempts }) =>
      direction === 'forward' &&
      (attempts > 0 || state !== 'pending') &&
      ['rebind', 'rehome', 'protect'].includes(name),
  );
}
