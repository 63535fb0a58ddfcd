/**
 * One entry of `rehome`: listens, leads clients to where the door's state wants them, and keeps count. The state is
 * given by the front door; nothing is decided here but who may go next.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { ListenAddress, ServiceName } from '../../config/index.ts';
import type { Clock, Log } from '../../lib/index.ts';
import type { ListenerStats } from '../types.ts';
import { Client, type ClientEvents, type Route } from './client.ts';
import { type DoorLimits, FAREWELL_MS, KEEPALIVE_MS } from './limits.ts';
import { listenError } from './listen-error.ts';
import { Outages } from './outages.ts';
import { temporaryRefusal } from './refusals.ts';

export interface ListenerOptions {
  readonly listen: ListenAddress;
  readonly to: ServiceName;
  readonly proxyProtocol: boolean;
  readonly maxConnections: number;
  /** ms */
  readonly drain: number;
  readonly limits: DoorLimits;
  readonly clock: Clock;
  readonly log: Log;
}

/** The door's state, as one listener needs it. */
export type Course =
  | { readonly mode: 'open'; readonly route: Route }
  | { readonly mode: 'hold' }
  | { readonly mode: 'closed' };

export interface Tally {
  readonly drained: number;
  readonly cut: number;
}

const BACKLOG = 4_096;
/** Clients that are refused and have not closed yet; more of them are cut without a word. */
const LEAVING_MOST = 2_000;
/** How often a drain looks for pauses. */
const DRAIN_LOOK_MS = 10;
/** So many are ended before new clients are looked at again. */
const BATCH = 32;
/** A server that does not answer is logged once, then at most so often. */
const COMPLAIN_EVERY_MS = 30_000;

export class DoorListener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #waiting = new Set<Client>();
  readonly #connecting = new Set<Client>();
  readonly #connected = new Set<Client>();
  readonly #leaving = new Set<Client>();
  readonly #events: ClientEvents;
  /** Of its clients. */
  readonly outages: Outages;
  #course: Course = { mode: 'closed' };
  #earlyBytes = 0;
  /** Why the server could not be reached, and when it may be tried again. */
  #problem: string | undefined;
  #retryAtMs = 0;
  #complainedMs = Number.NEGATIVE_INFINITY;
  #accepted = 0;
  #refused = 0;
  #drained = 0;
  #cut = 0;
  #bytesFromClients = 0;
  #bytesToClients = 0;

  constructor(options: ListenerOptions, course: Course) {
    this.#options = options;
    this.#course = course;
    this.outages = new Outages(options.to, options.clock);
    this.#events = {
      clock: options.clock,
      early: (bytes) => {
        this.#earlyBytes += bytes;
      },
      passed: (direction, bytes) => {
        if (direction === 'fromClient') this.#bytesFromClients += bytes;
        else this.#bytesToClients += bytes;
      },
      lost: (client) => this.#lost(client),
      gone: (client) => this.#gone(client),
    };
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS },
      (socket) => this.#accept(socket),
    );
  }

  /** @throws REHOME_PORT_IN_USE, REHOME_PORT_DENIED, REHOME_ADDRESS_ABSENT, REHOME_LISTEN_FAILED */
  async listen(): Promise<void> {
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) =>
        reject(listenError(error, this.#options.listen)),
      );
      this.#server.listen({ host, port, backlog: BACKLOG }, resolve);
    });
    this.#server.removeAllListeners('error');
    // No more descriptors, as a rule: clients wait in the backlog until some are free.
    this.#server.on('error', (err) =>
      this.#options.log.error({ err, to: this.#options.to }, 'a client could not be accepted'),
    );
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : this.#options.listen.port;
  }

  #accept(socket: Socket): void {
    this.#accepted += 1;
    const client = new Client(socket, this.#options.to, this.#events);
    const { limits, maxConnections } = this.#options;
    if (this.#course.mode === 'closed' || this.#waiting.size >= (limits.waiting ?? maxConnections)) {
      this.#refuse(client);
      return;
    }
    if (this.#earlyBytes >= this.#options.limits.earlyBytes) client.holdBack();
    this.#waiting.add(client);
    if (this.#course.mode !== 'open') this.outages.begins(client.address);
    this.#lead();
  }

  /** Opens connections for those that wait, as many as may be. */
  #lead(): void {
    const course = this.#course;
    const { limits, clock, maxConnections } = this.#options;
    if (course.mode !== 'open' || this.#waiting.size === 0) return;
    // Where the server does not answer, one tries for all.
    const atOnce = this.#problem === undefined ? limits.connecting : 1;
    if (this.#problem !== undefined && clock.monotonicMs() < this.#retryAtMs) return;
    for (const client of this.#waiting) {
      if (this.#connecting.size >= atOnce) return;
      if (this.#connecting.size + this.#connected.size >= maxConnections) return;
      this.#open(client, course.route);
    }
  }

  #open(client: Client, route: Route): void {
    this.#waiting.delete(client);
    this.#connecting.add(client);
    client.connect(route, this.#options.proxyProtocol, (problem) => {
      // Called off, or the client went.
      if (!this.#connecting.delete(client) || client.phase === 'leaving') return;
      if (problem !== undefined) {
        this.#unanswered(client, route, problem);
        return;
      }
      this.#connected.add(client);
      this.outages.ends(client.address);
      if (this.#problem !== undefined) {
        this.#options.log.info({ to: this.#options.to, ...route }, 'the server answers again');
        this.#problem = undefined;
      }
      this.#lead();
    });
  }

  #unanswered(client: Client, route: Route, problem: string): void {
    const { limits, clock, log, to } = this.#options;
    this.#problem = problem;
    this.#retryAtMs = clock.monotonicMs() + limits.retryMs;
    if (clock.monotonicMs() - this.#complainedMs >= COMPLAIN_EVERY_MS) {
      this.#complainedMs = clock.monotonicMs();
      log.warn({ to, ...route, problem }, 'the server does not answer; clients wait');
    }
    client.unconnect();
    this.#waiting.add(client);
    this.outages.begins(client.address);
  }

  /** From here on it is watched as those are that were ended by us: it may never close. */
  #lost(client: Client): void {
    if (!this.#connected.delete(client)) return;
    this.outages.begins(client.address);
    this.#leaving.add(client);
    this.#lead();
  }

  #gone(client: Client): void {
    for (const set of [this.#waiting, this.#connecting, this.#connected, this.#leaving]) set.delete(client);
    this.#lead();
  }

  #refuse(client: Client): void {
    this.#refused += 1;
    this.outages.begins(client.address);
    this.#waiting.delete(client);
    if (this.#leaving.size >= LEAVING_MOST) {
      client.cut();
      return;
    }
    this.#leaving.add(client);
    client.refuse(temporaryRefusal[this.#options.to]);
  }

  /**
   * Takes another course, at once: from here on no client is led elsewhere, and `settle` ends those that are. Closed,
   * all that lead anywhere are cut before this returns.
   */
  steer(course: Course): Tally {
    this.#course = course;
    this.#problem = undefined;
    const now = this.#options.clock.monotonicMs();
    for (const client of [...this.#connecting]) {
      if (this.#fits(client)) continue;
      this.#connecting.delete(client);
      client.unconnect();
      this.#waiting.add(client);
    }
    for (const client of this.#waiting) {
      client.waitingSinceMs = now;
      if (course.mode !== 'open') this.outages.begins(client.address);
    }
    if (course.mode === 'closed') {
      const strays = [...this.#connected];
      for (const client of strays) {
        this.outages.begins(client.address);
        this.#cutOff(client);
      }
      for (const client of [...this.#waiting]) this.#refuse(client);
      return { drained: 0, cut: strays.length };
    }
    this.#lead();
    return { drained: 0, cut: 0 };
  }

  /** Resolves when no client leads where it must not: ended in a pause, or cut at the end of the drain. */
  async settle(): Promise<Tally> {
    let drained = 0;
    let cut = 0;
    for (;;) {
      for (const some of batches([...this.#connected])) {
        const tally = this.#endStrays(some);
        drained += tally.drained;
        cut += tally.cut;
        // Who comes now is not kept waiting by thousands that go.
        if (tally.drained + tally.cut > 0) await nextTurn();
      }
      if (this.straying === 0) return { drained, cut };
      await this.#options.clock.sleep(DRAIN_LOOK_MS);
    }
  }

  #endStrays(clients: readonly Client[]): Tally {
    const now = this.#options.clock.monotonicMs();
    let drained = 0;
    let cut = 0;
    for (const client of clients) {
      // It went while others were looked at.
      if (!this.#connected.has(client)) continue;
      if (this.#fits(client)) {
        client.strayingSinceMs = undefined;
        continue;
      }
      client.strayingSinceMs ??= now;
      if (client.mayEnd(now)) {
        drained += 1;
        this.#drained += 1;
        this.outages.begins(client.address);
        this.#connected.delete(client);
        this.#leaving.add(client);
        client.end();
      } else if (now - client.strayingSinceMs >= this.#options.drain) {
        cut += 1;
        this.outages.begins(client.address);
        this.#cutOff(client);
      }
    }
    return { drained, cut };
  }

  #cutOff(client: Client): void {
    this.#cut += 1;
    this.#connected.delete(client);
    client.cut();
  }

  #fits(client: Client): boolean {
    const course = this.#course;
    if (course.mode !== 'open') return false;
    const { route } = client;
    return (
      route?.server === course.route.server &&
      route.host === course.route.host &&
      route.port === course.route.port
    );
  }

  /** Clients that lead where they must not. */
  get straying(): number {
    let strays = 0;
    for (const client of this.#connected) if (!this.#fits(client)) strays += 1;
    return strays;
  }

  /** Enforces the limits of time; called every `TICK_MS`. */
  tick(): void {
    const { limits, clock } = this.#options;
    const now = clock.monotonicMs();
    for (const client of [...this.#connecting]) {
      if (now - client.phaseSinceMs < limits.connectMs) continue;
      this.#connecting.delete(client);
      this.#unanswered(client, client.route as Route, `no answer within ${limits.connectMs} ms`);
    }
    const patience = this.#course.mode === 'hold' ? limits.heldMs : limits.unansweredMs;
    for (const client of [...this.#waiting]) {
      if (now - client.waitingSinceMs >= patience) this.#refuse(client);
    }
    for (const client of [...this.#leaving]) {
      if (now - client.phaseSinceMs >= FAREWELL_MS) client.cut();
    }
    this.#lead();
  }

  /** Cuts connections that nobody uses any more; called now and then. */
  sweep(): void {
    const { limits, clock } = this.#options;
    const now = clock.monotonicMs();
    for (const client of [...this.#connected]) {
      const longest = client.halfClosed
        ? limits.halfClosedMs
        : client.stalled
          ? limits.stalledMs
          : limits.silentMs;
      if (client.silentMs(now) >= longest) this.#cutOff(client);
    }
  }

  /** Accepts nobody any more; those that are there stay. */
  stopListening(): void {
    if (this.#server.listening) this.#server.close();
  }

  /** Cuts all. */
  close(): void {
    this.stopListening();
    for (const set of [this.#waiting, this.#connecting, this.#connected, this.#leaving]) {
      for (const client of [...set]) client.cut();
    }
  }

  stats(): ListenerStats {
    const byServer: Record<string, number> = {};
    for (const { route } of this.#connected) {
      if (route !== undefined) byServer[route.server] = (byServer[route.server] ?? 0) + 1;
    }
    return {
      to: this.#options.to,
      listen: { host: this.#options.listen.host, port: this.port },
      connected: this.#connected.size,
      waiting: this.#waiting.size + this.#connecting.size,
      byServer,
      accepted: this.#accepted,
      refused: this.#refused,
      drained: this.#drained,
      cut: this.#cut,
      bytesFromClients: this.#bytesFromClients,
      bytesToClients: this.#bytesToClients,
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
    };
  }
}

function* batches(clients: readonly Client[]): Generator<readonly Client[]> {
  for (let at = 0; at < clients.length; at += BATCH) yield clients.slice(at, at + BATCH);
}

/** After the sockets that have something to say now. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
