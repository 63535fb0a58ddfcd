import type { PlanRecord } from '../index.ts';
import { isMoved } from './people-moved.ts';

/**
 * A switchover that has failed before anybody was led on: people may be waiting at the front door, so whoever ran it takes it back and gives
 * them their server. A failover has none to give back.
 */
export function isStuck(record: PlanRecord): boolean {
  const { kind, state, direction } = record;
  return kind === 'switchover' && state === 'failed' && direction === 'forward' && !isMoved(record);
}
