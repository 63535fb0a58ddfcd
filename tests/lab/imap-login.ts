import { answerToLogin } from '../../src/demo/dovecot/index.ts';
import { systemClock } from '../../src/lib/index.ts';
import type { ProcessGroup } from './process-group.ts';

/** Resolves to true once an IMAP server lets `user` in, to false when it ended or did not within 20 s. */
export async function letsIn(
  { address, port, user, pass }: { address: string; port: number; user: string; pass: string },
  group: ProcessGroup,
): Promise<boolean> {
  const start = systemClock.monotonicMs();
  while (systemClock.monotonicMs() - start < 20_000) {
    if (group.ended() !== undefined) return false;
    if ((await answerToLogin(address, port, user, pass)) === 'OK') return true;
    await systemClock.sleep(20);
  }
  return false;
}
