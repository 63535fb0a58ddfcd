/** The doveadm HTTP API, where the server is Dovecot: accounts, status in one call, and pinned UIDs. */
export {
  DoveadmClient,
  type DoveadmCommand,
  type DoveadmMailboxStatus,
  type DoveadmOptions,
  type DoveadmResult,
  type DovecotSeries,
  type MailboxPin,
} from './client.ts';
