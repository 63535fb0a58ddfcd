/** Findings: what of a plan's preconditions holds now. Plain data. */

/** green: as it must be; amber: works, but less than it could, or cannot be told; red: a plan that needs it would fail. */
export type FindingState = 'green' | 'amber' | 'red';

export interface Finding {
  /** Stable, for scripts: `live.imap`, `standby.pins`. */
  readonly id: string;
  /** Three words or so: `standby: UIDs can be pinned`. */
  readonly title: string;
  readonly state: FindingState;
  /** What was seen. */
  readonly detail: string;
  /** What to do about it; empty when green. */
  readonly remedy: string;
}
