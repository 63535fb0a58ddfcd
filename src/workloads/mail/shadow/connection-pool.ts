/**
 * Logged-in connections of a server, one account each. A connection that was used stays open for a while: the
 * accounts that changed last are the likeliest to change again, and a login costs the server a process.
 */
import { setMaxListeners } from 'node:events';
import { UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import { ByteBudget, ImapConnection, type ImapConnectOptions, type ServerTraits } from '../imap/index.ts';
import type { MailDeps } from '../types.ts';
import type { Bandwidth } from './bandwidth.ts';

/** Bytes of large messages held in memory at once, over all connections. */
const LARGE_MESSAGES_BYTES = 64 * 1024 * 1024;

/** A connection stands, and the server greets, sooner than it may answer: some greet late on purpose. */
const CONNECT_MOST_MS = 10_000;
const GREETING_MOST_MS = 30_000;

/**
 * After this a connection is not kept once more: a Dovecot session whose indexes were damaged and made anew by another
 * one may go on with the old ones, and never see a new mailbox.
 */
const WARM_MOST_MS = 60_000;

/** Errors of connections that never came to be logged in. */
const beforeLogIn = new WeakSet<Error>();

/** Whether a pool's error comes from making a connection, and not from what was done with it. */
export function wasBeforeLogIn(error: unknown): boolean {
  return error instanceof Error && beforeLogIn.has(error);
}

/** Whether it is the server's answer to the log-in itself, whatever its code: it was reached, and speaks of this account. */
export function wasAnswerToLogIn(error: unknown): boolean {
  return wasBeforeLogIn(error) && error instanceof UnderstudyError && error.details['account'] !== undefined;
}

export class ConnectionPool {
  readonly #deps: MailDeps;
  readonly #keepWarm: number;
  readonly #bandwidth: Bandwidth | undefined;
  readonly #budget = new ByteBudget(LARGE_MESSAGES_BYTES);
  readonly #traits: ServerTraits = {};
  /** Oldest use first. */
  readonly #warm = new Map<string, ImapConnection>();
  readonly #loggedInAtMs = new WeakMap<ImapConnection, number>();
  readonly #closing = new AbortController();
  #inUse = 0;

  constructor(deps: MailDeps, options: { keepWarm: number; bandwidth?: Bandwidth }) {
    this.#deps = deps;
    this.#keepWarm = options.keepWarm;
    this.#bandwidth = options.bandwidth;
    // Every connection listens to it.
    setMaxListeners(0, this.#closing.signal);
  }

  /** Connections open now, in use or warm. */
  get size(): number {
    return this.#inUse + this.#warm.size;
  }

  /**
   * Lends a connection that is logged in as `account`. It is kept warm when `work` succeeded, else closed: a warm
   * one that the server has dropped meanwhile fails once, and the next call gets a fresh one. Errors: those of
   * `ImapConnection.connect` and of `work`.
   */
  async use<T>(account: string, work: (connection: ImapConnection) => Promise<T>): Promise<T> {
    this.#inUse += 1;
    let connection: ImapConnection | undefined;
    try {
      connection = this.#takeWarm(account) ?? (await this.connect(account));
      const result = await work(connection);
      this.#keep(account, connection);
      return result;
    } catch (error) {
      connection?.close();
      throw error;
    } finally {
      this.#inUse -= 1;
    }
  }

  /** A connection outside the pool, the caller's to close: for IDLE. */
  async connect(account: string): Promise<ImapConnection> {
    const connecting = ImapConnection.connect({
      ...connectOptions(this.#deps, account),
      budget: this.#budget,
      traits: this.#traits,
      signal: this.#closing.signal,
      ...(this.#bandwidth ? { throttle: this.#bandwidth } : {}),
    });
    const connection = await connecting.catch((error: unknown) => {
      if (error instanceof Error) beforeLogIn.add(error);
      throw error;
    });
    this.#loggedInAtMs.set(connection, this.#deps.clock.monotonicMs());
    return connection;
  }

  /** Ends all connections at once; what is under way fails with MAIL_CONNECTION_LOST. */
  close(): void {
    this.#closing.abort();
    for (const connection of this.#warm.values()) connection.close();
    this.#warm.clear();
  }

  #takeWarm(account: string): ImapConnection | undefined {
    const connection = this.#warm.get(account);
    this.#warm.delete(account);
    return connection?.failure ? undefined : connection;
  }

  #keep(account: string, connection: ImapConnection): void {
    if (connection.failure || this.#closing.signal.aborted || this.#keepWarm === 0) {
      connection.close();
      return;
    }
    const since = this.#loggedInAtMs.get(connection) ?? 0;
    if (this.#deps.clock.monotonicMs() - since > WARM_MOST_MS) {
      void connection.logout();
      return;
    }
    connection.rest();
    this.#warm.set(account, connection);
    if (this.#warm.size <= this.#keepWarm) return;
    const [oldest, idle] = this.#warm.entries().next().value as [string, ImapConnection];
    this.#warm.delete(oldest);
    void idle.logout();
  }
}

export function hasSecret({ config }: MailDeps, account: string): boolean {
  const { masterSecret, masterUser } = config.imap;
  if (masterSecret && masterUser !== undefined) return true;
  return config.accounts?.list.some(({ name, secret }) => name === account && secret !== undefined) ?? false;
}

/** How to log in as `account`, from the server's configuration. Error: MAIL_AUTH_FAILED when no secret is configured for it. */
export function connectOptions(deps: MailDeps, account: string): ImapConnectOptions {
  const { config } = deps;
  const { imap } = config;
  const own = config.accounts?.list.find((entry) => entry.name === account)?.secret;
  const secret = own ?? imap.masterSecret;
  if (!secret || (!own && imap.masterUser === undefined)) {
    throw mailErrors.make('MAIL_AUTH_FAILED', `no secret is configured for ${account} on ${deps.server}`, {
      remedy:
        'Set imap.masterUser and imap.masterSecret, or give the account its own secret in accounts.list.',
    });
  }
  return {
    host: config.host,
    port: imap.port,
    security: imap.security,
    tls: {
      ...(imap.ca === undefined ? {} : { caFile: imap.ca }),
      ...(imap.servername === undefined ? {} : { servername: imap.servername }),
      insecure: imap.insecureSkipVerify,
    },
    auth: {
      account,
      secret: secret.reveal(),
      ...(own || imap.masterUser === undefined ? {} : { authUser: imap.masterUser }),
      ...(imap.separator === undefined ? {} : { separator: imap.separator }),
    },
    timeouts: {
      idleMs: imap.timeout,
      connectMs: Math.min(imap.timeout, CONNECT_MOST_MS),
      greetingMs: Math.min(imap.timeout, GREETING_MOST_MS),
    },
    log: deps.log,
    clock: deps.clock,
  };
}
