/**
 * How a proxy is told what to do: JSON lines over a Unix socket that only the owner of the data folder can open. One
 * request, one answer: `{"do": …}` → `{"ok": …}` or `{"error": …}`. Who can connect may move all clients, so
 * the folder has mode 0700 and the socket 0600.
 */
import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import {
  type Clock,
  hasCode,
  messageOf,
  reviveError,
  type SerializedError,
  UnderstudyError,
} from '../../lib/index.ts';
import { rehomeErrors } from '../errors.ts';
import type { ClientOutages, DoorState, ProxyStats } from '../types.ts';
import type { Targets } from './front-door.ts';
import type { Tally } from './listener.ts';
import { withSocketPath } from './socket-path.ts';

export type ControlRequest =
  | { readonly do: 'stats' }
  | { readonly do: 'outages'; readonly since: number; readonly before: number }
  | { readonly do: 'set'; readonly state: DoorState; readonly targets: Targets }
  | { readonly do: 'stop' };

/** What each request is answered with. */
export interface ControlAnswers {
  readonly stats: ProxyStats;
  readonly outages: ClientOutages;
  readonly set: Tally;
  readonly stop: { readonly pid: number };
}

type ControlAnswer = { readonly ok: unknown } | { readonly error: SerializedError };

/** Longest line that is taken. */
const LINE_BYTES_MOST = 65_536;

/** Answers on `path` until closed. A socket that a killed proxy left is replaced: the caller holds the lock. */
export async function serveControl(
  path: string,
  handle: (request: unknown) => Promise<unknown>,
): Promise<{ close(): Promise<void> }> {
  const peers = new Set<Socket>();
  const server: Server = createServer((peer) => {
    peers.add(peer);
    peer.on('error', () => {}); // a caller that was killed; `close` follows
    peer.on('close', () => peers.delete(peer));
    void answerLines(peer, handle);
  });
  rmSync(path, { force: true });
  await withSocketPath(path, async (address) => {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      // Nobody but the owner can enter the folder meanwhile.
      server.listen(address, resolve);
    });
    chmodSync(address, 0o600);
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          rmSync(path, { force: true });
          resolve();
        });
        for (const peer of peers) peer.destroySoon();
      }),
  };
}

async function answerLines(peer: Socket, handle: (request: unknown) => Promise<unknown>): Promise<void> {
  try {
    for await (const line of linesOf(peer)) {
      const answer = await answerTo(line, handle);
      if (!peer.writable) return;
      peer.write(`${JSON.stringify(answer)}\n`);
    }
  } catch {
    // The caller was killed or sent no lines; there is nobody to tell.
    peer.destroy();
  }
}

async function answerTo(
  line: string,
  handle: (request: unknown) => Promise<unknown>,
): Promise<ControlAnswer> {
  try {
    return { ok: (await handle(JSON.parse(line))) ?? null };
  } catch (error) {
    const told =
      error instanceof UnderstudyError
        ? error
        : rehomeErrors.make('REHOME_PROXY_REFUSED', `the front door could not do it: ${messageOf(error)}`, {
            cause: error,
          });
    return { error: told.toJSON() };
  }
}

async function* linesOf(socket: Socket): AsyncGenerator<string> {
  let text = '';
  for await (const bytes of socket) {
    text += (bytes as Buffer).toString('utf8');
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
    if (text.length > LINE_BYTES_MOST) throw new Error('a line is too long');
  }
}

export interface AskOptions {
  readonly clock: Clock;
  /** Longest wait for the answer. */
  readonly withinMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks a running proxy.
 * @throws REHOME_PROXY_NOT_RUNNING when nobody answers there, REHOME_PROXY_SILENT when it broke off or took too long, what the
 * proxy answered, and the signal's reason
 */
export async function askProxy<K extends ControlRequest['do']>(
  path: string,
  request: ControlRequest & { readonly do: K },
  options: AskOptions,
): Promise<ControlAnswers[K]> {
  options.signal?.throwIfAborted();
  const socket = await reach(path);
  const timer = new AbortController();
  let timedOut = false;
  const silent = () =>
    rehomeErrors.make(
      'REHOME_PROXY_SILENT',
      timedOut
        ? `the front door at ${path} did not answer \`${request.do}\` within ${options.withinMs / 1000} s`
        : `the front door at ${path} ended before it answered \`${request.do}\``,
      { details: { socket: path, request: request.do, brokeOff: !timedOut } },
    );
  const giveUp = () => socket.destroy();
  options.signal?.addEventListener('abort', giveUp, { once: true });
  options.clock.sleep(options.withinMs, timer.signal).then(
    () => {
      timedOut = true;
      giveUp();
    },
    () => {}, // answered in time
  );
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const line of linesOf(socket)) {
      const answer = JSON.parse(line) as ControlAnswer;
      if ('error' in answer) throw reviveError(answer.error);
      return answer.ok as ControlAnswers[K];
    }
    throw silent();
  } catch (error) {
    options.signal?.throwIfAborted();
    if (timedOut || !(error instanceof UnderstudyError)) throw silent();
    throw error;
  } finally {
    timer.abort();
    options.signal?.removeEventListener('abort', giveUp);
    socket.destroy();
  }
}

/** It ended in the middle of an answer, as one does that was killed: it can be asked or started again at once. */
export function brokeOff(error: unknown): boolean {
  return hasCode(error, 'REHOME_PROXY_SILENT') && error.details['brokeOff'] === true;
}

function reach(path: string): Promise<Socket> {
  return withSocketPath(
    path,
    (address) =>
      new Promise((resolve, reject) => {
        const socket = connect(address);
        socket.once('connect', () => resolve(socket));
        socket.on('error', (error: NodeJS.ErrnoException) =>
          reject(
            rehomeErrors.make(
              'REHOME_PROXY_NOT_RUNNING',
              `no front door answers at ${path}: ${error.message}`,
              {
                cause: error,
                details: { socket: path },
              },
            ),
          ),
        );
      }),
  ).catch((error: unknown) => {
    if (error instanceof UnderstudyError) throw error;
    // The folder of a long path is not there yet.
    throw rehomeErrors.make(
      'REHOME_PROXY_NOT_RUNNING',
      `no front door answers at ${path}: ${messageOf(error)}`,
      {
        cause: error,
        details: { socket: path },
      },
    );
  }) as Promise<Socket>;
}
