/** What a target can keep, asked before anything is done. */
import type { MailServerConfig } from '../../../config/index.ts';
import { type Clock, hasCode, type Log, UnderstudyError } from '../../../lib/index.ts';
import type { DoveadmClient } from '../doveadm/index.ts';
import { mailErrors } from '../errors.ts';
import type { ImapConnection } from '../imap/index.ts';
import { openTarget } from './target.ts';
import type { NotKept, TargetFeatures } from './types.ts';

/**
 * Asks a server what it can keep, logged in as `account` (default: one that it has). Changes nothing. Errors: `MAIL_…` when it
 * cannot be reached or no account of it is known.
 */
export async function declareFeatures(
  config: MailServerConfig,
  options: {
    readonly clock: Clock;
    readonly log: Log;
    readonly account?: string;
    readonly signal?: AbortSignal;
  },
): Promise<TargetFeatures> {
  const { clock, log, signal } = options;
  const server = openTarget({ target: config.host, config, clock, log }, signal);
  try {
    const account =
      options.account ??
      config.accounts?.list[0]?.name ??
      (await server.doveadm?.listUsers(signal))?.sort()[0];
    if (account === undefined) {
      throw mailErrors.make('MAIL_ACCOUNTS_EMPTY', `no account of ${config.host} is known`);
    }
    return await server.pool.use(account, (connection) => featuresOf(connection, server.doveadm, account));
  } finally {
    server.close();
  }
}

/**
 * Asks the target as `account`, who must have a mailbox there. Changes nothing: setting UIDNEXT to 1 proves that it may be set.
 * Errors: `MAIL_…` of the connection. That the doveadm API is missing or refuses is no error but `pinProblem`.
 */
export async function featuresOf(
  connection: ImapConnection,
  doveadm: DoveadmClient | undefined,
  account: string,
): Promise<TargetFeatures> {
  const namespaces = await connection.namespaces();
  const personal = namespaces?.personal[0];
  const listed = personal ? undefined : (await connection.listMailboxes({ status: false }))[0];
  const uidPlus = connection.has('UIDPLUS') || connection.has('IMAP4REV2');
  const pinProblem = uidPlus
    ? await whyNoPins(doveadm, account)
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

async function whyNoPins(doveadm: DoveadmClient | undefined, account: string): Promise<string | undefined> {
  if (!doveadm) return 'no doveadm API is configured for the target';
  try {
    await doveadm.pinMailboxes([{ user: account, mailbox: 'INBOX', minNextUid: 1 }]);
    return undefined;
  } catch (error) {
    if (hasCode(error, 'MAIL_DOVEADM_UNREACHABLE') || !(error instanceof UnderstudyError)) throw error;
    return `the doveadm API of the target cannot set UIDs: ${error.message}`;
  }
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
