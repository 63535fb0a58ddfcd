/**
 * Whether a burst is one still. What counts is what an account would lose on the standby, not what was removed: mail that
 * was moved, or that a restore has brought back since, is not lost.
 */
import type { Catalog } from '../../../catalog/index.ts';
import type { Lsn } from '../../../journal/index.ts';

/** From which on removals are a burst: `shadow.burst` of the live server. */
export interface BurstRule {
  readonly share: number;
  readonly least: number;
}

export interface Loss {
  /** Messages of then whose bytes the account holds nowhere any more. */
  readonly removed: number;
  /** Messages that it held then. */
  readonly of: number;
}

/** What the account held at `at` and does not hold now. Reads both states: its cost is that of the account's messages. */
export function lossSince(catalog: Catalog, account: string, at: Lsn): Loss {
  const left = new Set<Lsn>();
  for (const row of catalog.mailboxes(account)) {
    for (const { bodyLsn } of catalog.iterateMessages(row.id)) left.add(bodyLsn);
  }
  let removed = 0;
  let of = 0;
  for (const row of catalog.mailboxes(account, at)) {
    for (const { bodyLsn } of catalog.iterateMessages(row.id, at)) {
      of += 1;
      // Not how often: just before the removals of a move every message is there twice.
      if (!left.has(bodyLsn)) removed += 1;
    }
  }
  return { removed, of };
}

export function isBurst({ removed, of }: Loss, rule: BurstRule): boolean {
  return removed >= rule.least && removed >= rule.share * of;
}
