/** The old server is read as a whole. An account of it that cannot be read would move as it was: a move that was planned stops then. */
import { UnderstudyError } from '../../../lib/index.ts';
import type { Problem } from '../../../workloads/mail/index.ts';
import type { StepIo } from '../../index.ts';
import { concerned } from '../accounts.ts';
import { type HeldAccount, recall, remember, rememberProblems, type TakeOver } from '../context.ts';
import { takeOverErrors } from '../errors.ts';

const NAMED_AT_MOST = 10;
/** A server that answers and cannot be read is tried again; one that does not answer is not waited for. */
const TRIES = 3;
const PAUSE_MS = 1_000;
const ANSWER_WITHIN_MS = 1_000;

/** Whose problems are which: of the server that is left, of the looks for what came late, and the same on the way back. */
export type ReadingStep = 'pass' | 'sweep-pass' | 'pass-back' | 'sweep-pass-back';

/** Gives the problems of whole accounts. @throws TAKEOVER_LIVE_NOT_CAUGHT_UP when none could be read */
export async function passOver(
  context: TakeOver,
  io: StepIo,
  step: ReadingStep = 'pass',
): Promise<readonly Problem[]> {
  const { ports, move } = context;
  const { problems, accounts } = await ports.following.pass(move.from, {
    signal: io.signal,
    progress: io.progress,
  });
  await rememberProblems(io, step, problems);
  // People worked there. While accounts are bound to no server, which ones is known from its journal, and there may be none yet.
  if (accounts === 0 && step !== 'pass') {
    throw takeOverErrors.make(
      'TAKEOVER_LIVE_NOT_CAUGHT_UP',
      `it is not known which accounts of ${move.from} to read`,
    );
  }
  const unread = ofWholeAccounts(context, problems);
  const failed = new Set(unread.map(({ account }) => account));
  if (failed.size > 0 && failed.size >= accounts) {
    const { code, message } = unread[0] as Problem;
    throw takeOverErrors.make(
      'TAKEOVER_LIVE_NOT_CAUGHT_UP',
      `no account of ${move.from} could be read: ${code}: ${message}`,
    );
  }
  return unread;
}

/** Also of a server that cannot be read: `lost` = why. What is wrong with our own disk or journal is thrown: that says nothing of the server. */
export async function readIfThere(
  context: TakeOver,
  io: StepIo,
  step: ReadingStep,
  tries = TRIES,
): Promise<{ readonly unread: readonly Problem[] } | { readonly lost: UnderstudyError }> {
  const { ports, move } = context;
  for (let tried = 1; ; tried += 1) {
    try {
      return { unread: await passOver(context, io, step) };
    } catch (error) {
      io.signal.throwIfAborted();
      if (!(error instanceof UnderstudyError) || !/^(MAIL|TAKEOVER)_/.test(error.code)) throw error;
      if (tried >= tries || !(await ports.answers(move.from, ANSWER_WITHIN_MS))) return { lost: error };
      await ports.clock.sleep(PAUSE_MS, io.signal);
    }
  }
}

/** A look at these alone. Gives the problems of those that could not be read. */
export async function lookAt(
  context: TakeOver,
  io: StepIo,
  accounts: readonly string[],
  step: ReadingStep = 'pass',
): Promise<readonly Problem[]> {
  if (accounts.length === 0) return [];
  const { ports, move } = context;
  const problems = await ports.following.look(move.from, accounts, {
    signal: io.signal,
    progress: io.progress,
  });
  await rememberProblems(io, step, problems, accounts);
  return ofWholeAccounts(context, problems);
}

/** One message that its server cannot serve is told and nothing more: who stays there cannot read it either. */
function ofWholeAccounts(context: TakeOver, problems: readonly Problem[]): readonly Problem[] {
  const ours = new Set(concerned(context, accountsOf(problems)));
  // `*`: the question for all at once failed, and they were asked one by one.
  return problems.filter(({ account, uid }) => account !== '*' && uid === undefined && ours.has(account));
}

/**
 * The server that a rollback leaves is read as a whole; what was busy or locked for a moment is looked at once more. What cannot be read would be
 * left behind: the problems stay for the report. With a reason to go on it may be lost altogether: then the answer is false, and its journal is all
 * that there is. @throws TAKEOVER_NOT_CARRIED_BACK unless there is a reason to go on
 */
export async function readForTheWayBack(back: TakeOver, io: StepIo): Promise<boolean> {
  const { move } = back;
  // Without a reason the step fails then, and is tried again as a whole.
  const read = await readIfThere(back, io, 'pass-back', io.reason === undefined ? 1 : TRIES);
  if ('lost' in read) {
    const { code, message } = read.lost;
    if (io.reason === undefined) {
      throw notCarriedBack(
        back,
        `${move.from} could not be read, so that what was written there would be left behind (${code}: ${message})`,
        { cause: read.lost },
      );
    }
    const remedy = `When ${move.from} is back, look at it once: understudy shadow ${move.from} --once. What its journal has then, and ${move.to} has not, is to be copied by hand.`;
    await rememberProblems(io, 'pass-back', [{ account: '*', code, message, remedy }]);
    return false;
  }
  const unread = await lookAt(back, io, accountsOf(read.unread), 'pass-back');
  const [one] = unread;
  if (one === undefined || io.reason !== undefined) return true;
  const accounts = accountsOf(unread);
  throw notCarriedBack(
    back,
    `could not be read on ${move.from}, so that what was written there would be left behind: ${named(accounts)} (${one.code}: ${one.message})`,
    { details: { accounts: accounts.slice(0, 100) } },
  );
}

/** `back`: the plan as seen from the server that is left. */
export function notCarriedBack(
  { move: { plan } }: TakeOver,
  message: string,
  more: { readonly cause?: unknown; readonly details?: Record<string, unknown> } = {},
): Error {
  return takeOverErrors.make('TAKEOVER_NOT_CARRIED_BACK', message, {
    ...more,
    remedy: `Correct what the message names, then: understudy plan rollback ${plan} · or leave it behind: understudy plan rollback ${plan} --reason TEXT`,
  });
}

/** Remembers them for the report. @throws TAKEOVER_ACCOUNTS_UNREAD unless there is a reason to go on */
export async function insistOnAll(
  { move }: TakeOver,
  io: StepIo,
  problems: readonly Problem[],
): Promise<void> {
  const accounts = accountsOf(problems);
  if (accounts.length > 0 || recall(io, 'unread') !== undefined) await remember(io, 'unread', accounts);
  const [first] = problems;
  if (first === undefined || io.reason !== undefined) return;
  throw takeOverErrors.make(
    'TAKEOVER_ACCOUNTS_UNREAD',
    `could not be read on ${move.from}, so that they would move as they were: ${named(accounts)} (${first.code}: ${first.message})`,
    { details: { accounts: accounts.slice(0, 100) } },
  );
}

/** @throws TAKEOVER_BURSTS_HELD unless there is a reason to go on */
export function insistOnBursts(
  { move }: TakeOver,
  io: StepIo,
  held: readonly HeldAccount[] = recall(io, 'held') ?? [],
): void {
  if (held.length === 0 || io.reason !== undefined) return;
  const accounts = held.map(({ account }) => account);
  throw takeOverErrors.make(
    'TAKEOVER_BURSTS_HELD',
    `a burst of removals is held back, and all that came after it: ${named(accounts)} would come up on ${move.to} as before`,
    { details: { accounts: accounts.slice(0, 100), pair: move.pair } },
  );
}

function accountsOf(problems: readonly Problem[]): readonly string[] {
  return [...new Set(problems.map(({ account }) => account))].sort();
}

function named(accounts: readonly string[]): string {
  const rest = accounts.length - NAMED_AT_MOST;
  return `${accounts.slice(0, NAMED_AT_MOST).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
