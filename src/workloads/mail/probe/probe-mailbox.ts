/**
 * A mailbox of the probe's own: what is tried in it takes no UID of another mailbox. It is deleted after; one that a killed probe left
 * behind is deleted by a later one.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../../lib/index.ts';
import type { ImapConnection } from '../imap/index.ts';
import { ensureMailbox } from '../restore/index.ts';

const PREFIX = 'Understudy probe ';
/** A probe that is this old has ended, one way or another. */
const LEFT_BEHIND_AFTER_MS = 10 * 60_000;

/** True for a mailbox that a probe has made; `name` with or without the prefix of a namespace. */
export function isProbeMailbox(name: string): boolean {
  return /(?:^|[./])Understudy probe \d{14}-[0-9a-f]{8}$/.test(name);
}

/** Makes the mailbox and gives its name. Errors: MAIL_… */
export async function createProbeMailbox(connection: ImapConnection, clock: Clock): Promise<string> {
  const prefix = (await connection.namespaces())?.personal[0]?.prefix ?? '';
  const stamp = new Date(clock.wallMs()).toISOString().replace(/\D/g, '').slice(0, 14);
  const name = `${prefix}${PREFIX}${stamp}-${randomBytes(4).toString('hex')}`;
  // The name is ours alone: where it is there already, who looked at all mailboxes just then (doveadm does) has made it half.
  await ensureMailbox(connection, name);
  return name;
}

/** Also removes what earlier probes have left. Errors: MAIL_… */
export async function deleteProbeMailbox(
  connection: ImapConnection,
  name: string,
  clock: Clock,
): Promise<number> {
  await connection.unselect();
  await connection.delete(name);
  let others = 0;
  for (const { name: other } of await connection.listMailboxes({ status: false })) {
    if (!isProbeMailbox(other) || ageMs(other, clock) < LEFT_BEHIND_AFTER_MS) continue;
    await connection.delete(other);
    others += 1;
  }
  return others;
}

function ageMs(name: string, clock: Clock): number {
  const [, y, mo, d, h, mi, s] =
    /(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)-[0-9a-f]{8}$/.exec(name)?.map(Number) ?? [];
  return clock.wallMs() - Date.UTC(y ?? 0, (mo ?? 1) - 1, d, h, mi, s);
}
