/**
 * Mail that came to a server by another way after people had left it: a look at all of it finds that, and it is brought along. That server may be
 * lost by then: people work on the other one, and nothing waits for it.
 */
import type { Lsn } from '../../../journal/index.ts';
import { counted, hasCode, type JsonValue } from '../../../lib/index.ts';
import type { CarryOverReport } from '../../../workloads/mail/carry-over/index.ts';
import type { PlanStep, StepIo } from '../../index.ts';
import { accountsOf, momentOf, someAccountsOf } from '../accounts.ts';
import { recall, remember, rememberProblems, type TakeOver } from '../context.ts';
import { type ReadingStep, readIfThere } from './reading.ts';

export const sweepBehind: PlanStep<TakeOver> = {
  name: 'sweep',
  always: true,
  sentence: ({ move }) => `Look at all of ${move.from} once more, and carry over what came late`,
  isDone: async (_, io) => recall(io, 'stragglers') !== undefined,
  async run(context, io) {
    const at = recall(io, 'at') ?? (await momentOf(context));
    const { late, report } = await sweep(context, io, at.lsn, { pass: 'sweep-pass', carry: 'sweep' });
    const unswept = late ?? (await accountsOf(context, at.lsn));
    // Also that there is none any more: an earlier run of this step may have been killed after it had said who.
    if (unswept.length > 0 || recall(io, 'unswept') !== undefined) await remember(io, 'unswept', unswept);
    await remember(io, 'stragglers', report as unknown as JsonValue);
    return summaryOf(report);
  },
};

/**
 * Carries over what the journal of `from` got after `since`. Gives the accounts of which nobody can tell whether something came late;
 * undefined = all of them: the server cannot be read.
 */
export async function sweep(
  context: TakeOver,
  io: StepIo,
  since: Lsn,
  steps: { readonly pass: ReadingStep; readonly carry: string },
): Promise<{ readonly late: readonly string[] | undefined; readonly report: CarryOverReport }> {
  const { move } = context;
  const read = await readIfThere(context, io, steps.pass);
  const report = await carryOver(context, io, since);
  await rememberProblems(io, steps.carry, report.problems);
  const appended = appendedOf(report);
  if (appended > 0) {
    io.note(
      `${counted(appended, 'message')} reached ${move.from} after the move and came along to ${move.to}`,
    );
  }
  if (report.removed > 0) {
    io.note(
      `${counted(report.removed, 'message')} went from ${move.from} after the move, and stayed on ${move.to}`,
    );
  }
  if ('lost' in read) {
    const { code, message } = read.lost;
    io.note(
      `${move.from} could not be looked at once more (${message}): whether something came there late is not known. When it is back: understudy shadow ${move.from} --once`,
    );
    const remedy = `When ${move.from} is back, look at it once: understudy shadow ${move.from} --once`;
    await rememberProblems(io, steps.carry, [...report.problems, { account: '*', code, message, remedy }]);
    return { late: undefined, report };
  }
  return { late: [...new Set(read.unread.map(({ account }) => account))], report };
}

async function carryOver(context: TakeOver, io: StepIo, since: Lsn): Promise<CarryOverReport> {
  const { ports, place } = context;
  try {
    const options = { signal: io.signal, progress: io.progress };
    return await ports.standby.carryOver(place, since, await someAccountsOf(context, since), options);
  } catch (error) {
    // Lost before it was ever read.
    if (hasCode(error, 'CATALOG_VAULT_MISSING'))
      return { messages: [], flagsSet: 0, removed: 0, problems: [] };
    throw error;
  }
}

export function summaryOf(report: CarryOverReport) {
  return { messages: appendedOf(report), flags: report.flagsSet, removed: report.removed };
}

export function appendedOf({ messages }: CarryOverReport): number {
  return messages.filter(({ result }) => result === 'appended').length;
}
