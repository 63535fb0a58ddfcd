/**
 * Rehoming: clients follow the service to another server.
 *
 * | word | meaning |
 * | --- | --- |
 * | front door | the address where clients connect; it stays when the server behind it changes |
 * | open | connections lead to the named server; those to any other one are drained, then cut |
 * | hold | new connections wait, the others are drained, then cut: none leads anywhere |
 * | closed | no connection leads anywhere: new ones are refused for now, the others are cut at once (a fence) |
 * | drain | to let connections finish what they began, for a time, before they are cut |
 *
 * A port is called by plans: they store their intent, ask `isDone`, then `run`. Every call may be repeated, also after
 * the caller or the front door was killed in the middle of it.
 */
import type { Clock, Log } from '../lib/index.ts';

export type DoorState =
  | { readonly mode: 'open'; readonly server: string }
  /** `server` is the one that the door led to, or will lead to; nothing reaches it meanwhile. */
  | { readonly mode: 'hold'; readonly server: string }
  | { readonly mode: 'closed' };

export interface RehomeOutcome {
  /** Connections that were ended between two commands; their clients come again by themselves. */
  readonly clientsMoved: number;
  /** Connections that were cut although they had something under way. */
  readonly clientsCut: number;
  readonly elapsedMs: number;
  /** What a person must do, where the adapter cannot: for the plan's report. */
  readonly left?: string;
}

/** One way by which clients follow: all proxy entries of a pair together, or one command. */
export interface Rehome {
  /** For sentences and reports: `proxy`, or `command 2: /usr/local/bin/move-vip`. */
  readonly name: string;
  readonly kind: 'proxy' | 'command';
  /** Can it hold and close? Where it cannot, those states count as done, and `run` does nothing for them. */
  readonly holds: boolean;
  /** Asks the world. Nothing when it cannot be known: a proxy that does not run, a command. */
  state(): Promise<DoorState | undefined>;
  /** Asks the world whether `want` is so, and no connection leads elsewhere any more. Changes nothing. */
  isDone(want: DoorState): Promise<boolean>;
  /** Makes it so; resolves when no connection leads elsewhere any more. May be repeated. @throws REHOME_… */
  run(want: DoorState): Promise<RehomeOutcome>;
  /** Takes back what `run` did: `to` is the state from before. May be repeated. @throws REHOME_… */
  undo(to: DoorState): Promise<RehomeOutcome>;
}

/** A command that makes sure that a server cannot serve: the `from` of its dependencies. */
export interface Fence {
  /** For sentences and reports: `fence 1: /usr/local/bin/power-off`. */
  readonly name: string;
  /** False also where there is no command to ask: `run` is then repeated. @throws REHOME_HOOK_FAILED, REHOME_HOOK_TIMEOUT, REHOME_HOOK_ABSENT */
  isDone(): Promise<boolean>;
  /** May be repeated. @throws the same */
  run(): Promise<void>;
  /** Takes `run` back, with the same environment; nothing where it is not `undoable`. @throws the same */
  undo(): Promise<void>;
  /** Whether there is a command to take it back; else a person must. */
  readonly undoable: boolean;
}

export interface RehomeDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** The module that the command line begins with: a proxy that does not run is started with it. */
  readonly entry: URL;
  /** Id of the plan, given to commands as `UNDERSTUDY_PLAN`. */
  readonly plan?: string;
  /** Ends what is under way: the wait for a proxy, a running command. */
  readonly signal?: AbortSignal;
}

/** What fences need: `from` is the server that must not serve any more, `to` the one that does instead. */
export interface FenceDeps extends Pick<RehomeDeps, 'clock' | 'log' | 'plan' | 'signal'> {
  readonly from: string;
  readonly to: string;
}

/** What a running proxy says about itself, for `status` and `check`. Counts are since it started; sizes are bytes. */
export interface ProxyStats {
  readonly pid: number;
  readonly state: DoorState;
  /** How long it is in that state. */
  readonly stateMs: number;
  readonly upMs: number;
  /** False when the state could not be written down: after a restart the proxy would be in an earlier one. */
  readonly remembered: boolean;
  /** Connections that lead to a server other than the wanted one, or anywhere while none may. */
  readonly straying: number;
  readonly listeners: readonly ListenerStats[];
}

/** One client's time without a server. */
export interface ClientOutage {
  /** Its address, without port. */
  readonly client: string;
  /** The service: `imap`, `lmtp`… */
  readonly to: string;
  /** Wall time of its begin, ms. */
  readonly at: number;
  readonly ms: number;
}

/** Outages of clients at a front door. */
export interface ClientOutages {
  readonly measured: number;
  readonly medianMs: number;
  readonly longestMs: number;
  /** Clients that were sent away or are made to wait, and have no server now. */
  readonly away: number;
  /** The longest ones, longest first. */
  readonly longest: readonly ClientOutage[];
}

export interface ListenerStats {
  /** The service: `imap`, `lmtp`… */
  readonly to: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** Clients with a connection to a server, now. */
  readonly connected: number;
  /** Clients that wait for one, now; those whose connection is being opened are among them. */
  readonly waiting: number;
  /** Connected clients by server, now. */
  readonly byServer: Readonly<Record<string, number>>;
  readonly accepted: number;
  readonly refused: number;
  /** Drained between two commands, and cut in the middle of one. */
  readonly drained: number;
  readonly cut: number;
  readonly bytesFromClients: number;
  readonly bytesToClients: number;
  /** Why the server could not be reached, while that is so. */
  readonly problem?: string;
}
