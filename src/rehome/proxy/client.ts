/**
 * One client at the front door.
 *
 * | phase | meaning | left by |
 * | --- | --- | --- |
 * | waiting | accepted; what it sends is kept, a little | `connect`, `refuse`, it goes |
 * | connecting | a connection to the server is being opened | it is open: connected; it fails or is called off: waiting |
 * | connected | bytes pass, at the pace of the slower side | `end`, `cut`, either side ends |
 * | leaving | no byte passes any more; the last ones are being taken | closed |
 * | gone | both sockets are closed | |
 */
import { connect as connectTcp, type Socket } from 'node:net';
import type { ServiceName } from '../../config/index.ts';
import type { Clock } from '../../lib/index.ts';
import { EARLY_BYTES_EACH, KEEPALIVE_MS } from './limits.ts';
import { type PauseFollower, pauseFollower } from './pauses.ts';
import { type Endpoint, proxyHeader } from './proxy-protocol.ts';

/** Where a client is led. */
export interface Route {
  readonly server: string;
  readonly host: string;
  readonly port: number;
}

/** What the listener wants to know of its clients. */
export interface ClientEvents {
  readonly clock: Clock;
  early(bytes: number): void;
  passed(direction: 'fromClient' | 'toClient', bytes: number): void;
  /** Its server broke the connection off: it is leaving, and may not close by itself. */
  lost(client: Client): void;
  /** After its last phase, once. */
  gone(client: Client): void;
}

export type ClientPhase = 'waiting' | 'connecting' | 'connected' | 'leaving' | 'gone';

export class Client {
  phase: ClientPhase = 'waiting';
  /** Where it leads, or is being led. */
  route: Route | undefined;
  /** When the current phase began, monotonic ms. Retries do not begin it anew: see `waitingSinceMs`. */
  phaseSinceMs: number;
  /** When it came, or was last told to go on waiting. */
  waitingSinceMs: number;
  /** When it was first seen to lead where it must not. */
  strayingSinceMs: number | undefined;
  readonly #socket: Socket;
  readonly #events: ClientEvents;
  readonly #pauses: PauseFollower;
  #upstream: Socket | undefined;
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #clientEnded = false;
  #lastByteMs: number;

  constructor(socket: Socket, service: ServiceName, events: ClientEvents) {
    this.#socket = socket;
    this.address = socket.remoteAddress;
    this.#events = events;
    this.#pauses = pauseFollower(service);
    const now = events.clock.monotonicMs();
    this.phaseSinceMs = now;
    this.waitingSinceMs = now;
    this.#lastByteMs = now;
    // A reset is as good an end as any; `close` follows.
    socket.on('error', () => {});
    socket.on('close', () => this.#closed());
    socket.on('end', () => this.#ended());
    socket.on('data', (bytes: Buffer) => this.#fromClient(bytes));
  }

  /** Without port; undefined when it went before it was looked at. */
  readonly address: string | undefined;

  /** Keeps a client that waits from being read: its listener has kept enough already. */
  holdBack(): void {
    this.#socket.pause();
  }

  /** Opens a connection to the server. Calls back once: with nothing when bytes pass, else with the reason. */
  connect(route: Route, proxyProtocol: boolean, done: (problem: string | undefined) => void): void {
    this.#enter('connecting');
    this.route = route;
    const upstream = connectTcp({
      host: route.host,
      port: route.port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEPALIVE_MS,
    });
    this.#upstream = upstream;
    let answered = false;
    const answer = (problem: string | undefined) => {
      if (answered) return;
      answered = true;
      done(problem);
    };
    upstream.once('connect', () => {
      if (this.#upstream !== upstream) return;
      this.#pass(upstream, proxyProtocol);
      answer(undefined);
    });
    upstream.on('error', (error) => {
      answer(error.message);
    });
    upstream.once('close', (isBroken) => {
      answer('the connection was given up');
      if (this.#upstream !== upstream || this.phase !== 'connected') return;
      this.end();
      // After an orderly end both sides have said all; what is on its way to the client may take its time.
      if (isBroken) this.#events.lost(this);
    });
  }

  /** Calls off a connection that is being opened. */
  unconnect(): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    this.route = undefined;
    this.#enter('waiting');
    upstream?.destroy();
  }

  #pass(upstream: Socket, proxyProtocol: boolean): void {
    const socket = this.#socket;
    this.#enter('connected');
    this.#lastByteMs = this.phaseSinceMs;
    if (proxyProtocol) upstream.write(proxyHeader(remoteOf(socket), localOf(socket)));
    upstream.on('data', (bytes: Buffer) => this.#fromServer(bytes));
    upstream.on('end', () => socket.end());
    upstream.on('drain', () => this.#flowsAgain(socket));
    socket.on('drain', () => this.#flowsAgain(upstream));
    const early = this.#early;
    this.#dropEarly();
    let room = true;
    for (const bytes of early) room = this.#toServer(bytes);
    if (this.#clientEnded) upstream.end();
    if (room) socket.resume();
    else socket.pause();
  }

  #fromClient(bytes: Buffer): void {
    if (this.phase === 'connected') {
      if (!this.#toServer(bytes)) this.#socket.pause();
      return;
    }
    // Who leaves is not listened to, but must be read, or the system would answer its bytes with a reset.
    if (this.phase !== 'waiting' && this.phase !== 'connecting') return;
    this.#early.push(bytes);
    this.#earlyBytes += bytes.length;
    this.#events.early(bytes.length);
    if (this.#earlyBytes >= EARLY_BYTES_EACH) this.#socket.pause();
  }

  /** False when the server should take what it has first. */
  #toServer(bytes: Buffer): boolean {
    this.#lastByteMs = this.#events.clock.monotonicMs();
    this.#pauses.fromClient(bytes);
    this.#events.passed('fromClient', bytes.length);
    return this.#upstream?.write(bytes) ?? true;
  }

  #fromServer(bytes: Buffer): void {
    if (this.phase !== 'connected') return;
    this.#lastByteMs = this.#events.clock.monotonicMs();
    this.#pauses.fromServer(bytes);
    this.#events.passed('toClient', bytes.length);
    if (!this.#socket.write(bytes)) this.#upstream?.pause();
  }

  #flowsAgain(source: Socket): void {
    this.#lastByteMs = this.#events.clock.monotonicMs();
    source.resume();
  }

  #ended(): void {
    this.#clientEnded = true;
    if (this.phase === 'connected') this.#upstream?.end();
    // One that ended before it said anything has given up; one that said something may wait for the answer.
    else if (this.phase === 'leaving' || this.#earlyBytes === 0) this.cut();
  }

  /** How long nothing passed, in ms. */
  silentMs(now: number): number {
    return now - this.#lastByteMs;
  }

  /** Whether it can be ended now without cutting a command in the middle. */
  mayEnd(now: number): boolean {
    return this.silentMs(now) >= this.#pauses.silenceNeededMs();
  }

  get halfClosed(): boolean {
    return this.#clientEnded || this.#upstream?.readableEnded === true;
  }

  /** One side does not take what the other sent. */
  get stalled(): boolean {
    return this.#socket.writableNeedDrain || this.#upstream?.writableNeedDrain === true;
  }

  /** An orderly end: not one more byte passes to the server; what the server said before is still delivered. */
  end(): void {
    this.#leave('');
    this.#upstream?.end();
    this.#upstream?.destroySoon();
  }

  /** Tells a client without a server to come again. */
  refuse(words: string): void {
    this.#leave(words);
  }

  #leave(words: string): void {
    this.#enter('leaving');
    this.#dropEarly();
    // Nothing may be written, not even nothing, after an end.
    if (words === '') this.#socket.end();
    else this.#socket.end(words);
    this.#socket.resume();
  }

  /** At once, on both sides; the server is sent a reset, so that it drops what it has not read yet. */
  cut(): void {
    if (this.phase === 'gone') return;
    const { phase } = this;
    this.#enter('leaving');
    // A reset of a connection that is still being opened would wait for it.
    if (phase === 'connected') this.#upstream?.resetAndDestroy();
    else this.#upstream?.destroy();
    this.#socket.destroy();
  }

  #closed(): void {
    if (this.phase === 'gone') return;
    this.#dropEarly();
    this.phase = 'gone';
    // Nobody is left to take an answer.
    this.#upstream?.destroy();
    this.#events.gone(this);
  }

  #dropEarly(): void {
    this.#events.early(-this.#earlyBytes);
    this.#early = [];
    this.#earlyBytes = 0;
  }

  #enter(phase: ClientPhase): void {
    this.phase = phase;
    this.phaseSinceMs = this.#events.clock.monotonicMs();
  }
}

function remoteOf({ remoteAddress, remotePort }: Socket): Endpoint | undefined {
  return remoteAddress === undefined || remotePort === undefined
    ? undefined
    : { host: remoteAddress, port: remotePort };
}

function localOf({ localAddress, localPort }: Socket): Endpoint | undefined {
  return localAddress === undefined || localPort === undefined
    ? undefined
    : { host: localAddress, port: localPort };
}
