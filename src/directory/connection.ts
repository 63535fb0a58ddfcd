/**
 * One connection to an LDAP server: TLS, bind, and what the server can do. It is made once: ldapts would make a lost
 * connection again by itself, without TLS of StartTLS and without the bind, and go on as anonymous.
 */
import { readFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { Client, PresenceFilter, ResultCodeError } from 'ldapts';
import { type Clock, messageOf, systemClock, type UnderstudyError } from '../lib/index.ts';
import { directoryErrors } from './errors.ts';
import { explained } from './failures.ts';
import type { LdapOptions } from './options.ts';
import { valuesOf } from './query.ts';

/** What rootDSE says (RFC 4512, 5.1). */
export interface Features {
  /** RFC 4528. */
  readonly assertions: boolean;
}

export interface Connection {
  readonly client: Client;
  /** Asked once. */
  features(): Promise<Features>;
  /** May be repeated. */
  close(): Promise<void>;
}

/** Connects and binds. An abort of `signal` ends that; once the connection is open, what is under way on it is the caller's to end. */
export async function openConnection(options: LdapOptions, signal?: AbortSignal): Promise<Connection> {
  signal?.throwIfAborted();
  const tls = await tlsOptions(options);
  const { timeoutMs = 30_000, clock = systemClock } = options;
  const sockets: Socket[] = [];
  const client = new Client({
    url: options.url,
    timeout: timeoutMs,
    connectTimeout: timeoutMs,
    // ldapts speaks TLS from the first byte to any URL when it is given TLS options.
    ...(options.url.startsWith('ldaps:') ? { tlsOptions: tls } : {}),
    createConnection: once(sockets, connectTcp as (...args: unknown[]) => Socket) as typeof connectTcp,
    createSecureConnection: once(sockets, connectSecurely) as typeof connectTls,
  });
  const abort = () => {
    // What is under way rejects by itself once the connection is gone.
    client.unbind().catch(() => {});
  };
  signal?.addEventListener('abort', abort, { once: true });
  const close = async () => {
    // The answer is here or its error is; a goodbye that fails changes nothing. Said to a socket that is closed already, it
    // would wait for its timeout.
    if (sockets.every(({ destroyed }) => !destroyed)) await client.unbind().catch(() => {});
    for (const socket of sockets) socket.destroy();
  };
  let features: Promise<Features> | undefined;
  try {
    if (options.startTls) {
      // Over a given socket TLS does not know whom it speaks to, and ldapts changes the object it gets.
      const started = client.startTLS({ ...tls, host: hostOf(options.url) }).catch((error: unknown) => {
        throw error instanceof ResultCodeError ? noStartTls(options, error) : error;
      });
      await within(timeoutMs, clock, signal, started).catch((error: unknown) => {
        // A handshake that does not end has the socket: no goodbye would get through.
        for (const socket of sockets) socket.destroy();
        throw error;
      });
    }
    const connection = {
      client,
      features: () => {
        features ??= readFeatures(client);
        return features;
      },
      close,
    };
    // Without a bind the first request connects.
    if (options.bindDn === undefined) await connection.features();
    else await client.bind(options.bindDn, options.bindSecret ?? '');
    return connection;
  } catch (error) {
    await close();
    signal?.throwIfAborted();
    throw explained(options, error);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** ldapts waits for the answer to StartTLS for so long only, but for the handshake after it for ever. */
async function within<T>(
  timeoutMs: number,
  clock: Clock,
  signal: AbortSignal | undefined,
  work: Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const ending = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
  const late = clock.sleep(timeoutMs, ending).then(() => {
    throw new Error(`TLS did not come about within ${timeoutMs} ms`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    done.abort();
  }
}

/** Opens, works, closes; every failure has its code. Once `signal` aborts, whatever is under way rejects. */
export async function withConnection<T>(
  options: LdapOptions,
  signal: AbortSignal | undefined,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await openConnection(options, signal);
  const abort = () => {
    connection.client.unbind().catch(() => {});
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    signal?.throwIfAborted();
    return await work(connection);
  } catch (error) {
    signal?.throwIfAborted();
    throw explained(options, error);
  } finally {
    signal?.removeEventListener('abort', abort);
    await connection.close();
  }
}

async function readFeatures(client: Client): Promise<Features> {
  const rootDse = await client
    .search('', {
      scope: 'base',
      filter: new PresenceFilter({ attribute: 'objectClass' }),
      attributes: ['supportedControl'],
    })
    .then(({ searchEntries: [entry] }) => entry ?? { dn: '' })
    .catch((error: unknown) => {
      // A server that hides what it can do is used as one that can nothing more.
      if (error instanceof ResultCodeError) return { dn: '' };
      throw error;
    });
  return {
    assertions: valuesOf(rootDse, 'supportedControl').includes('1.3.6.1.1.12'),
  };
}

/** `connect` that can be called a single time, and notes its socket. */
function once<A extends unknown[], S extends Socket>(sockets: Socket[], connect: (...args: A) => S) {
  let used = false;
  return (...args: A): S => {
    if (used) throw new Error('the connection was lost');
    used = true;
    const socket = connect(...args);
    sockets.push(socket);
    return socket;
  };
}

/**
 * After StartTLS ldapts learns of the end of the connection from the socket below only, which TLS has taken over and which
 * does not notice by itself: requests would wait for their timeout.
 */
function connectSecurely(
  first: ConnectionOptions | number,
  host?: string,
  options?: ConnectionOptions,
): TLSSocket {
  if (typeof first === 'number') return connectTls(first, host, options);
  return connectTls(first).once('close', () => first.socket?.destroy());
}

/** TLS compares it with the names in the certificate, where an IPv6 address has no brackets. */
function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
}

async function tlsOptions(options: LdapOptions): Promise<ConnectionOptions> {
  if (options.caFile === undefined) return {};
  try {
    return { ca: await readFile(options.caFile, 'utf8') };
  } catch (error) {
    throw directoryErrors.make(
      'DIRECTORY_TLS_FAILED',
      `the authority's file cannot be read: ${messageOf(error)}`,
      {
        cause: error,
        remedy: `Check \`ca\`: ${options.caFile}.`,
      },
    );
  }
}

function noStartTls({ url }: LdapOptions, error: ResultCodeError): UnderstudyError {
  return directoryErrors.make('DIRECTORY_TLS_FAILED', `${url} does no StartTLS: ${error.message}`, {
    cause: error,
    remedy: 'Use an `ldaps://` URL, or switch TLS on in the directory.',
    details: { url },
  });
}
