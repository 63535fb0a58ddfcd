/** A real Dovecot on this machine, filled with generated mail, and what delivers to it. */
export { connectLmtp, type LmtpClient } from '../../workloads/mail/lmtp/index.ts';
export { freePort, freshLoopbackAddress } from './address.ts';
export { answerToLogin } from './answer-to-login.ts';
export { MAIL_GID, MAIL_UID, PLAIN_CAPABILITY } from './configuration.ts';
export {
  accountNames,
  type Dovecot,
  type DovecotOptions,
  type DovecotRelease,
  type StoreFormat,
  startDovecot,
} from './dovecot.ts';
export {
  type AccountWriter,
  type Filled,
  type FillOptions,
  fillDovecot,
  type StoredMessage,
} from './fill.ts';
export { encodeMailboxName, MaildirWriter } from './maildir-writer.ts';
export { MultiAppender } from './multi-append.ts';
export { haveApt, installPackages, missingPackages } from './packages.ts';
export { dyingWithUs, groupMembers, type ProcessGroup, startProcessGroup } from './process-group.ts';
export { TEMPORARY_PREFIX, type TemporaryDirectory, temporaryDirectory } from './temp.ts';
