/** Being a client for a moment: does the server serve? */
export type * from './types.ts';
