/**
 * The front door of a pair: its listeners and the state that they share.
 *
 * | state | new clients | clients that lead elsewhere | left by |
 * | --- | --- | --- | --- |
 * | open | to the server | ended in their next pause, at the latest after `drain` | `set` |
 * | hold | wait, for 30 s at most | the same; elsewhere is anywhere | `set` |
 * | closed | are refused for now | cut at once | `set` |
 *
 * A new state is written down before it is acted on, so that a door that is killed and started again never leads to a
 * server that was fenced. One exception: a door that must not lead somewhere any more closes or holds also when
 * that cannot be written down, and says so.
 */
import { crashPoint, invariant, type Log, messageOf } from '../../lib/index.ts';
import { rehomeErrors } from '../errors.ts';
import type { ClientOutages, DoorState, ListenerStats } from '../types.ts';
import type { Route } from './client.ts';
import type { DoorLimits } from './limits.ts';
import { type Course, DoorListener, type ListenerOptions, type Tally } from './listener.ts';
import { sumOfOutages } from './outages.ts';

/** The addresses of a server's services: `{ imap: { host, port } }`. */
export type Targets = Readonly<Record<string, { readonly host: string; readonly port: number }>>;

export interface FrontDoorOptions {
  readonly entries: readonly Omit<ListenerOptions, 'limits' | 'clock' | 'log'>[];
  readonly limits: DoorLimits;
  readonly clock: ListenerOptions['clock'];
  readonly log: Log;
  /** The state to begin with, and where it leads. */
  readonly initial: DoorState;
  readonly targets: Targets;
  /** Writes a state down; durable when it resolves. */
  remember(state: DoorState): Promise<void>;
}

const TICK_MS = 50;
const SWEEP_EVERY_TICKS = 100;

export class FrontDoor {
  readonly #options: FrontDoorOptions;
  readonly #listeners: readonly DoorListener[];
  readonly #startedMs: number;
  readonly #ending = new AbortController();
  #state: DoorState;
  #stateSinceMs: number;
  #remembered = true;
  /** Counts calls of `set`: an earlier one must not act after a later one. */
  #orders = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: FrontDoorOptions) {
    const { clock, limits, initial, targets } = options;
    this.#options = options;
    this.#state = initial;
    this.#startedMs = clock.monotonicMs();
    this.#stateSinceMs = this.#startedMs;
    this.#listeners = options.entries.map(
      (entry) =>
        new DoorListener({ ...entry, limits, clock, log: options.log }, courseOf(initial, entry.to, targets)),
    );
  }

  /** @throws REHOME_PORT_IN_USE, REHOME_PORT_DENIED, REHOME_ADDRESS_ABSENT, REHOME_LISTEN_FAILED; nothing listens then */
  async listen(): Promise<void> {
    try {
      for (const listener of this.#listeners) await listener.listen();
    } catch (error) {
      this.close();
      throw error;
    }
    void this.#tick();
  }

  async #tick(): Promise<void> {
    const { clock } = this.#options;
    for (let ticks = 1; !this.#ending.signal.aborted; ticks += 1) {
      await clock.sleep(TICK_MS, this.#ending.signal).catch(() => {});
      for (const listener of this.#listeners) {
        listener.tick();
        if (ticks % SWEEP_EVERY_TICKS === 0) listener.sweep();
      }
    }
  }

  get state(): DoorState {
    return this.#state;
  }

  /**
   * Takes a state; resolves when no client leads elsewhere any more. New clients follow it from the moment it is written
   * down. May be repeated. @throws REHOME_STATE_NOT_KEPT, REHOME_OVERTAKEN when a later order came meanwhile
   */
  async set(state: DoorState, targets: Targets): Promise<Tally> {
    this.#orders += 1;
    const order = this.#orders;
    const courses = this.#listeners.map((_, at) =>
      courseOf(state, this.#options.entries[at]?.to ?? '', targets),
    );
    const failure = await this.#write(state, order);
    // Opening is what must not be forgotten: after a restart the door would lead to the earlier server.
    if (failure !== undefined && state.mode === 'open') throw notKept(failure);
    this.#stillCounts(order, state);
    crashPoint('rehome.proxy.remembered');
    if (!sameState(this.#state, state)) this.#stateSinceMs = this.#options.clock.monotonicMs();
    this.#state = state;
    const steered = this.#listeners.map((listener, at) => listener.steer(courses[at] as Course));
    this.#options.log.info({ state }, 'the front door has a new state');
    crashPoint('rehome.proxy.steered');
    const settled = await Promise.all(this.#listeners.map((listener) => listener.settle()));
    const tally = sumOf([...steered, ...settled]);
    this.#stillCounts(order, state);
    this.#options.log.info({ state, ...tally }, 'no client leads elsewhere any more');
    if (failure !== undefined) throw notKept(failure);
    return tally;
  }

  /** @throws REHOME_OVERTAKEN */
  #stillCounts(order: number, state: DoorState): void {
    if (order === this.#orders) return;
    throw rehomeErrors.make(
      'REHOME_OVERTAKEN',
      `the front door was told something else before it was ${state.mode}; its state is now: ${JSON.stringify(this.#state)}`,
      { details: { wanted: state, state: this.#state } },
    );
  }

  /** One after the other; an order that a later one has overtaken is not written. */
  async #write(state: DoorState, order: number): Promise<unknown> {
    let failure: unknown;
    const written = this.#writing.then(async () => {
      if (order !== this.#orders) return;
      try {
        await this.#options.remember(state);
        this.#remembered = true;
      } catch (error) {
        failure = error;
        this.#remembered = false;
        this.#options.log.error(
          { err: error, state },
          'the state of the front door could not be written down',
        );
      }
    });
    // Whatever becomes of this one, the next is written.
    this.#writing = written.catch(() => {});
    await written;
    return failure;
  }

  stats(): {
    upMs: number;
    stateMs: number;
    remembered: boolean;
    straying: number;
    listeners: ListenerStats[];
  } {
    const now = this.#options.clock.monotonicMs();
    return {
      upMs: Math.round(now - this.#startedMs),
      stateMs: Math.round(now - this.#stateSinceMs),
      remembered: this.#remembered,
      straying: this.#listeners.reduce((total, listener) => total + listener.straying, 0),
      listeners: this.#listeners.map((listener) => listener.stats()),
    };
  }

  /** Outages of clients that ended since `since` and began at `before` at the latest; wall times, ms. */
  outages(since: number, before: number): ClientOutages {
    return sumOfOutages(
      this.#listeners.map(({ outages }) => outages.since(since)),
      before,
    );
  }

  /** An orderly end: accepts nobody any more, ends clients in their pauses, then cuts. Not written down. */
  async drain(): Promise<Tally> {
    this.#orders += 1;
    for (const listener of this.#listeners) listener.stopListening();
    const steered = this.#listeners.map((listener) => listener.steer({ mode: 'hold' }));
    const settled = await Promise.all(this.#listeners.map((listener) => listener.settle()));
    this.close();
    return sumOf([...steered, ...settled]);
  }

  close(): void {
    this.#ending.abort();
    for (const listener of this.#listeners) listener.close();
  }
}

export function sameState(a: DoorState, b: DoorState): boolean {
  if (a.mode === 'closed' || b.mode === 'closed') return a.mode === b.mode;
  return a.mode === b.mode && a.server === b.server;
}

function courseOf(state: DoorState, service: string, targets: Targets): Course {
  if (state.mode !== 'open') return { mode: state.mode };
  const target = targets[service];
  invariant(target !== undefined, `a target for ${service}`);
  const route: Route = { server: state.server, host: target.host, port: target.port };
  return { mode: 'open', route };
}

function sumOf(tallies: readonly Tally[]): Tally {
  return {
    drained: tallies.reduce((total, { drained }) => total + drained, 0),
    cut: tallies.reduce((total, { cut }) => total + cut, 0),
  };
}

function notKept(failure: unknown) {
  return rehomeErrors.make(
    'REHOME_STATE_NOT_KEPT',
    `the state of the front door could not be written down: ${messageOf(failure)}`,
    { cause: failure },
  );
}
