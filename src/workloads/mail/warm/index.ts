export type { HeldBurst, WarmEngine, WarmMetrics, WarmStatus } from './types.ts';
