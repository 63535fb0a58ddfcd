/** The steps around the disasters: setting up, the first shadow, everyday life, and the proof at the end. */
import { bytes, type Clock, counted, duration, number } from '../lib/index.ts';
import type { CleanUp } from './clean-up.ts';
import { Commands } from './commands.ts';
import type { Dovecot, Filled } from './dovecot/index.ts';
import { type Delivered, Deliveries, MailClient } from './life/index.ts';
import { ACCOUNTS, fillMailServer, mailServerVersion, startMailServer } from './mail-server.ts';
import {
  chooseListenAddress,
  NearLine,
  PUSH_TIMEOUT_MS,
  pushUrl,
  SERVER,
  writeConfiguration,
} from './near-line.ts';
import type { DemoOptions } from './options.ts';
import { brokenPromises, readAccount } from './proof/index.ts';
import type { LifeResult, Results } from './results.ts';
import type { Running } from './running.ts';
import type { Screen } from './screen.ts';

const BASELINE_WITHIN_MS = 120_000;
const LIFE_FIRST_MS = 5_000;

/** What the steps share before everything runs. */
export interface Begun {
  readonly options: DemoOptions;
  readonly folder: string;
  readonly screen: Screen;
  readonly clock: Clock;
  readonly cleanUp: CleanUp;
}

/** 1. A mail server, full of mail, that will tell the near-line service what changes. */
export async function setUpServer(
  begun: Begun,
): Promise<{ dovecot: Dovecot; filled: Filled; commands: Commands; listen: string }> {
  const { options, folder, screen, clock, cleanUp } = begun;
  screen.step(`A mail server with ${ACCOUNTS.length} accounts`);
  const listen = await chooseListenAddress();
  const dovecot = await startMailServer(folder, SERVER, {
    url: pushUrl(listen),
    timeoutMs: PUSH_TIMEOUT_MS + 500,
  });
  cleanUp.add('the mail server', () => dovecot.stop());
  options.signal.throwIfAborted();
  screen.note(
    `Dovecot ${mailServerVersion()} at ${dovecot.address}: IMAP ${dovecot.imapPort}, LMTP ${dovecot.lmtpPort}, doveadm API; store: sdbox`,
  );
  const filled = await fillMailServer(dovecot, options, screen);
  writeConfiguration(folder, listen, dovecot);
  const commands = new Commands({ folder, entry: options.entry, screen, clock, signal: options.signal });
  return { dovecot, filled, commands, listen };
}

/** 2. The service starts, and reads everything into its journal. */
export async function firstShadow(
  begun: Begun,
  filled: Filled,
): Promise<{ nearLine: NearLine; baseline: Results['baseline'] }> {
  const { options, folder, screen, clock, cleanUp } = begun;
  const { signal, entry } = options;
  signal.throwIfAborted();
  screen.step('The near-line service shadows it: every message into the journal');
  screen.command(`cd ${folder}`);
  screen.command('understudy run &');
  const began = clock.monotonicMs();
  const nearLine = await NearLine.start({
    folder,
    entry,
    clock,
    signal,
    begun: (stop) => cleanUp.add('the near-line service', stop),
  });
  for (;;) {
    const { state, messages = 0, etaMs } = await nearLine.status();
    const elapsedMs = clock.monotonicMs() - began;
    const rate = (messages / elapsedMs) * 1000;
    if (state === 'following') break;
    if (elapsedMs > BASELINE_WITHIN_MS) {
      throw nearLine.failure(`its first pass takes more than ${duration(BASELINE_WITHIN_MS)}`);
    }
    const left = etaMs === undefined ? '' : `, ${duration(etaMs)} left`;
    screen.progress(
      `${number(messages)} of ${counted(filled.messages, 'message')}, ${number(rate)} messages/s${left}`,
    );
    await clock.sleep(50, signal);
  }
  const ms = Math.round(clock.monotonicMs() - began);
  const messagesPerSecond = Math.round((filled.messages / ms) * 1000);
  const journalBytes = nearLine.journalBytes();
  screen.good(
    `${counted(filled.messages, 'message')} in ${duration(ms)} from its start: ${number(messagesPerSecond)} messages/s; the journal is ${bytes(journalBytes)}, ${Math.round((journalBytes / filled.bytes) * 100)} % of the mail`,
  );
  return { nearLine, baseline: { ms, messagesPerSecond, journalBytes } };
}

/** 3. Mail comes and is read; it goes on until `lastProof`. */
export async function everydayLife(
  begun: Begun,
  running: Omit<Running, 'deliveries' | 'client'>,
): Promise<Running> {
  const { options, screen, clock, cleanUp } = begun;
  const { dovecot, nearLine, signal } = running;
  signal.throwIfAborted();
  screen.step('Life goes on: mail is delivered all the time, and its owners read, flag and file it');
  const deliveries = await Deliveries.start(dovecot, options.seed, clock);
  cleanUp.add('the deliveries', () => deliveries.stop());
  const client = await MailClient.start(dovecot, options.seed, clock);
  cleanUp.add('the mail client', () => client.stop());
  const until = clock.monotonicMs() + LIFE_FIRST_MS;
  while (clock.monotonicMs() < until) {
    await clock.sleep(100, signal);
    const { lagMs } = await nearLine.status();
    screen.progress(
      `${deliveries.acknowledged.length} delivered, ${client.counts.read} read, ${client.counts.filed} filed; lag of the journal now: ${lagMs === undefined ? 'not known' : duration(lagMs)}`,
    );
  }
  const times = timesOf(deliveries.acknowledged);
  const unprotected = await nearLine.unprotected();
  screen.good(
    `${deliveries.acknowledged.length} delivered, ${client.counts.read} read; a delivery’s 250 waits for the journal: ${duration(times.median)} at the median, ${duration(times.most)} at most${unprotected === 0 ? ', so nothing acknowledged can be lost' : `; ${counted(unprotected, 'change')} went on without`}`,
  );
  return { ...running, deliveries, client };
}

/** 7. All is quiet; the certificate, and every promise that the server gave. The first act ends. */
export async function lastProof(
  running: Running,
  disasters: Results['disasters'],
): Promise<{ life: LifeResult; certificate: Results['certificate'] }> {
  const { screen, deliveries, client, commands, nearLine, dovecot, signal } = running;
  signal.throwIfAborted();
  screen.step('Life stops, and the server is compared with its replica: the certificate');
  await deliveries.stop();
  await client.stop();
  const verified = await commands.run('verify', SERVER);
  const broken: string[] = [...deliveries.refused];
  for (const account of dovecot.accounts) {
    const mail = { sent: deliveries.sentTo(account), acknowledged: deliveries.acknowledgedTo(account) };
    const found = brokenPromises(await readAccount(dovecot, account), mail);
    broken.push(...found.map((line) => `${account}: ${line}`));
  }
  const delivered = deliveries.acknowledged.length;
  const ofRestores = Object.values(disasters).reduce((sum, each) => sum + each.unprotected, 0);
  const unprotected = (await nearLine.unprotected()) - ofRestores;
  const { lastInterruption, ...counts } = client.counts;
  const { read, filed } = counts;
  const summary = `${delivered} delivered in all, ${read} read, ${filed} filed; ${unprotected === 0 ? 'every change was in the journal before the server went on' : `${counted(unprotected, 'change')} not yet in the journal when the server went on`}`;
  screen.note(summary);
  if (lastInterruption !== undefined) {
    screen.note(`the mail client was interrupted ${counts.interrupted} times, last: ${lastInterruption}`);
  }
  if (broken.length === 0) screen.good(`all ${delivered} that the server acknowledged are there, once each`);
  else for (const line of broken) screen.bad(line);
  return {
    life: {
      delivered,
      acknowledgedMs: timesOf(deliveries.acknowledged),
      unprotected,
      ...counts,
      brokenPromises: broken,
    },
    certificate: { equal: verified.status === 0, text: verified.stdout },
  };
}

function timesOf(acknowledged: readonly Delivered[]): LifeResult['acknowledgedMs'] {
  const sorted = acknowledged.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { median: at(0.5), p99: at(0.99), most: at(1) };
}
