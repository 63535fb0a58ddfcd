/** The service's threads as seen from its main one: what can be called in them, and the port that HTTP uses. */

import type { Lsn } from '../journal/index.ts';
import type { SerializedError } from '../lib/index.ts';
import type { PushAnswer, PushEvent, ShadowMetrics } from '../workloads/mail/index.ts';
import type { HeldBurst, WarmMetrics, WarmStatus } from '../workloads/mail/warm/index.ts';
import type { LiveStatus, WarmLive, WarmPair } from './core.ts';
import type { Operation, OperationContext } from './operation.ts';
import type { Caller } from './rpc.ts';

/** A type alias, not an interface: only that may stand for `Methods`. */
export type ThreadMethods = {
  /** Runs an operation; `input` has been parsed. */
  operate: { params: { name: string; input: unknown }; result: unknown };
  /** Resolves after the commit that holds what the event is about, or says that it does not yet. */
  push: { params: PushEvent; result: PushAnswer };
  status: { params: undefined; result: LiveStatus };
  metrics: { params: undefined; result: ThreadMetrics };
  /** Reading thread only: brings the search index of a server up to its journal. */
  index: { params: { server: string }; result: undefined };
  /** Threads of warm standbys only, as the next four. */
  warmStatus: { params: undefined; result: WarmLive };
  warmMetrics: { params: undefined; result: WarmThreadMetrics };
  /** Resolves when everything up to `lsn` is on the standby, what is held apart. */
  warmCaughtUp: { params: { lsn: Lsn }; result: undefined };
  warmLook: { params: { accounts: readonly string[] }; result: undefined };
  warmAccept: { params: { account?: string }; result: readonly HeldBurst[] };
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

/** As `ThreadMetrics`; `status` and `engine` are absent while the vault cannot be read. */
export interface WarmThreadMetrics {
  readonly status?: WarmStatus;
  readonly engine?: WarmMetrics;
  readonly restarts: number;
  readonly errorsByCode: Readonly<Record<string, number>>;
}

/** Given to a thread at its start: a vault's, one of a warm standby, or (neither) the reading thread. */
export interface ThreadStart {
  readonly configFile: string;
  readonly server?: string;
  /** A vault's: only these accounts of the server are followed. */
  readonly accounts?: readonly string[];
  readonly warm?: WarmPair;
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
  /** By pair: the figures of the warm standbys. */
  warmMetrics?(): Promise<ReadonlyMap<string, WarmThreadMetrics>>;
  /** Runs an operation where it belongs. */
  operate(operation: Operation, input: unknown, context: OperationContext): Promise<unknown>;
}
