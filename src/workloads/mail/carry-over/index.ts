/** What a server got after its accounts had moved: found in its journal, and carried over to the server that has them now. */
export { carryOver } from './carry-over.ts';
export { laterThan } from './later.ts';
export type { CarriedMessage, CarryOverReport, Later, LaterFlags, LaterMessage } from './types.ts';
