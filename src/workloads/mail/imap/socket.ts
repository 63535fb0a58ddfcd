/** The TCP connection and its TLS; every failure has its code. */
import { readFile } from 'node:fs/promises';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { messageOf, type UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import type { ImapConnectOptions, ImapTlsOptions } from './options.ts';

/** Where bytes are read to, without a stream in between (`onread` of `net.connect`). */
export interface ReadTarget {
  target(): Buffer;
  /** `count` bytes came into `buffer`; false = read no more until `resume`. */
  wrote(buffer: Uint8Array, count: number): boolean;
}

type Place = Pick<ImapConnectOptions, 'host' | 'port'> & { readonly connectMs: number };

/** Connects in clear. With `read`, bytes bypass the stream: no `data` events, and no TLS on top of it. */
export function openTcp(place: Place, read?: ReadTarget): Promise<Socket> {
  const socket = connectTcp({
    host: place.host,
    port: place.port,
    noDelay: true,
    keepAlive: true,
    ...(read
      ? {
          onread: {
            buffer: () => read.target(),
            callback: (count: number, buffer: Uint8Array) => read.wrote(buffer, count),
          },
        }
      : {}),
  });
  return settled(socket, 'connect', place, (error) => unreachable(place, messageOf(error), error));
}

/** TLS from the first byte, or over a socket after STARTTLS. */
export async function openTls(place: Place, tls: ImapTlsOptions = {}, over?: Socket): Promise<Socket> {
  const name = tls.servername ?? place.host;
  const options: ConnectionOptions = {
    rejectUnauthorized: tls.insecure !== true,
    // SNI takes no addresses (RFC 6066 section 3); the certificate is checked against `host` all the same.
    host: name,
    ...(isIP(name) === 0 ? { servername: name } : {}),
  };
  const ca = tls.ca ?? (tls.caFile === undefined ? undefined : await readAuthority(tls.caFile));
  if (ca !== undefined) options.ca = ca;
  const socket = connectTls(
    over ? { ...options, socket: over } : { ...options, host: place.host, port: place.port },
  );
  socket.setNoDelay(true);
  return settled(socket, 'secureConnect', place, (error) => tlsFailure(place, error));
}

function settled<S extends Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  place: Place,
  explain: (error: Error) => UnderstudyError,
): Promise<S> {
  return new Promise((resolve, reject) => {
    const fail = (error: UnderstudyError) => {
      socket.off(event, done);
      socket.off('error', failed);
      socket.off('close', ended);
      socket.on('error', () => {}); // The cause is known; a second complaint of a destroyed socket is not news.
      socket.destroy();
      reject(error);
    };
    const failed = (error: Error) => fail(explain(error));
    const ended = () => fail(explain(new Error('the connection was closed')));
    const late = () => fail(unreachable(place, `no connection within ${place.connectMs} ms`));
    const done = () => {
      socket.setTimeout(0);
      socket.off('timeout', late);
      socket.off('error', failed);
      socket.off('close', ended);
      resolve(socket);
    };
    socket.once(event, done);
    socket.once('error', failed);
    socket.once('close', ended);
    socket.setTimeout(place.connectMs);
    socket.once('timeout', late);
  });
}

function unreachable(place: Place, reason: string, cause?: unknown): UnderstudyError {
  return mailErrors.make('MAIL_UNREACHABLE', `${place.host}:${place.port} is not reached: ${reason}`, {
    cause,
    remedy: `Check that the server runs and that host and port in the configuration are right: \`nc -v ${place.host} ${place.port}\`.`,
    details: { host: place.host, port: place.port },
  });
}

/** OpenSSL's verification codes: nothing else has them. */
const UNVERIFIED =
  /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|ERR_TLS_CERT|INVALID_CA|HOSTNAME_MISMATCH|INVALID_PURPOSE)/;
const CONNECTING = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
]);

function tlsFailure(place: Place, error: Error & { code?: string }): UnderstudyError {
  const code = error.code ?? '';
  if (CONNECTING.has(code)) return unreachable(place, error.message, error);
  return mailErrors.make(
    UNVERIFIED.test(code) ? 'MAIL_TLS_UNVERIFIED' : 'MAIL_TLS_FAILED',
    UNVERIFIED.test(code)
      ? `the certificate of ${place.host}:${place.port} is not verified: ${error.message}`
      : `TLS with ${place.host}:${place.port} failed: ${error.message}`,
    { cause: error, details: { host: place.host, port: place.port, reason: code } },
  );
}

async function readAuthority(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw mailErrors.make('MAIL_TLS_UNVERIFIED', `the authority's file cannot be read: ${messageOf(error)}`, {
      cause: error,
      remedy: `Check \`caFile\`: ${path}.`,
    });
  }
}
