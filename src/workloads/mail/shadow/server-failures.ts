/**
 * Tells the failure of a whole server (it does not answer, it refuses the master user) from those of single accounts. No one
 * account decides it: so many fail in a row, and none is well in between.
 */
import { hasCode, UnderstudyError } from '../../../lib/index.ts';
import { wasAnswerToLogIn, wasBeforeLogIn } from './connection-pool.ts';

/** Failures to reach the server at all. */
const UNREACHABLE = [
  'MAIL_UNREACHABLE',
  'MAIL_NO_ANSWER',
  'MAIL_TLS_NOT_OFFERED',
  'MAIL_TLS_FAILED',
  'MAIL_TLS_UNVERIFIED',
  'MAIL_LOGIN_DISABLED',
];
/** The same, when it happens before the log-in: a port that hangs up at once, or greets with BYE. */
const UNREACHABLE_BEFORE_LOGIN = ['MAIL_CONNECTION_LOST', 'MAIL_UNAVAILABLE'];
/** So many accounts in a row that could not be reached, and none well since: the server is the cause. */
const CONNECTION_FAILURES_IN_A_ROW = 3;

/** Refusals that an account may have of its own; of the server they speak only when no account was ever let in. */
const LOGIN_FAILURES = ['MAIL_AUTH_FAILED', 'MAIL_SECRET_EXPIRED', 'MAIL_ACCOUNT_REFUSED'];
const LOGIN_FAILURES_IN_A_ROW = 20;

export function isUnreachable(error: unknown): boolean {
  return UNREACHABLE.some((code) => hasCode(error, code));
}

export function isConnectionFailure(error: unknown): boolean {
  if (isUnreachable(error)) return true;
  if (!wasBeforeLogIn(error) || wasAnswerToLogIn(error)) return false;
  return UNREACHABLE_BEFORE_LOGIN.some((code) => hasCode(error, code));
}

/** What stands behind every log-in does not answer (RFC 5530): so many in a row are no single accounts. */
function isServersOwn(error: unknown): boolean {
  return (
    error instanceof UnderstudyError && ['UNAVAILABLE', 'SERVERBUG'].includes(String(error.details['code']))
  );
}

export class ServerFailures {
  readonly #inARow = new Set<string>();
  #everWell = false;

  /** The server served an account as it should. */
  well(): void {
    this.#everWell = true;
    this.#inARow.clear();
  }

  /** Whether with this failure it is the server that fails. `accounts`: how many it has, if that is known: all of them are enough. */
  failed(account: string, error: unknown, accounts?: number): boolean {
    const isLogin = wasAnswerToLogIn(error) || LOGIN_FAILURES.some((code) => hasCode(error, code));
    if (!isLogin && !isConnectionFailure(error)) return false;
    if (isLogin && this.#everWell && !isServersOwn(error)) return false;
    this.#inARow.add(account);
    const most = isLogin ? LOGIN_FAILURES_IN_A_ROW : CONNECTION_FAILURES_IN_A_ROW;
    return this.#inARow.size >= Math.min(most, accounts ?? most);
  }

  /** The trouble is over: what failed until now says nothing any more. */
  forget(): void {
    this.#inARow.clear();
  }
}
