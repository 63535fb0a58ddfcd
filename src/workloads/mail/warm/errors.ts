/** Codes of the warm standby. */
import { defineErrors } from '../../../lib/index.ts';

export const warmErrors = defineErrors({
  MAIL_WARM_STOPPED: {
    kind: 'failed',
    retry: 'later',
    summary: 'The keeping of the warm standby was stopped while something waited for it.',
    remedy: 'Try again when the service runs: `understudy status` shows how far the standby is.',
  },
  MAIL_WARM_JOURNAL_AHEAD: {
    kind: 'failed',
    retry: 'later',
    summary: 'The journal grows but the catalog that is read here does not: it was replaced by another file.',
    remedy: 'Nothing to do: the vault is opened again by itself.',
  },
});
