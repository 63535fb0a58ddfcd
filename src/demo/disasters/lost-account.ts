/**
 * An account's whole store is removed on disk, under a server that runs on and takes new mail for it. The near-line
 * service alerts; as of the moment before, the account comes back, with the new mail in it.
 */
import { rmSync } from 'node:fs';
import { counted } from '../../lib/index.ts';
import { SERVER } from '../near-line.ts';
import type { Running } from '../running.ts';
import { type DisasterResult, playOut } from './disaster.ts';

/** What is looked at every two seconds is found within this time. */
const SEEN_WITHIN_MS = 20_000;
/** New mail that comes before anybody does anything about it. */
const NEW_MAIL_FIRST = 2;

export async function lostAccount(running: Running, account: string): Promise<DisasterResult> {
  const { clock, commands, deliveries, dovecot, screen } = running;
  let moment = '';
  return playOut(running, {
    account,
    newUids: false,
    async happen() {
      const store = dovecot.storePath(account);
      moment = new Date(clock.wallMs()).toISOString();
      screen.command(`rm -rf ${store}`);
      rmSync(store, { recursive: true, force: true });
    },
    async aftermath() {
      const already = deliveries.acknowledgedTo(account).size;
      const arrived = () => deliveries.acknowledgedTo(account).size - already;
      await until(running, async () => arrived() >= NEW_MAIL_FIRST && (await isAlerted(running, account)));
      screen.note(`the server runs on: ${counted(arrived(), 'new mail')} for ${account} since`);
      await commands.run('status');
    },
    async bringBack() {
      // Mail that comes into the very INBOX that is coming back takes UIDs of its own, and pushes some of the old away
      // from theirs. An operator who wants them all lets the account's mail wait for this moment.
      await deliveries.hold(account);
      screen.note(`new mail for ${account} waits in the queue until the account is back`);
      try {
        return await commands.run('restore', SERVER, '--account', account, '--at', moment);
      } finally {
        deliveries.release(account);
      }
    },
  });
}

/** Whether the service says that much of the account went at once. */
async function isAlerted({ nearLine }: Running, account: string): Promise<boolean> {
  const { bursts = [] } = await nearLine.status();
  return bursts.some((burst) => burst.account === account);
}

async function until({ clock, nearLine, signal }: Running, condition: () => Promise<boolean>): Promise<void> {
  const deadline = clock.monotonicMs() + SEEN_WITHIN_MS;
  while (!(await condition())) {
    if (clock.monotonicMs() > deadline) {
      throw nearLine.failure(`it does not notice within ${SEEN_WITHIN_MS / 1000} s that an account is gone`);
    }
    await clock.sleep(100, signal);
  }
}
