/**
 * The death of the server, one command, and what became of its clients. A dozen of them read, file and receive mail all the
 * time through the front door; what they notice is the outage, and what they were promised is the proof.
 */
import { counted, duration, messageOf, table } from '../../lib/index.ts';
import { ClientLoad, type ClientOutage, checkLedger } from '../load/index.ts';
import { PAIR, STANDBY } from '../near-line.ts';
import { type AccountReading, compareReadings, readAccount } from '../proof/index.ts';
import type { Running } from '../running.ts';
import type { Begun } from '../steps.ts';
import type { Stage } from './stage.ts';

const CLIENTS = 12;
const BEFORE_MS = 4_000;
const AFTER_MS = 3_000;
const ALL_BACK_WITHIN_MS = 60_000;

export interface TakeOverResult {
  readonly command: string;
  readonly status: number;
  /** From the command to its end. */
  readonly commandMs: number;
  /** From the death of the server to the last client's first success. */
  readonly allBackMs: number;
  readonly outages: readonly ClientOutage[];
  readonly messages: number;
  /** Messages that were there before, and have mailbox, UIDVALIDITY, UID, flags, date and bytes on the standby. */
  readonly same: number;
  /** Deliveries that either server acknowledged while the clients were at work, and how many of them are not there. */
  readonly acknowledged: number;
  readonly lost: number;
  readonly differences: readonly string[];
}

/** Errors: those of the commands; DEMO_SERVICE_FAILED when clients do not come back. */
export async function takeOver(
  begun: Begun,
  { dovecot, commands }: Pick<Running, 'dovecot' | 'commands'>,
  { standby, door, nearLine }: Stage,
): Promise<TakeOverResult> {
  const { screen, clock, cleanUp, options } = begun;
  const { signal } = options;
  signal.throwIfAborted();
  screen.step(`${CLIENTS} people at their mail, and the check before the day`);
  const before = new Map<string, AccountReading>();
  for (const account of dovecot.accounts) before.set(account, await readAccount(dovecot, account));
  const load = await ClientLoad.start(
    {
      imap: { host: door.address, port: door.imapPort },
      lmtp: { host: door.address, port: door.lmtpPort },
      accounts: dovecot.accounts,
      passwordOf: dovecot.accountPassword,
      clients: CLIENTS,
      seed: options.seed,
    },
    clock,
  );
  cleanUp.add('the clients', () => load.stop({ drainMs: 0 }));
  const check = await commands.run('check', PAIR);
  const until = clock.monotonicMs() + BEFORE_MS;
  while (clock.monotonicMs() < until) {
    await clock.sleep(100, signal);
    const { delivered, read, filed } = load.counts;
    screen.progress(`${delivered} delivered, ${read} read, ${filed} filed`);
  }

  screen.step('The server dies: kill -9 of all its processes');
  const diedAt = load.nowMs();
  await dovecot.kill9();
  const failover = await commands.run('failover', PAIR, '--yes');
  try {
    await load.settled(load.nowMs(), { withinMs: ALL_BACK_WITHIN_MS, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw nearLine.failure(messageOf(error));
  }
  const outages = load.outages(diedAt);
  const allBackMs = Math.max(...outages.map(({ toMs = load.nowMs() }) => toMs)) - diedAt;
  screen.good(`all ${outages.length} clients go on, ${duration(allBackMs)} after the death of their server`);
  await clock.sleep(AFTER_MS, signal);

  screen.step('What became of them, and of their mail');
  await load.stop();
  const differences = [
    ...(check.status === 0 ? [] : [`understudy check ended with status ${check.status}`]),
    ...(failover.status === 0 ? [] : [`understudy failover ended with status ${failover.status}`]),
    ...load.surprises.map(({ client, what, detail }) => `${client}: ${what}: ${detail}`),
  ];
  let messages = 0;
  for (const [account, reading] of before) {
    const after = await readAccount(standby, account);
    const sent = new Set(
      load.ledger.deliveries.filter((each) => each.account === account).map(({ messageId }) => messageId),
    );
    for (const mailbox of reading.values()) messages += mailbox.messages.size;
    // What is there twice may rightly be so, when no answer came to the first try: the ledger knows.
    const { differences: found } = compareReadings(
      reading,
      after,
      { mailboxes: [], messages: [], bytes: 0 },
      { sent, acknowledged: new Set(), newUids: false },
    );
    differences.push(
      ...found.filter((line) => !line.startsWith('new mail ')).map((line) => `${account}: ${line}`),
    );
  }
  const wrong = differences.filter((line) => /UID \d+:/.test(line)).length;
  const kept = await checkLedger(load, { host: standby.address, port: standby.imapPort }, clock);
  differences.push(
    ...kept.lost.map(({ account, messageId }) => `${account}: acknowledged and lost: ${messageId}`),
    ...kept.doubled.map(
      ({ account, messageId, copies }) => `${account}: ${messageId} is there ${copies} times`,
    ),
    ...kept.flagsLost.map(({ account, messageId, value }) => `${account}: ${messageId} lost its ${value}`),
    ...kept.filingsLost.map(({ account, messageId, value }) => `${account}: ${messageId} is not in ${value}`),
  );
  screen.block(outageTable(outages));
  screen.note(
    `${counted(messages, 'message')} compared with what the old server had: mailbox, UIDVALIDITY, UID, flags, date, bytes; ${counted(kept.acknowledged, 'delivery', 'deliveries')} acknowledged meanwhile`,
  );
  const verified = await commands.run('verify', STANDBY);
  if (verified.status !== 0)
    differences.push(`understudy verify finds that ${STANDBY} differs from its new journal`);
  return {
    command: failover.command,
    status: failover.status,
    commandMs: failover.elapsedMs,
    allBackMs,
    outages,
    messages,
    same: messages - wrong,
    acknowledged: kept.acknowledged,
    lost: kept.lost.length,
    differences,
  };
}

export function outageTable(outages: readonly ClientOutage[]): string {
  return table(
    ['client', 'outage', 'connected anew'],
    outages.map(({ client, outageMs, reconnects }) => [client, duration(outageMs), String(reconnects)]),
    [1, 2],
  );
}
