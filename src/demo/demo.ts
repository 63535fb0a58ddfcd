/**
 * The demonstration from its first line to its last: two acts, what they found, and everything ended again.
 */
import { chmodSync } from 'node:fs';
import { counted, duration, systemClock } from '../lib/index.ts';
import { CleanUp } from './clean-up.ts';
import { lostAccount, lostMailbox, lostMessage } from './disasters/index.ts';
import { temporaryDirectory } from './dovecot/index.ts';
import { tellHowToGoOn } from './going-on.ts';
import type { DemoOptions } from './options.ts';
import { meetRequirements } from './requirements.ts';
import { disasterTable, type Results, takeOverTable } from './results.ts';
import { Screen } from './screen.ts';
import { type Begun, everydayLife, firstShadow, lastProof, setUpServer } from './steps.ts';
import { setTheStage, takeOver } from './takeover/index.ts';

/** Differences listed at the end. */
const SHOWN_MOST = 20;

/**
 * Gives the exit status: 0 when every comparison holds, else 1. Whatever happens, nothing that it started runs on and
 * its folder is removed. Errors: DEMO_…; the reason of `signal` when that ends it.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const screen = new Screen(options.json ? process.stderr : process.stdout, systemClock);
  meetRequirements((text) => screen.line(text));
  const cleanUp = new CleanUp();
  const aborted = whenAborted(options.signal);
  const story = tell({ ...placeFor(cleanUp), options, screen, clock: systemClock, cleanUp });
  try {
    const { ok } = await Promise.race([story, aborted]);
    if (options.keep) await aborted.catch(() => {});
    return ok ? 0 : 1;
  } finally {
    const failures = await cleanUp.run();
    // What was under way when the signal came ends by itself now, and may have begun something more.
    await story.catch(() => {});
    failures.push(...(await cleanUp.run()));
    for (const failure of failures) screen.bad(`not cleaned up: ${failure}`);
  }
}

async function tell(begun: Begun): Promise<Results> {
  const { options, folder, screen, clock } = begun;
  screen.line(
    'Understudy: a real mail server and its near-line service. Act one: three disasters. Act two: the server dies.',
  );
  screen.line(
    `All of it is in ${folder} and ends with this command${options.keep ? '' : ' (--keep leaves it running)'}.`,
  );
  const { dovecot, filled, commands, listen } = await setUpServer(begun);
  const { nearLine, baseline } = await firstShadow(begun, filled);
  const running = await everydayLife(begun, {
    screen,
    clock,
    signal: options.signal,
    commands,
    dovecot,
    nearLine,
  });

  screen.step('Disaster one: a message is deleted for good');
  const message = await lostMessage(running, 'anna');
  screen.step('Disaster two: a whole mailbox is deleted');
  const mailbox = await lostMailbox(running, 'ben');
  screen.step('Disaster three: the store of an account is removed on disk, under the running server');
  const account = await lostAccount(running, 'clara');

  const disasters = { message, mailbox, account };
  const { life, certificate } = await lastProof(running, disasters);
  const differences = [
    ...Object.values(disasters).flatMap((each) => each.differences.map((line) => `${each.account}: ${line}`)),
    ...life.brokenPromises,
    ...(certificate.equal ? [] : ['understudy verify found differences']),
  ];
  const stage = await setTheStage(begun, running, listen);
  const takenOver = await takeOver(begun, running, stage);
  differences.push(...takenOver.differences);
  const results: Results = {
    ok: differences.length === 0,
    seed: options.seed,
    server: { accounts: dovecot.accounts.length, ...filled },
    baseline,
    life,
    disasters,
    certificate,
    takeOver: takenOver,
    differences,
    elapsedMs: Math.round(screen.elapsedMs),
  };
  conclude(screen, results);
  if (options.json) process.stdout.write(`${JSON.stringify(results)}\n`);
  if (options.keep) tellHowToGoOn(screen, { folder, dovecot, ...stage });
  return results;
}

function conclude(screen: Screen, results: Results): void {
  screen.line();
  screen.block(disasterTable(results.disasters));
  screen.line();
  screen.block(takeOverTable(results.takeOver));
  screen.line();
  if (results.ok) {
    screen.good(
      `Everything came back as it was, and the standby is the server now; in ${duration(results.elapsedMs)} altogether.`,
    );
    return;
  }
  screen.bad(`${counted(results.differences.length, 'difference')}:`);
  for (const difference of results.differences.slice(0, SHOWN_MOST)) screen.bad(`  ${difference}`);
  if (results.differences.length > SHOWN_MOST) screen.bad('  … (--json lists them all)');
}

function placeFor(cleanUp: CleanUp): { folder: string } {
  const { path, remove } = temporaryDirectory('demo');
  cleanUp.add(path, remove);
  // The mail server's processes work as users of their own.
  chmodSync(path, 0o755);
  return { folder: path };
}

/** Rejects with the signal's reason; never settles without it. */
function whenAborted(signal: AbortSignal): Promise<never> {
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {}); // whoever waits for it hears of it
  return aborted;
}
