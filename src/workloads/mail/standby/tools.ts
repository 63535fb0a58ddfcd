/** What everything that is done in one account of the target works with. */
import type { MailboxRow, VaultReader } from '../../../catalog/index.ts';
import type { Lsn } from '../../../journal/index.ts';
import type { Clock } from '../../../lib/index.ts';
import type { DoveadmClient, MailboxPin } from '../doveadm/index.ts';
import type { ImapConnection, MailboxStatus, SelectedMailbox } from '../imap/index.ts';
import type { Costs } from './feeder.ts';
import type { Lanes } from './lanes.ts';
import type { Tally } from './tally.ts';
import type { TargetFeatures } from './types.ts';

export interface AccountTools {
  readonly reader: VaultReader;
  /** Logged in as the account. */
  readonly connection: ImapConnection;
  /** Runs `work` over another connection, which did not see what went before. */
  anew<T>(work: (connection: ImapConnection) => Promise<T>): Promise<T>;
  /** For what is sent over `own` and, when there are connections to spare, over others too. */
  lanesOf(own: ImapConnection): Lanes;
  readonly doveadm: DoveadmClient | undefined;
  /** What is set in one request when all mailboxes of the account are filled. */
  readonly pinsAtEnd: MailboxPin[];
  readonly clock: Clock;
  /** The state to reach. */
  readonly at: Lsn;
  readonly dryRun: boolean;
  /** What the target holds is told by its bytes too. */
  readonly checkBodies: boolean;
  readonly features: TargetFeatures;
  readonly costs: Costs;
  readonly tally: Tally;
  readonly signal?: AbortSignal;
}

/** A mailbox of the replica and its place on the target. */
export interface MailboxJob {
  readonly row: MailboxRow;
  /** On the target. */
  readonly name: string;
  /** As the target had it when the account was listed; undefined = it is to be made. */
  readonly status: MailboxStatus | undefined;
  /** As it would be selected now, when that is known. */
  readonly open?: SelectedMailbox;
  /** It is there by now, whatever `status` says. */
  readonly again?: boolean;
  /** What is in it has been counted as wanted. */
  readonly counted?: boolean;
}
