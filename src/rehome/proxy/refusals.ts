/** What a client hears, instead of a greeting, when the front door has no server for it: come again later. */
import type { ServiceName } from '../../config/index.ts';

const WORDS = 'Service is moving or busy, please try again in a moment';

/**
 * Empty where TLS would have to come first: such a connection just ends, and clients try again.
 *
 * IMAP: RFC 9051, 7.1.5 with the code of RFC 5530. POP3: RFC 3206. SMTP and LMTP: RFC 5321, 3.8, with RFC 3463's
 * "system not accepting network messages". ManageSieve: RFC 5804, 1.3.
 */
export const temporaryRefusal: Readonly<Record<ServiceName, string>> = {
  imap: `* BYE [UNAVAILABLE] ${WORDS}\r\n`,
  pop3: `-ERR [SYS/TEMP] ${WORDS}\r\n`,
  lmtp: `421 4.3.2 ${WORDS}\r\n`,
  submission: `421 4.3.2 ${WORDS}\r\n`,
  sieve: `BYE (TRYLATER) "${WORDS}"\r\n`,
  imaps: '',
  pop3s: '',
  submissions: '',
};
