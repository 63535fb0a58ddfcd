/** The standby is brought to the state of the journal, and compared with it. */
import type { Lsn } from '../../../journal/index.ts';
import { counted, type JsonValue, messageOf } from '../../../lib/index.ts';
import type { Problem } from '../../../workloads/mail/index.ts';
import type { BringUpReport } from '../../../workloads/mail/standby/index.ts';
import type { PlanStep, StepIo } from '../../index.ts';
import { accountsOf, concerned, momentOf } from '../accounts.ts';
import {
  type HeldAccount,
  type Moment,
  type QuickCertificate,
  recall,
  remember,
  rememberProblems,
  type TakeOver,
} from '../context.ts';
import { takeOverErrors } from '../errors.ts';
import type { QuickReport } from '../ports.ts';

/** Longer than any tail; then the standby is compared as a whole instead. */
const WARM_WAIT_MS = 120_000;

export const finish: PlanStep<TakeOver> = {
  name: 'finish',
  always: true,
  sentence: ({ move, parameters }) =>
    parameters.at === undefined
      ? `Finish ${move.to} from the journal of ${move.from}`
      : `Restore ${move.to} from the journal of ${move.from}, as of lsn:${parameters.at}`,
  isDone: async (_, io) => recall(io, 'finished') !== undefined,
  async run(context, io) {
    const base = await restWarm(context, io);
    // The old server may still be followed: what counts is fixed here, after the fence, and after anybody else has written there.
    const at = await momentOf(context);
    await remember(io, 'at', at);
    const finished = await bringToMoment(context, io, at, base);
    await remember(io, 'finished', finished);
    return finished;
  },
};

/** Everything to the standby as of `at`, but for what a burst holds back; `base` = the state that it is known to have already, `changed` = accounts that changed since. */
export async function bringToMoment(
  context: TakeOver,
  io: StepIo,
  at: Moment,
  base: Moment | undefined,
  changed?: readonly string[],
): Promise<JsonValue> {
  const held = await heldAccounts(context);
  await remember(io, 'held', held);
  for (const { account, removed, of, at: before } of held) {
    io.note(
      `${account}: ${counted(removed, 'message')} of ${of} went in a burst, which is held back: the account comes up as of lsn:${before}`,
    );
  }
  const isHeld = new Set(held.map(({ account }) => account));
  const all =
    base === undefined ? await accountsOf(context, at.lsn) : (changed ?? (await changedSince(context, base)));
  const accounts = all.filter((account) => !isHeld.has(account));
  const how = base === undefined ? 'compared' : 'warm';
  const since = base === undefined ? {} : { since: base.lsn };
  const report =
    accounts.length === 0 ? undefined : await bringUp(context, io, { at: at.lsn, accounts, ...since });
  if (report !== undefined) {
    await noteOutcome(io, report, accounts.length, 'finish', base === undefined ? undefined : accounts);
  }
  if (base === undefined) {
    for (const { account, at: before } of held)
      await bringUp(context, io, { at: before, accounts: [account] });
  }
  return { how, held: held.length, ...(report === undefined ? {} : summaryOf(report)) };
}

/**
 * A warm standby follows to the journal's end and then rests: from there on nobody but the plan writes to it. Gives the state that it has at
 * least; undefined where none is kept warm here, or it did not get there.
 */
export async function restWarm(context: TakeOver, io: StepIo): Promise<Moment | undefined> {
  const { ports, move, parameters } = context;
  const warm = ports.warm(move.pair);
  if (warm === undefined) return undefined;
  const at = await momentOf(context);
  const status = await warm.status();
  // What a warm standby follows is the journal of the pair's acting server.
  const usable =
    status?.source === move.from &&
    status.target === move.to &&
    status.phase !== 'stalled' &&
    parameters.at === undefined;
  /** Accounts that the engine could not serve; undefined when it did not get there at all. */
  let leftOut: readonly string[] | undefined;
  if (usable) {
    const timer = new AbortController();
    const late = ports.clock
      .sleep(WARM_WAIT_MS, timer.signal)
      .then(() => timer.abort(new Error('it took too long')))
      .catch(() => {
        // It was there in time.
      });
    try {
      await warm.caughtUp(at.lsn, AbortSignal.any([io.signal, timer.signal]));
      const after = await warm.status();
      // Where the standby has failed since, it is not known any more who was left out.
      if (after !== undefined && after.phase !== 'stalled') {
        leftOut = [...new Set([...after.problems.map(({ account }) => account), ...after.incomplete])];
      }
    } catch (error) {
      io.signal.throwIfAborted();
      io.note(
        `the warm standby did not get there by itself (${messageOf(error)}); it is compared as a whole`,
      );
    } finally {
      timer.abort();
      await late;
    }
  }
  await warm.pause();
  if (leftOut === undefined) return undefined;
  await bringLeftOut(context, io, at, concerned(context, leftOut));
  return at;
}

/** As a whole: how far they are is not known. */
async function bringLeftOut(
  context: TakeOver,
  io: StepIo,
  at: Moment,
  leftOut: readonly string[],
): Promise<void> {
  const living = new Set(leftOut.length === 0 ? [] : await accountsOf(context, at.lsn));
  const accounts = leftOut.filter((account) => living.has(account));
  if (accounts.length === 0) return;
  const held = new Map((await heldAccounts(context)).map((one) => [one.account, one.at]));
  const jobs = [...Map.groupBy(accounts, (account) => held.get(account) ?? at.lsn)];
  for (const [lsn, names] of jobs) {
    const report = await bringUp(context, io, { at: lsn, accounts: names });
    await noteOutcome(io, report, Number.POSITIVE_INFINITY, 'finish', names);
  }
}

/** Accounts of the plan of which the journal got anything after the moment. */
export async function changedSince(context: TakeOver, { lsn }: Moment): Promise<readonly string[]> {
  return concerned(context, await context.ports.changedSince(context.move.from, lsn));
}

async function heldAccounts(context: TakeOver): Promise<readonly HeldAccount[]> {
  const { ports, move, parameters } = context;
  // With --at the operator has chosen the state.
  if (parameters.at !== undefined) return [];
  const warm = ports.warm(move.pair);
  // What is held is of the journal of the server that was live.
  if (warm === undefined || ports.config.pairs[move.pair]?.live !== move.from) return [];
  const held = await warm.held();
  const wanted = new Set(
    concerned(
      context,
      held.map(({ account }) => account),
    ),
  );
  return held
    .filter(({ account }) => wanted.has(account))
    .map(({ account, at, removed, of }) => ({ account, at, removed, of }));
}

export function bringUp(
  { ports, place }: Pick<TakeOver, 'ports' | 'place'>,
  io: StepIo,
  request: { readonly at: Lsn; readonly accounts?: readonly string[]; readonly since?: Lsn },
): Promise<BringUpReport> {
  return ports.standby.bringUp(place, request, { signal: io.signal, progress: io.progress });
}

/** Notes what a person wants to know of it. @throws TAKEOVER_ACCOUNTS_NOT_FINISHED when nothing could be done */
export async function noteOutcome(
  io: StepIo,
  report: BringUpReport,
  accounts: number,
  step = 'finish',
  tried?: readonly string[],
): Promise<void> {
  const failed = new Set(report.problems.map(({ account }) => account));
  if (accounts > 0 && failed.size >= accounts) {
    const { code, message, remedy } = report.problems[0] as Problem;
    throw takeOverErrors.make(
      'TAKEOVER_ACCOUNTS_NOT_FINISHED',
      `no account could be restored: ${code}: ${message}`,
      {
        remedy,
      },
    );
  }
  await rememberProblems(io, step, report.problems, tried);
  for (const { account, mailbox, into, messages } of report.kept.slice(0, 100)) {
    io.note(
      `${account}: ${counted(messages, 'message')} of ${mailbox} that only the target held are kept in ${into}`,
    );
  }
  for (const { why } of report.notKept.slice(0, 20)) io.note(why);
}

export function summaryOf(report: BringUpReport) {
  return {
    accounts: report.accounts,
    messagesRestored: report.messagesRestored,
    bytesRestored: report.bytesRestored,
    repaired: report.repaired.length,
    kept: report.kept.map(({ account, mailbox, into, uids, messages }) => ({
      account,
      mailbox,
      into,
      uids,
      messages,
    })),
    problems: report.problems.length,
  };
}

/** STATUS of every mailbox on both sides; what differs is set right once. */
export const certify: PlanStep<TakeOver> = {
  name: 'certify',
  always: true,
  sentence: ({ move }) => `Compare every mailbox of ${move.to} with the replica`,
  isDone: async (_, io) => recall(io, 'quick') !== undefined,
  async run(context, io) {
    const at = recall(io, 'at') ?? (await momentOf(context));
    const held = recall(io, 'held') ?? [];
    return quickCertificate(context, io, at, held);
  },
};

/**
 * Every mailbox compared, of all accounts or of `only`; what differs is repaired once. With `earlier`, the certificate of all of them as they were before
 * `only` changed, what it says of the others still holds. @throws TAKEOVER_STANDBY_DIFFERS when none of those compared is equal
 */
export async function quickCertificate(
  context: TakeOver,
  io: StepIo,
  at: Moment,
  held: readonly HeldAccount[],
  only?: readonly string[],
  earlier?: QuickCertificate,
) {
  const { ports, place } = context;
  const isHeld = new Set(held.map(({ account }) => account));
  const named = only !== undefined && earlier === undefined ? only : await accountsOf(context, at.lsn);
  const all = named.filter((account) => !isHeld.has(account));
  const accounts = only === undefined ? all : only.filter((account) => !isHeld.has(account));
  const options = { signal: io.signal, progress: io.progress };
  const compare = async (names: readonly string[], lsn: Lsn): Promise<QuickReport> =>
    names.length === 0
      ? { equal: true, accounts: 0, differences: [] }
      : ports.standby.quickCompare(place, { at: lsn, accounts: names }, options);

  let { differences } = await compare(accounts, at.lsn);
  const differing = [...new Set(differences.map(({ account }) => account))];
  if (differing.length > 0) {
    const report = await bringUp(context, io, { at: at.lsn, accounts: differing });
    await noteOutcome(
      io,
      report,
      Number.POSITIVE_INFINITY,
      'certify',
      only === undefined ? undefined : differing,
    );
    differences = (await compare(differing, at.lsn)).differences;
  }
  const left = new Set(differences.map(({ account }) => account));
  if (left.size > 0 && left.size === accounts.length) {
    const { account, mailbox, what, expected, found } = differences[0] as (typeof differences)[number];
    throw takeOverErrors.make(
      'TAKEOVER_STANDBY_DIFFERS',
      `${counted(left.size, 'account')} differ, first ${account} ${mailbox ?? ''}: ${what} is ${found ?? 'absent'}, wanted ${expected ?? 'absent'}`,
    );
  }
  const problems = [...left].map((account) => ({
    account,
    code: 'TAKEOVER_STANDBY_DIFFERS',
    message: differences
      .filter((difference) => difference.account === account)
      .slice(0, 3)
      .map(
        ({ mailbox, what, expected, found }) => `${mailbox ?? ''} ${what}: ${found} in place of ${expected}`,
      )
      .join('; '),
    remedy: 'Compare it: understudy verify SERVER --against STANDBY --account ACCOUNT',
  }));
  // Whatever had kept an account from being brought up is over where it is as it should be.
  const equal = accounts.filter((account) => !left.has(account));
  for (const step of ['finish', 'certify', 'carry-back']) await rememberProblems(io, step, [], equal);
  const others = new Set(earlier === undefined ? [] : all);
  for (const account of accounts) others.delete(account);
  await rememberProblems(io, 'quick', problems, earlier === undefined ? undefined : [...accounts, ...isHeld]);
  const differingNow = (recall(io, 'problems') ?? []).filter(({ step }) => step === 'quick');
  const before = ((earlier?.differences ?? []) as unknown as QuickReport['differences']).filter(
    ({ account }) => others.has(account),
  );
  const certificate: QuickCertificate = {
    equal: differingNow.length === 0,
    accounts: others.size + accounts.length,
    comparedAt: ports.clock.wallMs(),
    repairedAccounts: (earlier?.repairedAccounts ?? 0) + differing.length,
    differences: [...before, ...differences].slice(0, 200) as unknown as JsonValue,
  };
  await remember(io, 'quick', certificate);
  return certificate;
}
