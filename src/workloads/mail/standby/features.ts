/** What a target can keep, asked before anything is done. */
import type { MailServerConfig } from '../../../config/index.ts';
import { type Clock, hasCode, type Log, UnderstudyError } from '../../../lib/index.ts';
import type { DoveadmClient } from '../doveadm/index.ts';
import { mailErrors } from '../errors.ts';
import type { ImapConnection } from '../imap/index.ts';
import type { ConnectionPool } from '../shadow/index.ts';
import { openTarget } from './target.ts';
import type { NotKept, TargetFeatures } from './types.ts';

/** One account may be broken or absent; so many of them are not by chance. */
const TRIED_MOST = 5;

/** Of sysexits.h, as doveadm uses them: parameters that it does not have, not possible in this store, no permission. */
const REFUSED: ReadonlySet<number> = new Set([64, 65, 77]);

/** Failures that another account would meet too. Anything else may be for the account's sake: what is broken breaks in many ways. */
const OF_THE_SERVER: ReadonlySet<string> = new Set([
  'MAIL_UNREACHABLE',
  'MAIL_NO_ANSWER',
  'MAIL_TLS_NOT_OFFERED',
  'MAIL_TLS_FAILED',
  'MAIL_TLS_UNVERIFIED',
  'MAIL_LOGIN_DISABLED',
  'MAIL_DOVEADM_UNREACHABLE',
  'MAIL_DOVEADM_REFUSED',
  'MAIL_DOVEADM_PROTOCOL_ERROR',
]);

/**
 * Asks a server what it can keep, as the first account that it lets in: of `accounts`, which it should have; without any, of those that its
 * configuration or its doveadm API names. Changes nothing. Errors: `MAIL_…` when it cannot be reached, lets none of them in, or no account
 * of it is known.
 */
export async function declareFeatures(
  config: MailServerConfig,
  options: {
    readonly clock: Clock;
    readonly log: Log;
    readonly accounts?: readonly string[];
    /** See `featuresOf`. */
    readonly untried?: boolean;
    readonly signal?: AbortSignal;
  },
): Promise<TargetFeatures> {
  const { clock, log, signal, untried = false } = options;
  const server = openTarget({ target: config.host, config, clock, log }, signal);
  try {
    const known = [...(options.accounts ?? []), ...(config.accounts?.list.map(({ name }) => name) ?? [])];
    const accounts = known.length > 0 ? known : ((await server.doveadm?.listUsers(signal))?.sort() ?? []);
    let unpinned: TargetFeatures | undefined;
    try {
      return await asSomeAccount(
        server.pool,
        accounts,
        async (connection, account) => {
          const features = await featuresOf(connection, server.doveadm, account, untried);
          if (features.pinUids || server.doveadm === undefined) return features;
          unpinned ??= features;
          // That the API refuses to set UIDs may be for this account's sake alone.
          throw mailErrors.make('MAIL_ACCOUNT_REFUSED', `${account}: ${features.pinProblem}`);
        },
        signal,
      );
    } catch (error) {
      if (unpinned !== undefined && isOfTheAccount(error)) return unpinned;
      throw error;
    }
  } finally {
    server.close();
  }
}

/**
 * Does `work` as the first of `accounts` that can: some of them are tried. Errors: MAIL_ACCOUNTS_EMPTY where there is none, what the first one
 * met where none can, and at once whatever is the server's fault, not the account's.
 */
export async function asSomeAccount<T>(
  pool: ConnectionPool,
  accounts: readonly string[],
  work: (connection: ImapConnection, account: string) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  let refusal: unknown;
  for (const account of new Set(accounts.slice(0, TRIED_MOST))) {
    try {
      return await pool.use(account, (connection) => work(connection, account));
    } catch (error) {
      signal?.throwIfAborted();
      if (!isOfTheAccount(error)) throw error;
      refusal ??= error;
    }
  }
  throw refusal ?? mailErrors.make('MAIL_ACCOUNTS_EMPTY', 'no account of the server is known');
}

/** Another account may be better off. */
export function isOfTheAccount(error: unknown): boolean {
  return error instanceof UnderstudyError && !OF_THE_SERVER.has(error.code);
}

/**
 * Asks the target as `account`, who must have a mailbox there. Changes nothing: setting UIDNEXT to 1 proves that it may be set.
 * With `untried` not even that is asked for, and an API that answers is taken to be able to. Errors: `MAIL_…` of the connection and the doveadm
 * API. That there is none, or that it says it cannot do this, is no error but `pinProblem`.
 */
export async function featuresOf(
  connection: ImapConnection,
  doveadm: DoveadmClient | undefined,
  account: string,
  untried = false,
): Promise<TargetFeatures> {
  const namespaces = await connection.namespaces();
  const personal = namespaces?.personal[0];
  const listed = personal ? undefined : (await connection.listMailboxes({ status: false }))[0];
  const uidPlus = connection.has('UIDPLUS') || connection.has('IMAP4REV2');
  const pinProblem = uidPlus
    ? await whyNoPins(doveadm, account, untried)
    : 'the target does not say which UIDs it gives (no UIDPLUS)';
  const condStore = connection.has('CONDSTORE') || connection.has('QRESYNC');
  return {
    pinUids: pinProblem === undefined,
    ...(pinProblem === undefined ? {} : { pinProblem }),
    multiAppend: connection.has('MULTIAPPEND'),
    uidPlus,
    condStore,
    move: connection.has('MOVE') || connection.has('IMAP4REV2'),
    createSpecialUse: connection.has('CREATE-SPECIAL-USE'),
    separator: personal?.delimiter ?? listed?.delimiter ?? null,
    prefix: personal?.prefix ?? '',
    notKept: notKeptOf(pinProblem),
  };
}

async function whyNoPins(
  doveadm: DoveadmClient | undefined,
  account: string,
  untried: boolean,
): Promise<string | undefined> {
  if (!doveadm) return 'no doveadm API is configured for the target';
  try {
    if (untried) await doveadm.check();
    else await doveadm.pinMailboxes([{ user: account, mailbox: 'INBOX', minNextUid: 1 }]);
    return undefined;
  } catch (error) {
    // Whatever else went wrong may be over in a moment; without UIDs what is there could not be told from what is to come.
    if (!isRefusal(error)) throw error;
    return `the doveadm API of the target cannot set UIDs: ${error.message}`;
  }
}

/** The API says that it cannot, or may not: asking again would not help. */
function isRefusal(error: unknown): error is UnderstudyError {
  if (!hasCode(error, 'MAIL_DOVEADM_FAILED')) return false;
  const { type, exitCode } = error.details;
  return type !== 'exitCode' || REFUSED.has(exitCode as number);
}

function notKeptOf(pinProblem: string | undefined): NotKept[] {
  if (pinProblem === undefined) return [];
  return [
    { what: 'uidvalidity', why: `clients read every mailbox again: ${pinProblem}` },
    { what: 'uids', why: `messages get new UIDs: ${pinProblem}` },
    { what: 'uidnext', why: `the next UID is the target's own: ${pinProblem}` },
    { what: 'modseq', why: `modification sequences are the target's own: ${pinProblem}` },
  ];
}
