/** Codes of the warm standby. */
import { defineErrors } from '../../../lib/index.ts';

export const warmErrors = defineErrors({
  MAIL_WARM_STOPPED: {
    kind: 'failed',
    retry: 'later',
    summary: 'The keeping of the warm standby was stopped while something waited for it.',
    remedy: 'Try again when the service runs: `understudy status` shows how far the standby is.',
  },
  MAIL_WARM_INCOMPLETE: {
    kind: 'failed',
    retry: 'later',
    summary: 'A comparison with the standby left something undone; the problems of the account say what.',
    remedy: 'Nothing to do if it happens rarely: the account is compared again, with growing pauses.',
  },
  MAIL_WARM_JOURNAL_AHEAD: {
    kind: 'failed',
    retry: 'later',
    summary: 'The journal grows but the catalog that is read here does not: it was replaced by another file.',
    remedy: 'Nothing to do: the vault is opened again by itself.',
  },
});
