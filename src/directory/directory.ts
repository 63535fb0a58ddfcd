/**
 * What Understudy asks of a directory, whatever its kind.
 *
 * Words. A *binding* is what one entry says about one account: which server has its mail. Its *values* are those of the
 * server attribute, as they are written there: usually one host; none = unbound; several where an operator has several.
 * Values are compared without regard to case, spare spaces and order, as directories do with host names. A *rebinding* is a wish: from
 * exactly these values to exactly those.
 */
import type { ProgressListener } from '../lib/index.ts';

export interface Binding {
  readonly account: string;
  readonly dn: string;
  readonly values: readonly string[];
}

export interface Rebinding {
  readonly account: string;
  readonly dn: string;
  /** What must be there now; `[]` = unbound. Where something else is, nothing is changed. */
  readonly from: readonly string[];
  /** What shall be there; `[]` = unbound. */
  readonly to: readonly string[];
}

export interface RebindOutcome {
  readonly account: string;
  readonly dn: string;
  /**
   * `changed`: by this call, and read back. `already`: `to` was there before. `conflict`: neither `from` nor `to` was
   * there; `found` was, and still is. `failed`: `code`, `message` and `remedy` say why.
   */
  readonly result: 'changed' | 'already' | 'conflict' | 'failed';
  /** The values that were read; absent where nothing could be read. */
  readonly found?: readonly string[];
  readonly code?: string;
  readonly message?: string;
  readonly remedy?: string;
}

export interface RebindOptions {
  /** An abort sends nothing more; what was sent is waited for, then the signal's reason is thrown. */
  readonly signal?: AbortSignal;
  /**
   * These changes are what is left of a larger call that was not refused as a whole: a refusal is the outcome of its account, also
   * when it meets all of them.
   */
  readonly rest?: boolean;
  /** Phase `rebind`, with `accountsDone` of `accountsTotal`. */
  readonly progress?: ProgressListener;
}

export interface Directory {
  /**
   * Login names of the accounts that the directory binds to the server with this host, sorted, each once. Reads only;
   * safe to repeat. Errors: DIRECTORY_…
   */
  listAccounts(serverHost: string, signal?: AbortSignal): Promise<readonly string[]>;

  /**
   * The bindings of `accounts`, of the accounts bound to `serverHost`, of those of `accounts` that are bound to
   * `serverHost`, or, with neither, of every account. Sorted by account. An account with two entries comes twice; one
   * without an entry does not come. Reads only; safe to repeat. Errors: DIRECTORY_…
   */
  bindings(
    accounts?: readonly string[],
    serverHost?: string,
    signal?: AbortSignal,
  ): Promise<readonly Binding[]>;

  /**
   * Makes each entry say `to` where it says `from`, and proves it by reading back; one outcome per change, in the order
   * given. A value that somebody else wrote meanwhile is never overwritten. The same call may be repeated after whatever
   * interruption (what is done is `already`), and the call with `from` and `to` swapped undoes it exactly.
   *
   * A lost connection is made again, and what was under way is read before it counts. Only what concerns every account
   * is thrown, and then nothing was changed: DIRECTORY_UNREACHABLE, DIRECTORY_BIND_REFUSED, DIRECTORY_NO_WRITE_RIGHTS, …
   * A change that was made earlier shows as much as one that is made now that it does not concern every account.
   */
  rebind(changes: readonly Rebinding[], options?: RebindOptions): Promise<readonly RebindOutcome[]>;

  /**
   * Proves that we may rebind: writes to one account's entry what it says already. Readers see no difference. May be
   * repeated. Errors: DIRECTORY_NO_WRITE_RIGHTS, DIRECTORY_READ_ONLY, DIRECTORY_ACCOUNTS_ABSENT, DIRECTORY_…
   */
  tryWrite(signal?: AbortSignal): Promise<void>;
}
