/** Codes of the demonstration. */
import { defineErrors } from '../lib/index.ts';

export const demoErrors = defineErrors({
  DEMO_NEEDS_ROOT: {
    kind: 'refused',
    retry: 'after-repair',
    summary:
      '`demo` was started by a user who is not root; a Dovecot that serves several accounts needs root.',
    remedy: 'Run it as root: sudo ./understudy demo. In a container root is enough, no privileges beyond it.',
  },
  DEMO_PACKAGES_MISSING: {
    kind: 'refused',
    retry: 'after-repair',
    summary: 'A server that `demo` starts is not installed, and could not be installed.',
    remedy: 'Install dovecot-core, dovecot-imapd, dovecot-lmtpd (Dovecot 2.3, as in Debian 12) and slapd.',
  },
  DEMO_SERVER_FAILED: {
    kind: 'failed',
    retry: 'after-repair',
    summary: 'A mail server of `demo`, or its directory, did not come up.',
    remedy: 'Its own words are in the message; a Dovecot other than 2.3 does not know this configuration.',
  },
  DEMO_SERVICE_FAILED: {
    kind: 'failed',
    retry: 'after-repair',
    summary:
      'The service that `demo` started ended, or did not get as far as the demonstration needs in time.',
    remedy: 'The end of its log is in the message; run `understudy demo --keep` to look at it while it runs.',
  },
});
