/** The service's threads as seen from its main one: what can be called in them, and the port that HTTP uses. */
import type { SerializedError } from '../lib/index.ts';
import type { PushEvent, ShadowMetrics } from '../workloads/mail/index.ts';
import type { LiveStatus } from './core.ts';
import type { Operation, OperationContext } from './operation.ts';
import type { Caller } from './rpc.ts';

/** A type alias, not an interface: only that may stand for `Methods`. */
export type ThreadMethods = {
  /** Runs an operation; `input` has been parsed. */
  operate: { params: { name: string; input: unknown }; result: unknown };
  /** Resolves after the commit that holds what the event is about. */
  push: { params: PushEvent; result: undefined };
  status: { params: undefined; result: LiveStatus };
  metrics: { params: undefined; result: ThreadMetrics };
  /** Reading thread only: brings the search index of a server up to its journal. */
  index: { params: { server: string }; result: undefined };
  /** Finishes commits, closes the vault. The thread ends after its answer. */
  stop: { params: undefined; result: undefined };
};

/** Counters since the thread started; `engine` is absent while the vault is not open. */
export interface ThreadMetrics {
  readonly engine?: ShadowMetrics;
  /** Times the vault had to be opened again. */
  readonly restarts: number;
  /** Errors that kept the vault closed or ended an engine, by code. */
  readonly errorsByCode: Readonly<Record<string, number>>;
}

/** Given to a thread at its start. Without a server it is the reading thread. */
export interface ThreadStart {
  readonly configFile: string;
  readonly server?: string;
}

/** The first message of a thread: it answers calls now, or why it will not. */
export type ThreadReady = { readonly ready: true } | { readonly error: SerializedError };

/** A thread that may be down and come back. */
export interface ServiceThread {
  readonly up: boolean;
  /** @throws API_VAULT_UNAVAILABLE while it is down, and what the method throws */
  call: Caller<ThreadMethods>['call'];
  status(): Promise<LiveStatus>;
}

/** What the HTTP interface needs of the service. */
export interface ServiceThreads {
  /** By server. */
  readonly vaults: ReadonlyMap<string, ServiceThread>;
  /** Runs an operation where it belongs. */
  operate(operation: Operation, input: unknown, context: OperationContext): Promise<unknown>;
}
