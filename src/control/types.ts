/**
 * The control journal: what the service itself must not forget. Same format as the journals of vaults
 * (docs/internals/journal-format.md), in `<dataDir>/control/journal`.
 *
 * Terminology
 *   topic   what an entry is about: `plan`, `roles`
 *   id      which one of the topic: a plan's id, a pair's name
 *   data    JSON; what it says is the topic's own business
 */
import type { Lsn } from '../journal/index.ts';
import type { JsonValue } from '../lib/index.ts';

export interface ControlEntry {
  /** Of the entry's first record. */
  readonly lsn: Lsn;
  /** Wall time of its commit, ms. */
  readonly time: number;
  readonly topic: string;
  readonly id: string;
  readonly data: JsonValue;
}

/** Whoever can look at the control journal: its writer, and readers beside it. */
export interface ControlView {
  /** What is committed, in order; with `topic` only of that topic, with `id` only of that one. */
  entries(topic?: string, id?: string): Iterable<ControlEntry>;
}

/** Which server of a pair has its accounts. */
export interface PairRoles {
  readonly pair: string;
  /** The server that is bound and serves. */
  readonly acting: string;
  /** The other one. */
  readonly former: string;
  /** Wall time, ms. */
  readonly since: number;
  /** The plan that made it so. */
  readonly plan: string;
}
