/**
 * Whether the accounts of a standby are as they were left, told by STATUS of their mailboxes. HIGHESTMODSEQ is among what it tells, so changed
 * flags show too. What is asked of it here is only ever a reason to compare an account.
 */
import { hash as digest } from 'node:crypto';
import type { Catalog } from '../../../catalog/index.ts';
import type { Lsn } from '../../../journal/index.ts';
import type { DoveadmMailboxStatus } from '../doveadm/index.ts';
import { differencesByStatus, type Rules, type Status } from '../standby/index.ts';

export class StandbyWatch {
  readonly #catalog: Catalog;
  /** What each account looked like when it was last seen and nothing of ours has happened there since; one hash for each. */
  readonly #seen = new Map<string, string>();
  /** Accounts that have just been compared as a whole: what is seen next of them is how they were left. */
  readonly #compared = new Set<string>();
  /** For which differences with the replica an account was last found to be other. */
  readonly #found = new Map<string, string>();
  #rules: Rules | undefined;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  learnNames(rules: Rules): void {
    this.#rules = rules;
  }

  /** We begin to write there: what is seen next is our doing. */
  touched(account: string): void {
    this.#seen.delete(account);
    this.#compared.delete(account);
  }

  /** We have compared all of it, and touched nothing since: STATUS tells no more than that did. */
  compared(account: string): void {
    this.#compared.add(account);
  }

  /** The accounts' own mailboxes by name. An account that has none any more, and had some when it was last seen, is there with none. */
  servedBy(rows: readonly DoveadmMailboxStatus[]): Map<string, Map<string, Status>> {
    const accounts = new Map<string, Map<string, Status>>();
    for (const account of this.#seen.keys()) accounts.set(account, new Map());
    for (const row of rows) {
      if (this.#rules?.isOwn(row.mailbox) === false) continue;
      const served = accounts.get(row.user) ?? new Map<string, Status>();
      served.set(row.mailbox.toUpperCase() === 'INBOX' ? 'INBOX' : row.mailbox, row);
      accounts.set(row.user, served);
    }
    return accounts;
  }

  /**
   * Whether somebody else wrote there. `at`: the state in which we left the account. What differs from the replica still after it was compared, as it
   * did before, cannot be set right there: that is found once.
   */
  isOther(account: string, served: ReadonlyMap<string, Status>, at: Lsn): boolean {
    if (this.#rules === undefined || !this.#catalog.account(account, at)) return false;
    const now = fingerprint(served);
    const before = this.#seen.get(account);
    if (now === before) return false;
    this.#seen.set(account, now);
    if (this.#compared.delete(account)) return false;
    const place = { catalog: this.#catalog, at, rules: this.#rules, keepsUids: true, itself: false };
    const differences = differencesByStatus(place, account, served)
      .map(({ mailbox, what }) => `${what} ${mailbox}`)
      .join('\n');
    const isKnown = this.#found.get(account) === differences;
    if (differences === '') this.#found.delete(account);
    else this.#found.set(account, differences);
    return before !== undefined || (differences !== '' && !isKnown);
  }
}

function fingerprint(served: ReadonlyMap<string, Status>): string {
  const lines = [...served].map(
    ([name, { uidValidity, uidNext, messages, highestModSeq }]) =>
      `${name} ${uidValidity} ${uidNext} ${messages} ${highestModSeq}`,
  );
  return digest('sha1', lines.sort().join('\n'), 'base64');
}
