/**
 * The load of real clients. A *client* is a person's mail program: it follows one account over IMAP, reads, flags and files. An *MTA* delivers
 * to the same accounts over LMTP and tries again what was put off. Both connect to one address for all their life, and connect
 * again when they are cut off, as real ones do. Times are of the load's monotonic clock, in milliseconds.
 */

export interface Place {
  readonly host: string;
  readonly port: number;
}

export interface LoadOptions {
  /** Where clients connect: a server, or a front door. */
  readonly imap: Place;
  /** Where mail is delivered; without it nobody receives. */
  readonly lmtp?: Place;
  readonly accounts: readonly string[];
  readonly passwordOf: (account: string) => string;
  /** Default: 12; the accounts are given out in turn. */
  readonly clients?: number;
  /** Pause of a client between two things it does. Default: 100. */
  readonly everyMs?: number;
  /** Deliveries per second in all. Default: 10. */
  readonly deliveriesPerSecond?: number;
  /** Longest silence that a client bears before it connects again. Default: 10,000. */
  readonly patienceMs?: number;
  /** Pause before a client that was refused tries again, grown by half each time up to four times this. Default: 50. */
  readonly retryMs?: number;
  /** Where clients file. Default: Archive. */
  readonly fileInto?: string;
  readonly seed?: string;
}

/** Mail that was sent, and what the server said. */
export interface LedgerDelivery {
  readonly account: string;
  readonly messageId: string;
  readonly sentAtMs: number;
  /** When the 250 came; absent while it has not. */
  readonly acknowledgedAtMs?: number;
  /** Tries whose answer never came: the message may be there once more for each. */
  readonly uncertain: number;
  /** The server's last words, of one that was given up. */
  readonly refused?: string;
}

/** A change that the server said OK to; `uncertain` when the connection ended before it could. */
export interface LedgerChange {
  readonly account: string;
  readonly messageId: string;
  readonly what: 'flag' | 'file';
  /** The flag set, or the mailbox moved to. */
  readonly value: string;
  readonly acknowledgedAtMs: number;
  readonly uncertain: boolean;
}

export interface ClientOutage {
  /** `imap 3 user0003`, `lmtp`. */
  readonly client: string;
  readonly protocol: 'imap' | 'lmtp';
  /** Longest gap between two successes of which any part lies in the window asked for. */
  readonly outageMs: number;
  readonly fromMs: number;
  /** Absent: it has not ended. */
  readonly toMs?: number;
  /** Times that it connected anew in the window. */
  readonly reconnects: number;
  /** Last words of what failed in the window. */
  readonly lastError?: string;
}

/** Something that a client with a cache would suffer from, by its own eyes. */
export interface Surprise {
  readonly client: string;
  readonly account: string;
  readonly atMs: number;
  /**
   * uidvalidity: the mailbox is another one, all is downloaded again; changed-uid: a UID names another message than before;
   * again: a message that it had downloaded came under another UID; backwards: UIDNEXT fell.
   */
  readonly what: 'uidvalidity' | 'changed-uid' | 'again' | 'backwards';
  readonly detail: string;
}

export interface LoadCounts {
  readonly delivered: number;
  readonly read: number;
  readonly flagged: number;
  readonly filed: number;
  readonly reconnects: number;
  /** Things that failed, connects not counted. */
  readonly interrupted: number;
}

/** What a ledger says and a server does not hold. All empty = nothing was lost, nothing doubled. */
export interface LedgerReport {
  readonly acknowledged: number;
  readonly changes: number;
  readonly lost: readonly LedgerDelivery[];
  /** There more often than its tries explain. */
  readonly doubled: readonly {
    readonly account: string;
    readonly messageId: string;
    readonly copies: number;
  }[];
  readonly flagsLost: readonly LedgerChange[];
  /** Filed, and not where it was filed to. */
  readonly filingsLost: readonly LedgerChange[];
}
