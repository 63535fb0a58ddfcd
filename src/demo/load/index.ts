/** Real clients under way all the time: their outages, and what the server has promised them. */
export { checkLedger } from './check-ledger.ts';
export { ClientLoad } from './client-load.ts';
export type * from './types.ts';
