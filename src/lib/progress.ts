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
  /** Of a plan: a step begins, ends, or notes something; a line of its own rather than a figure. */
  readonly step?: {
    readonly sentence: string;
    readonly state: 'begins' | 'done' | 'already' | 'failed' | 'note';
    readonly durationMs?: number;
  };
}

export type ProgressListener = (progress: Progress) => void;
