/** Codes of the mail workload: the IMAP connection, the doveadm HTTP API, and what is built on them. */
import { defineErrors } from '../../lib/index.ts';

export const mailErrors = defineErrors({
  MAIL_UNREACHABLE: {
    kind: 'failed',
    retry: 'later',
    summary: 'No connection to the mail server: refused, no route, unknown name, or not established in time.',
    remedy:
      'Check that the server runs and that host and port in the configuration are right: `nc -v HOST PORT`.',
  },
  MAIL_NO_ANSWER: {
    kind: 'failed',
    retry: 'later',
    summary: 'The mail server accepted the connection but sent nothing within the allowed time.',
    remedy:
      'The server hangs, or a device between drops packets silently. Look at the load of the server and at firewalls.',
  },
  MAIL_UNAVAILABLE: {
    kind: 'failed',
    retry: 'later',
    summary:
      'The mail server said that it cannot serve now (BYE, NO [UNAVAILABLE], [LIMIT], [INUSE], [SERVERBUG]).',
    remedy:
      "Look at the mail server's log at this time; the work goes on by itself when the server answers again.",
  },
  MAIL_TLS_NOT_OFFERED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'STARTTLS is required by the configuration but the server does not offer it.',
    remedy:
      'Switch TLS on in the server, or set `security: tls` with the IMAPS port, or `none` on a trusted network.',
  },
  MAIL_TLS_FAILED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The TLS handshake failed: the port speaks no TLS, or the two sides share no protocol version.',
    remedy: 'Check `security` against the port (993 is tls, 143 is starttls or none).',
  },
  MAIL_TLS_UNVERIFIED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: "The server's certificate could not be verified: unknown authority, wrong name, or expired.",
    remedy:
      'Give the private authority with `ca`, or the name in the certificate with `servername`; renew an expired certificate.',
  },
  MAIL_LOGIN_DISABLED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The server takes no password on this connection (LOGINDISABLED, or no usable SASL mechanism).',
    remedy: 'Set `security: starttls` or `tls`, or allow PLAIN on the server for this network.',
  },
  MAIL_AUTH_FAILED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The server refused the user and secret (master user, or the account itself).',
    remedy:
      'Check masterUser and masterSecret, and that the account exists on the server: `doveadm auth test ACCOUNT*MASTER` on Dovecot.',
  },
  MAIL_SECRET_EXPIRED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The secret has expired (NO [EXPIRED]).',
    remedy: 'Set a new secret on the server and in the file that the configuration names.',
  },
  MAIL_ACCOUNT_REFUSED: {
    kind: 'failed',
    retry: 'after-repair',
    summary:
      'The secret is right, but this user may not act for this account (NO [AUTHORIZATIONFAILED], [CONTACTADMIN]).',
    remedy:
      'Check that the account exists, and that the master user may act for it (Dovecot: passdb master=yes; Cyrus: proxyservers or imap_admins).',
  },
  MAIL_CONNECTION_LOST: {
    kind: 'failed',
    retry: 'later',
    summary: 'The connection ended while an answer was awaited or in the middle of it.',
    remedy:
      'Nothing to do if it happens rarely: the work is repeated. If often, look at the server log and the network.',
  },
  MAIL_PROTOCOL_ERROR: {
    kind: 'failed',
    retry: 'later',
    summary: 'The server sent something that is not IMAP; the message holds an excerpt.',
    remedy:
      'Check that the port is an IMAP port. If it is, report the excerpt: this server needs to be supported.',
  },
  MAIL_LITERAL_TOO_LARGE: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The server announced a message larger than is accepted.',
    remedy: 'Check the message on the server; a size beyond 1 GiB is nearly always a corrupt index.',
  },
  MAIL_COMMAND_REFUSED: {
    kind: 'failed',
    retry: 'later',
    summary: 'The server answered NO or BAD to a command; details hold command, status, code and text.',
    remedy: "Read the server's text in the message and its log.",
  },
  MAIL_MAILBOX_ABSENT: {
    kind: 'failed',
    retry: 'never',
    summary: 'The mailbox does not exist on the server (NO [NONEXISTENT] or [TRYCREATE]).',
    remedy: 'List the mailboxes; the name may have changed.',
  },
  MAIL_NO_PERMISSION: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The server refused a command for lack of rights (NO [NOPERM], [READ-ONLY]).',
    remedy:
      'Give the master user the rights of the account. Dovecot with the acl plugin needs `plugin { acl_user = %u }`.',
  },
  MAIL_OVER_QUOTA: {
    kind: 'failed',
    retry: 'after-repair',
    summary:
      'The server stores no more for this account (NO [OVERQUOTA]) or a message is too big for it ([TOOBIG], [LIMIT]).',
    remedy: "Raise the account's quota for the time of the restore, then run the same command again.",
  },
  MAIL_FEATURE_MISSING: {
    kind: 'refused',
    retry: 'never',
    summary: 'The server lacks a capability that this operation cannot do without.',
    remedy: 'See the message for the capability; use an operation that the server supports.',
  },
  MAIL_MESSAGE_DAMAGED: {
    kind: 'failed',
    retry: 'later',
    summary:
      'The server serves other bytes of a message than it announces; the message is set aside and tried again.',
    remedy:
      'Repair the mailbox on the server (Dovecot: `doveadm force-resync -u ACCOUNT MAILBOX`); the next look takes it.',
  },
  MAIL_MAILBOX_MOVED: {
    kind: 'failed',
    retry: 'later',
    summary: 'A mailbox was replaced by another one while it was looked at.',
    remedy: 'Nothing to do: the account is looked at again at once.',
  },
  MAIL_ACCOUNTS_EMPTY: {
    kind: 'refused',
    retry: 'after-repair',
    summary:
      'The source of accounts named none although the journal knows some; nothing was recorded as gone.',
    remedy:
      'Check `accounts` of this server: the directory, its filter and serverAttribute, or the doveadm API.',
  },
  MAIL_RESTORE_UID_ABSENT: {
    kind: 'usage',
    retry: 'never',
    summary: 'The UIDs to restore name no message at the wanted point of time.',
    remedy: 'Give the point of time at which they were there with --at.',
  },
  MAIL_RESTORE_DIFFERS: {
    kind: 'failed',
    retry: 'later',
    summary: 'A message was put back, but the server does not serve the bytes that it served before.',
    remedy:
      'Compare with `understudy export`; the server or a filter on it changes messages as they are stored.',
  },
  MAIL_ACCOUNT_NOT_FOLLOWED: {
    kind: 'usage',
    retry: 'never',
    summary: 'A change was pushed for an account that is not among those of the server.',
    remedy: 'Add the account to `accounts` of the server, or leave it out of the push script.',
  },
  MAIL_ACCOUNT_BEING_RESTORED: {
    kind: 'failed',
    retry: 'later',
    summary:
      'A change was pushed for an account that is being restored; it is journaled when the restore ends.',
    remedy: 'Nothing to do: the restore ends with a look at the whole account.',
  },
  MAIL_CHANGE_NOT_JOURNALED: {
    kind: 'failed',
    retry: 'later',
    summary:
      'A change was pushed that is not in the journal after a look: its mailbox is not followed, or its message was set aside.',
    remedy:
      'See the message. What was set aside is tried again; mailboxes of others and shared ones are not followed.',
  },
  MAIL_NOTHING_SHADOWED: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'There is no replica of the server yet, so nothing can be restored from it or compared with it.',
    remedy: 'Shadow the server first: `understudy shadow SERVER --once`.',
  },
  MAIL_INTERNAL: {
    kind: 'failed',
    retry: 'later',
    summary: 'A defect of Understudy met while an account was looked at; the message holds the stack.',
    remedy: 'Please report it with this message.',
  },
  MAIL_DOVEADM_UNREACHABLE: {
    kind: 'failed',
    retry: 'later',
    summary: 'The doveadm HTTP API did not answer: refused, unknown name, TLS failure, or too late.',
    remedy: 'Check `doveadm.url`, and `service doveadm { inet_listener http { ... } }` on the server.',
  },
  MAIL_DOVEADM_REFUSED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The doveadm HTTP API refused the key (401 or 403).',
    remedy: 'Set `doveadm.apiKey` to the value of `doveadm_api_key` on the server.',
  },
  MAIL_DOVEADM_FAILED: {
    kind: 'failed',
    retry: 'later',
    summary: 'A doveadm command failed; details hold command, exit code and type.',
    remedy:
      "Look at the mail server's log. Exit code 67: no such user; 68: no such mailbox; 75: temporary failure; 77: no permission.",
  },
  MAIL_DOVEADM_PROTOCOL_ERROR: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'The URL answered, but not as the doveadm HTTP API does.',
    remedy: 'The URL must end in `/doveadm/v1` and name the doveadm HTTP listener.',
  },
  MAIL_DELIVERY_REFUSED: {
    kind: 'failed',
    retry: 'later',
    summary: 'The LMTP server refused a recipient or a message; the message holds its words.',
    remedy: "Read the server's words; a 4xx may pass by itself, a 5xx is about the account or the message.",
  },
  MAIL_DELIVERY_UNCERTAIN: {
    kind: 'failed',
    retry: 'later',
    summary:
      'The connection to the LMTP server ended before it answered to a message: it may have been stored or not.',
    remedy: 'Look whether the message has arrived before it is delivered again.',
  },
  MAIL_DELIVERY_ABSENT: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'A probe was delivered and acknowledged, but did not show up over IMAP in time.',
    remedy:
      "Look at the server's log for the probe's Message-ID: a Sieve script, or another store for deliveries.",
  },
  MAIL_PROBE_DIFFERS: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'What a probe had stored on the server came back different, or did not come back.',
    remedy: 'Do not move users to this server; look at its log and its disk.',
  },
});
