import type { Clock, Log } from '../lib/index.ts';

export interface LdapOptions {
  /** `ldap://host:389` or `ldaps://host:636`. */
  readonly url: string;
  /** Absent = anonymous. */
  readonly bindDn?: string;
  readonly bindSecret?: string;
  readonly baseDn: string;
  /** RFC 4515; with or without the outer parentheses. */
  readonly accountFilter: string;
  /** Holds the login name; every value of it is an account. */
  readonly accountAttribute: string;
  /** Holds the host of the server with the account's mail. */
  readonly serverAttribute: string;
  /** StartTLS on an `ldap:` URL. */
  readonly startTls?: boolean;
  /** PEM file of the authority; absent = the system's. */
  readonly caFile?: string;
  /** Until connected, and for each answer. Default 30,000. */
  readonly timeoutMs?: number;
  /** How long a rebinding goes on without any account getting further, before it gives up the rest. Default 30,000. */
  readonly patienceMs?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Told about what a caller is not: parts of the tree that another directory has, a connection made again. */
  readonly log?: Log;
}
