/** Our own IMAP client: bulk reading and exact restoring (RFC 9051, RFC 3501 and extensions). */
export type { AppendMessage, AppendResult } from './append.ts';
export { ByteBudget } from './byte-budget.ts';
export { type CopyResult, ImapConnection, type Namespaces, type UidSet } from './connection.ts';
export type { ImapEvent } from './events.ts';
export type { FetchedMessage, FetchHandler, FetchItems, FetchOptions } from './fetch.ts';
export { normalizeFlags } from './flags.ts';
export type { IdleSession } from './idle.ts';
export type { MailboxListing } from './mailbox-list.ts';
export { decodeMailboxName, encodeMailboxName } from './mailbox-name.ts';
export type {
  ImapAuth,
  ImapConnectOptions,
  ImapTimeouts,
  ImapTlsOptions,
  ServerTraits,
  Throttle,
} from './options.ts';
export type { MailboxStatus, NamespaceEntry } from './responses.ts';
export type { ChangedFlags, KnownState, SelectedMailbox } from './select.ts';
export {
  countOfRanges,
  formatSequenceSet,
  normalizeRanges,
  parseSequenceSet,
  rangesHold,
  rangesOfUids,
  STAR,
  splitRanges,
  type UidRange,
  uidsOfRanges,
} from './sequence-set.ts';
