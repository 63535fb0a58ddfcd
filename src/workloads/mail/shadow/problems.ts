/**
 * What is wrong with which account, and when to try it again. One broken account is set aside, reported and
 * retried; it never stalls the rest.
 */
import { type Clock, messageOf, UnderstudyError } from '../../../lib/index.ts';
import type { Problem } from '../types.ts';

const RETRY_FIRST_MS = 1_000;
const RETRY_MOST_MS = 5 * 60_000;

/** The same shape for every error: one of ours keeps its code, anything else is a defect and says so. */
export function problemOf(account: string, error: unknown): Problem {
  if (error instanceof UnderstudyError) {
    return { account, code: error.code, message: error.message, remedy: error.remedy };
  }
  return {
    account,
    code: 'MAIL_INTERNAL',
    message: error instanceof Error ? (error.stack ?? error.message) : messageOf(error),
    remedy: 'This is a defect of Understudy: please report it with this message.',
  };
}

export class AccountProblems {
  readonly #clock: Clock;
  readonly #accounts = new Map<string, { problem: Problem; failures: number; retryAtMs: number }>();
  readonly #byCode = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  failed(account: string, error: unknown): Problem {
    const problem = problemOf(account, error);
    const failures = (this.#accounts.get(account)?.failures ?? 0) + 1;
    const waitMs = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** (failures - 1));
    this.#accounts.set(account, { problem, failures, retryAtMs: this.#clock.monotonicMs() + waitMs });
    this.#byCode.set(problem.code, (this.#byCode.get(problem.code) ?? 0) + 1);
    return problem;
  }

  recovered(account: string): void {
    this.#accounts.delete(account);
  }

  /** Forgets accounts that are not among these: nobody tries them again, so they would be reported for ever. */
  keepOnly(accounts: ReadonlySet<string>): void {
    for (const account of this.#accounts.keys()) if (!accounts.has(account)) this.#accounts.delete(account);
  }

  /** True while the account is set aside: a sweep leaves it alone, a pushed event does not. */
  isSetAside(account: string): boolean {
    const entry = this.#accounts.get(account);
    return entry !== undefined && entry.retryAtMs > this.#clock.monotonicMs();
  }

  list(): Problem[] {
    return [...this.#accounts.values()].map(({ problem }) => problem);
  }

  countsByCode(): Record<string, number> {
    return Object.fromEntries(this.#byCode);
  }
}
