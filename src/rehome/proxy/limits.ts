/** Bounds of the front door, so that no client and no dead server can take more than its share. Times in ms. */
export interface DoorLimits {
  /** How long a client waits while the door is held; mail clients themselves give up after a minute or so. */
  readonly heldMs: number;
  /** How long it waits for a server that does not answer, or for room below `maxConnections`. */
  readonly unansweredMs: number;
  /** Clients that wait at once, per listener. Default: as many as may be connected, for all of them come again when they are moved. */
  readonly waiting?: number;
  /** Longest attempt to open one connection to the server. */
  readonly connectMs: number;
  /** Connections to the server that are being opened at once: a server's backlog is some hundred. */
  readonly connecting: number;
  /** Pause before a server that did not answer is tried again. One client tries for all that wait. */
  readonly retryMs: number;
  /** What all waiting clients of a listener may have sent before they have a server, bytes. */
  readonly earlyBytes: number;
  /** How long a connection stays when one side has ended and the other says nothing. */
  readonly halfClosedMs: number;
  /** How long one side may refuse to take what the other sent. */
  readonly stalledMs: number;
  /** Longest silence of both. IMAP servers break theirs every few minutes, and end a session after half an hour. */
  readonly silentMs: number;
}

export const doorLimits: DoorLimits = {
  heldMs: 30_000,
  unansweredMs: 10_000,
  connectMs: 1_500,
  connecting: 128,
  retryMs: 50,
  earlyBytes: 32 * 1024 * 1024,
  halfClosedMs: 60_000,
  stalledMs: 300_000,
  silentMs: 3_600_000,
};

/** What one client may send before it has a server: a TLS ClientHello with large keys is below 2 KiB. */
export const EARLY_BYTES_EACH = 4_096;

/** How long a client that was refused or ended has to take the last bytes. */
export const FAREWELL_MS = 2_000;

/** Dead peers are noticed by TCP after this silence, and some more probes of the system. */
export const KEEPALIVE_MS = 60_000;
