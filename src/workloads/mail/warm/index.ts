export { type BurstRule, isBurst, lossSince } from './burst.ts';
export { startWarm, type WarmDeps } from './engine.ts';
export { acceptHeld, heldBursts, type WarmPlace } from './held.ts';
export type { HeldBurst, WarmEngine, WarmMetrics, WarmStatus } from './types.ts';
