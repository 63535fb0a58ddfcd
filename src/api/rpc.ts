/**
 * Calls between threads over a MessagePort. A call gives any number of progress messages and then one result or
 * one error; the caller may abort it. Values are structured clones, errors travel as `SerializedError`.
 *
 *   caller → { id, method, params } · { id, abort: true }
 *   callee → { id, progress } · { id, result } · { id, error }
 */
import { type Progress, type ProgressListener, reviveError, type SerializedError } from '../lib/index.ts';
import { asOperatingError } from './defects.ts';
import { apiErrors } from './errors.ts';

/** The methods of a callee: name → parameters and result. */
export type Methods = Record<string, { params: unknown; result: unknown }>;

interface CallOptions {
  readonly progress?: ProgressListener;
  readonly signal?: AbortSignal;
}

export type Handlers<M extends Methods> = {
  readonly [K in keyof M]: (
    params: M[K]['params'],
    options: { readonly progress: ProgressListener; readonly signal: AbortSignal },
  ) => Promise<M[K]['result']> | M[K]['result'];
};

/** A MessagePort, or the Worker at its other end. */
interface Port {
  postMessage(value: unknown): void;
  on(event: 'message', listener: (value: unknown) => void): unknown;
}
type Call = { id: number; method: string; params: unknown } | { id: number; abort: true };
type Answer = { id: number } & ({ progress: Progress } | { result: unknown } | { error: SerializedError });

/** Answers the calls that come in on `port`, any number at a time. */
export function answerCalls<M extends Methods>(port: Port, handlers: Handlers<M>): void {
  const running = new Map<number, AbortController>();

  const answer = async (id: number, method: string, params: unknown): Promise<void> => {
    const controller = new AbortController();
    running.set(id, controller);
    const reply = (rest: object) => port.postMessage({ id, ...rest });
    try {
      const handler = handlers[method as keyof M];
      const result = await handler(params as never, {
        progress: (progress) => reply({ progress }),
        signal: controller.signal,
      });
      reply({ result });
    } catch (error) {
      reply({ error: asOperatingError(error).toJSON() });
    } finally {
      running.delete(id);
    }
  };

  port.on('message', (message) => {
    const call = message as Call;
    if ('abort' in call) {
      running.get(call.id)?.abort(apiErrors.make('API_INTERRUPTED', 'interrupted by the caller'));
    } else void answer(call.id, call.method, call.params);
  });
}

interface PendingCall {
  resolve(result: never): void;
  reject(error: unknown): void;
  readonly progress: ProgressListener | undefined;
  readonly stopListening: () => void;
}

/** The caller's side of one port. */
export class Caller<M extends Methods> {
  readonly #port: Port;
  readonly #pending = new Map<number, PendingCall>();
  #lastId = 0;
  #closed: Error | undefined;

  constructor(port: Port) {
    this.#port = port;
    port.on('message', (answer) => this.#settle(answer as Answer));
  }

  /** Rejects with the callee's error, revived; an aborted signal asks the callee to end and still waits for it. */
  call<K extends keyof M & string>(
    method: K,
    params: M[K]['params'],
    options: CallOptions = {},
  ): Promise<M[K]['result']> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const abort = () => this.#port.postMessage({ id, abort: true });
      const { signal, progress } = options;
      const stopListening = () => signal?.removeEventListener('abort', abort);
      this.#pending.set(id, { resolve, reject, progress, stopListening });
      this.#port.postMessage({ id, method, params });
      if (signal?.aborted) abort();
      else signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** Rejects every call under way and every later one with `error`: the callee is gone. */
  close(error: Error): void {
    this.#closed ??= error;
    for (const call of this.#pending.values()) {
      call.stopListening();
      call.reject(error);
    }
    this.#pending.clear();
  }

  #settle(answer: Answer): void {
    const call = this.#pending.get(answer.id);
    if (call === undefined) return;
    if ('progress' in answer) {
      call.progress?.(answer.progress);
      return;
    }
    this.#pending.delete(answer.id);
    call.stopListening();
    if ('error' in answer) call.reject(reviveError(answer.error));
    else call.resolve(answer.result as never);
  }
}
