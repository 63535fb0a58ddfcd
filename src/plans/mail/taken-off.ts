import type { PlanRecord } from '../index.ts';
import type { TakeOverParameters } from './context.ts';

/** Steps that keep people off one server, or lead them to the other. */
const STEPS = ['hold', 'close-door', 'unbind', 'rebind', 'rehome', 'protect'];

/**
 * Whether a plan that has not ended may have taken the people of its pair off the server that acts: nobody must be led there by guess. Before that,
 * and once it has all been taken back, that server is where they belong. A plan of some accounts leaves the front door as it is.
 */
export function hasTakenOff({ state, direction, parameters, steps }: PlanRecord): boolean {
  if (state !== 'running' && state !== 'interrupted' && state !== 'failed') return false;
  // What is made final had come to its end.
  if (direction === 'commit') return false;
  if ((parameters as TakeOverParameters).accounts !== undefined) return false;
  // Also a step that found its work done: clients may go where somebody else has led them.
  return steps.some(
    (step) =>
      step.direction === 'forward' &&
      STEPS.includes(step.name) &&
      (step.attempts > 0 || step.state !== 'pending') &&
      step.state !== 'undone',
  );
}
