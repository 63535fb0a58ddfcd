/** What a probe of a mail server needs and tells. */
import type { Clock, Log } from '../../../lib/index.ts';

export interface ProbeOptions {
  /** Who is logged in. */
  readonly account: string;
  /** Its own password; without it the server's master user acts for it. */
  readonly secret?: string;
  /**
   * Also writes: a message in a mailbox of the probe's own, which is deleted after, and with `lmtpPort` a delivery. For an account
   * that is kept for it. Default: reads only.
   */
  readonly write?: boolean;
  /** Where the server takes deliveries; with `write` one is made, awaited over IMAP and removed. */
  readonly lmtpPort?: number;
  /** Recipient of the delivery, where that is not the account's name. */
  readonly recipient?: string;
  /** Longest wait for each answer, and for the delivery to arrive. Default: 10,000. */
  readonly timeoutMs?: number;
  /** Probe another address than the server's own: the front door. */
  readonly through?: { readonly host: string; readonly imapPort?: number; readonly lmtpPort?: number };
  readonly clock: Clock;
  readonly log?: Log;
  readonly signal?: AbortSignal;
}

export type ProbeStepName = 'login' | 'open' | 'read' | 'append' | 'remove' | 'deliver' | 'arrive' | 'tidy';

export interface ProbeStep {
  readonly name: ProbeStepName;
  /** `skipped`: not asked for, or something before it failed. */
  readonly state: 'done' | 'failed' | 'skipped';
  readonly ms: number;
  /** What was seen, or why it was skipped. */
  readonly detail: string;
  /** An error's, of a step that failed. */
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string };
}

export interface ProbeReport {
  readonly host: string;
  readonly account: string;
  /** No step failed. */
  readonly ok: boolean;
  readonly steps: readonly ProbeStep[];
  readonly elapsedMs: number;
  /** Server's clock minus ours, as the INTERNALDATE of what was appended tells it (whole seconds); absent without an append. */
  readonly clockSkewMs?: number;
}
