/** How a connection is made. */
import type { Clock, Log } from '../../../lib/index.ts';
import type { ByteBudget } from './byte-budget.ts';

export interface ImapTlsOptions {
  /** PEM file of the authority that signed the server's certificate; absent = the system's authorities. */
  readonly caFile?: string;
  /** The same as text. */
  readonly ca?: string;
  /** Name expected in the certificate and sent as SNI; absent = `host`. */
  readonly servername?: string;
  /** True only when the configuration says so: the certificate is not verified. */
  readonly insecure?: boolean;
}

export interface ImapAuth {
  /** The account whose mail is wanted. */
  readonly account: string;
  /** The master user that acts for it; absent = the account logs in itself. */
  readonly authUser?: string;
  readonly secret: string;
  /**
   * Log in as ACCOUNT + separator + MASTER (Dovecot's auth_master_user_separator, `*`). Absent: by the authorization
   * identity of SASL PLAIN; where the server has no PLAIN, by LOGIN with `*` as separator.
   */
  readonly separator?: string;
}

export interface ImapTimeouts {
  /** Until the TCP (and TLS) connection stands. Default 10,000. */
  readonly connectMs?: number;
  /** Until the greeting. Default 30,000: some servers delay it on purpose. */
  readonly greetingMs?: number;
  /** Without any byte while an answer is awaited. Default 120,000. */
  readonly idleMs?: number;
}

/** Lets the owner of several connections hold them back. All return undefined to go on at once. */
export interface Throttle {
  beforeCommand(name: string): Promise<void> | undefined;
  /** Called with the bytes of each read; while the promise is pending nothing more is read. */
  received(bytes: number): Promise<void> | undefined;
  /** Called with the bytes of each literal, or piece of a large one; while the promise is pending nothing more is sent. */
  sent(bytes: number): Promise<void> | undefined;
}

/**
 * What was learned about a server that its capabilities do not tell; give the same object to all connections of a
 * server, so that it is learned once.
 */
export interface ServerTraits {
  /** How it names a message's own id: `EMAILID` (RFC 8474), `X-GUID` (Dovecot), or not at all. */
  guidItem?: 'EMAILID' | 'X-GUID' | 'none';
  /** Whether its MAILBOXID in a STATUS (RFC 8474) is to be believed; undefined = it cannot be told yet. Never rejects. */
  mailboxIds?: Promise<boolean | undefined>;
}

export interface ImapConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly security: 'none' | 'starttls' | 'tls';
  readonly tls?: ImapTlsOptions;
  readonly auth: ImapAuth;
  readonly timeouts?: ImapTimeouts;
  readonly log?: Log;
  readonly clock?: Clock;
  readonly budget?: ByteBudget;
  readonly throttle?: Throttle;
  readonly traits?: ServerTraits;
  /** Ends the connection, at any time, with the signal's reason as cause. */
  readonly signal?: AbortSignal;
}
