/** What long work reports while it runs; text and JSON printers render it. Totals are absent while unknown. */
export interface Progress {
  /** The operation's own word for what it does now: `baseline`, `index`, `restore`, `verify`. */
  readonly phase: string;
  readonly server?: string;
  readonly account?: string;
  readonly mailbox?: string;
  readonly accountsDone?: number;
  readonly accountsTotal?: number;
  readonly messagesDone?: number;
  readonly messagesTotal?: number;
  readonly bytesDone?: number;
  readonly bytesTotal?: number;
  readonly elapsedMs?: number;
  /** Estimated remaining time, from the rate so far. */
  readonly etaMs?: number;
}

export type ProgressListener = (progress: Progress) => void;
