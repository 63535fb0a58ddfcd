/**
 * An account's whole store is removed on disk, under a server that runs on and takes new mail for it. The near-line
 * service alerts, and names the state just before; as of then the account comes back, with the new mail in it.
 */
import { rmSync } from 'node:fs';
import { counted } from '../../lib/index.ts';
import { SERVER } from '../near-line.ts';
import type { Running } from '../running.ts';
import { type DisasterResult, playOut } from './disaster.ts';

const ALERTED_WITHIN_MS = 20_000;
/** New mail that comes before anybody does anything about it. */
const NEW_MAIL_FIRST = 2;

export async function lostAccount(running: Running, account: string): Promise<DisasterResult> {
  const { commands, deliveries, dovecot, screen } = running;
  let before = '';
  return playOut(running, {
    account,
    newUids: false,
    async happen() {
      const store = dovecot.storePath(account);
      screen.command(`rm -rf ${store}`);
      rmSync(store, { recursive: true, force: true });
    },
    async aftermath() {
      const already = deliveries.acknowledgedTo(account).size;
      before = await alerted(running, account);
      await until(running, () => deliveries.acknowledgedTo(account).size >= already + NEW_MAIL_FIRST);
      const arrived = deliveries.acknowledgedTo(account).size - already;
      screen.note(`the server runs on: ${counted(arrived, 'new mail')} for ${account} since`);
      await commands.run('status');
    },
    bringBack: () => commands.run('restore', SERVER, '--account', account, '--at', before),
  });
}

/** `lsn:N`, as the alert names the state just before. */
async function alerted(running: Running, account: string): Promise<string> {
  const { clock, nearLine, signal } = running;
  const deadline = clock.monotonicMs() + ALERTED_WITHIN_MS;
  for (;;) {
    const { bursts = [] } = await nearLine.status();
    const burst = bursts.find((each) => each.account === account);
    if (burst) return burst.before;
    if (clock.monotonicMs() > deadline) {
      throw nearLine.failure(`no alert about ${account} within ${ALERTED_WITHIN_MS / 1000} s`);
    }
    await clock.sleep(100, signal);
  }
}

async function until({ clock, signal }: Running, condition: () => boolean): Promise<void> {
  const deadline = clock.monotonicMs() + ALERTED_WITHIN_MS;
  while (!condition() && clock.monotonicMs() < deadline) await clock.sleep(50, signal);
}
