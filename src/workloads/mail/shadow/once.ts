/** One pass over a server without a service: for `shadow SERVER --once`. */
import type { ActionOptions, MailDeps, ShadowSummary } from '../types.ts';
import { Follower } from './follower.ts';

/**
 * Brings the journal up to date and ends. Interrupted at any moment it goes on where it was when called again;
 * called again without a change on the server it appends nothing. Errors: those of the whole server or of the
 * journal; those of single accounts are problems of the summary.
 */
export async function shadowOnce(deps: MailDeps, options: ActionOptions = {}): Promise<ShadowSummary> {
  const follower = new Follower(deps);
  try {
    return await follower.pass(options);
  } finally {
    await follower.stop();
  }
}
