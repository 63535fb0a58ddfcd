/** Rehoming: clients follow the service to another server, by the built-in front door or by commands. */
export { rehomeErrors } from './errors.ts';
export type {
  DoorState,
  Fence,
  FenceOutcome,
  FenceTarget,
  ListenerStats,
  ProxyStats,
  Rehome,
  RehomeDeps,
  RehomeOutcome,
} from './types.ts';
