/** The old server is read as a whole. An account of it that cannot be read would move as it was: a move that was planned stops then. */
import type { Problem } from '../../../workloads/mail/index.ts';
import type { StepIo } from '../../index.ts';
import { concerned } from '../accounts.ts';
import { type HeldAccount, recall, remember, rememberProblems, type TakeOver } from '../context.ts';
import { takeOverErrors } from '../errors.ts';

const NAMED_AT_MOST = 10;

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
 * left behind: the problems stay for the report. @throws TAKEOVER_NOT_CARRIED_BACK unless there is a reason to go on
 */
export async function readForTheWayBack(back: TakeOver, io: StepIo): Promise<void> {
  const first = await passOver(back, io, 'pass-back');
  const unread = await lookAt(back, io, accountsOf(first), 'pass-back');
  const [one] = unread;
  if (one === undefined || io.reason !== undefined) return;
  const accounts = accountsOf(unread);
  throw takeOverErrors.make(
    'TAKEOVER_NOT_CARRIED_BACK',
    `could not be read on ${back.move.from}, so that what was written there would be left behind: ${named(accounts)} (${one.code}: ${one.message})`,
    { details: { accounts: accounts.slice(0, 100) } },
  );
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
