export type { ControlEntry, ControlView, PairRoles } from './types.ts';
