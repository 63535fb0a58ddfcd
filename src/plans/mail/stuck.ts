import type { PlanRecord } from '../index.ts';

/**
 * A switchover that has failed before anybody was led on: people may be waiting at the front door, so whoever ran it takes it back and gives
 * them their server. A failover has none to give back.
 */
export function isStuck({ kind, state, direction, steps }: PlanRecord): boolean {
  const begun = (name: string) =>
    steps.some((step) => step.name === name && step.direction === 'forward' && step.attempts > 0);
  return (
    kind === 'switchover' &&
    state === 'failed' &&
    direction === 'forward' &&
    !begun('rebind') &&
    !begun('rehome')
  );
}
