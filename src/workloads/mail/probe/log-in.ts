/** How a probe reaches the server: as its configuration says, but with short patience, and perhaps through a front door. */
import type { MailServerConfig } from '../../../config/index.ts';
import { mailErrors } from '../errors.ts';
import { ImapConnection } from '../imap/index.ts';
import type { ProbeOptions } from './types.ts';

export const TIMEOUT_MS = 10_000;

/**
 * With the account's own secret (`options.secret`, or that of `accounts.list`), else by the master user. Errors: those of
 * `ImapConnection.connect`; MAIL_AUTH_FAILED when there is no secret for it.
 */
export async function logInFor(
  config: MailServerConfig,
  options: Pick<ProbeOptions, 'account' | 'secret' | 'timeoutMs' | 'through' | 'clock' | 'log' | 'signal'>,
): Promise<ImapConnection> {
  const { imap } = config;
  const { account, timeoutMs = TIMEOUT_MS, through } = options;
  const own =
    options.secret ?? config.accounts?.list.find((entry) => entry.name === account)?.secret?.reveal();
  if (own === undefined && (imap.masterUser === undefined || imap.masterSecret === undefined)) {
    throw mailErrors.make('MAIL_AUTH_FAILED', `no secret is configured for ${account} on ${config.host}`, {
      remedy: 'Set imap.masterUser and imap.masterSecret of the server, or give the account its own secret.',
    });
  }
  return ImapConnection.connect({
    host: through?.host ?? config.host,
    port: through?.imapPort ?? imap.port,
    security: imap.security,
    tls: {
      insecure: imap.insecureSkipVerify,
      ...(imap.ca === undefined ? {} : { caFile: imap.ca }),
      // Behind a front door the certificate is still the server's.
      ...(imap.servername === undefined
        ? through === undefined
          ? {}
          : { servername: config.host }
        : { servername: imap.servername }),
    },
    auth: {
      account,
      secret: own ?? imap.masterSecret?.reveal() ?? '',
      ...(own !== undefined || imap.masterUser === undefined ? {} : { authUser: imap.masterUser }),
      ...(imap.separator === undefined ? {} : { separator: imap.separator }),
    },
    timeouts: { connectMs: timeoutMs, greetingMs: timeoutMs, idleMs: timeoutMs },
    clock: options.clock,
    ...(options.log === undefined ? {} : { log: options.log }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}
