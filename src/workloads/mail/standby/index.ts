/** Another mail server that holds what the replica of a server says: brought up, kept up, compared. */
export type * from './types.ts';
