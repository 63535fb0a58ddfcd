/** The main thread's side of one service thread: starts it, calls it, and starts it again when it died. */
import { Worker } from 'node:worker_threads';
import { type Clock, type Log, reviveError, type UnderstudyError } from '../../lib/index.ts';
import type { LiveStatus } from '../core.ts';
import { asOperatingError } from '../defects.ts';
import { apiErrors } from '../errors.ts';
import { Caller } from '../rpc.ts';
import type { ThreadMethods, ThreadReady, ThreadStart } from '../threads.ts';

/** A larger nursery would not make a thread faster, but a baseline fills whatever it is given. */
const YOUNG_GENERATION_MB = 6;

const RESTART_PAUSE_MS = 5_000;

export interface ThreadOptions {
  /** The module that runs `runServiceThread` when it is not the main thread: main.ts. */
  readonly entry: URL;
  readonly start: ThreadStart;
  readonly clock: Clock;
  readonly log: Log;
}

export class ThreadHost {
  readonly #options: ThreadOptions;
  readonly #stopping = new AbortController();
  #caller: Caller<ThreadMethods> | undefined;
  #died: UnderstudyError | undefined;
  #exited: Promise<void> = Promise.resolve();

  private constructor(options: ThreadOptions) {
    this.#options = options;
  }

  /** Resolves when the thread answers calls; rejects with its own error when it cannot start. */
  static async start(options: ThreadOptions): Promise<ThreadHost> {
    const host = new ThreadHost(options);
    await host.#spawn();
    return host;
  }

  /** @throws API_VAULT_UNAVAILABLE while the thread is down, and what the method throws */
  call<K extends keyof ThreadMethods & string>(
    method: K,
    params: ThreadMethods[K]['params'],
    options: Parameters<Caller<ThreadMethods>['call']>[2] = {},
  ): Promise<ThreadMethods[K]['result']> {
    if (this.#caller === undefined) return Promise.reject(this.#downError());
    return this.#caller.call(method, params, options);
  }

  get up(): boolean {
    return this.#caller !== undefined;
  }

  async status(): Promise<LiveStatus> {
    try {
      return await this.call('status', undefined);
    } catch (error) {
      const { code, message, remedy } = asOperatingError(error);
      return { phase: 'down', problem: { code, message, remedy } };
    }
  }

  /** Lets the thread finish what it commits, and waits until it has ended. May be called twice. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    try {
      await this.#caller?.call('stop', undefined);
    } catch (error) {
      this.#options.log.warn({ err: error, ...this.#options.start }, 'a thread did not stop cleanly');
    }
    await this.#exited;
  }

  async #spawn(): Promise<void> {
    const worker = new Worker(this.#options.entry, {
      workerData: this.#options.start,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    const { promise: exited, resolve: exit } = Promise.withResolvers<void>();
    this.#exited = exited;
    let thrown: unknown;
    worker.on('error', (error) => {
      thrown = error;
    });
    const ready = new Promise<void>((resolve, reject) => {
      worker.once('message', (message: ThreadReady) =>
        'error' in message ? reject(reviveError(message.error)) : resolve(),
      );
      worker.once('exit', () => reject(thrown ?? new Error('the thread ended before it was ready')));
    });
    const caller = new Caller<ThreadMethods>(worker);
    worker.once('exit', () => {
      exit();
      caller.close(this.#downError());
      if (this.#caller !== caller) return;
      this.#caller = undefined;
      if (!this.#stopping.signal.aborted) void this.#restart(thrown);
    });
    await ready;
    this.#caller = caller;
    // `stop` did not find it yet, and waits for its end.
    if (this.#stopping.signal.aborted) await caller.call('stop', undefined);
  }

  async #restart(thrown: unknown): Promise<void> {
    const { clock, log, start } = this.#options;
    this.#died = asOperatingError(thrown ?? new Error('the thread ended'));
    log.error({ err: this.#died, ...start }, 'a thread died; it is started again');
    while (!this.#stopping.signal.aborted) {
      try {
        await clock.sleep(RESTART_PAUSE_MS, this.#stopping.signal);
        await this.#spawn();
        return;
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        this.#died = asOperatingError(error);
        log.error({ err: this.#died, ...start }, 'the thread could not be started again');
      }
    }
  }

  #downError(): UnderstudyError {
    const { start } = this.#options;
    const why = this.#died === undefined ? 'it has ended' : `${this.#died.code}: ${this.#died.message}`;
    return apiErrors.make(
      'API_VAULT_UNAVAILABLE',
      `the thread of ${start.server ?? start.warm?.pair ?? 'the readers'} is down: ${why}`,
    );
  }
}
