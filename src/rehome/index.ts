/** Rehoming: clients follow the service to another server, by the built-in front door or by commands. */
export { rehomeErrors } from './errors.ts';
export { ensureProxy, proxyOutages, proxyStats, stopProxy } from './proxy/ensure-proxy.ts';
export type { DoorLimits } from './proxy/limits.ts';
export { type RunProxyOptions, runProxy } from './proxy/run-proxy.ts';
export { fencesOf, rehomesOf } from './rehomes.ts';
export type {
  ClientOutage,
  ClientOutages,
  DoorState,
  Fence,
  FenceDeps,
  ListenerStats,
  ProxyStats,
  Rehome,
  RehomeDeps,
  RehomeOutcome,
} from './types.ts';
