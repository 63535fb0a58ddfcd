/** After the move: be a client, protect the acting server, prove that nothing changed for people. */
import type { JsonValue } from '../../../lib/index.ts';
import { counted } from '../../../lib/index.ts';
import type { ProbeReport } from '../../../workloads/mail/probe/index.ts';
import type { PlanStep, StepIo } from '../../index.ts';
import { accountsOf, momentOf, someAccountsOf } from '../accounts.ts';
import { recall, remember, type TakeOver } from '../context.ts';
import { takeOverErrors } from '../errors.ts';

/** Bodies that the deep certificate reads, over all accounts. */
const SAMPLED_BODIES = 500;

/** So many accounts are tried, where none is kept for it. */
const PROBED_MOST = 3;

export const probe: PlanStep<TakeOver> = {
  name: 'probe',
  always: true,
  sentence: ({ move, pair }) =>
    pair.probe === undefined
      ? `Log in to ${move.to} as a client, and read`
      : `Be a client of ${move.to}: log in, read, append, receive`,
  isDone: async (_, io) => recall(io, 'probe') !== undefined,
  async run(context, io) {
    await noteOpen(context, io);
    const report = await probeServer(context, context.move.to, io);
    if (report === undefined) return { account: null };
    await remember(io, 'probe', report as unknown as JsonValue);
    return { account: report.account, elapsedMs: report.elapsedMs };
  },
};

/**
 * As the account that is kept for it; without one as some that were brought up without a problem, until one can work. Undefined where there
 * is none. @throws TAKEOVER_PROBE_FAILED
 */
export async function probeServer(
  context: TakeOver,
  server: string,
  io: StepIo,
): Promise<ProbeReport | undefined> {
  const { ports, pair } = context;
  const accounts = pair.probe === undefined ? await someAccounts(context, io) : [pair.probe.account];
  const failed: ProbeReport[] = [];
  for (const account of accounts) {
    const report = await ports.probe(server, {
      account,
      write: pair.probe !== undefined,
      signal: io.signal,
      ...(pair.probe?.secret === undefined ? {} : { secret: pair.probe.secret.reveal() }),
    });
    if (report.ok) {
      for (const one of failed) io.note(`not for ${whyFailed(one)}`);
      return report;
    }
    failed.push(report);
  }
  const [first] = failed;
  if (first === undefined) return undefined;
  const others = failed.length > 1 ? `; nor could ${failed.length - 1} other accounts work` : '';
  const step = first.steps.find(({ state }) => state === 'failed');
  throw takeOverErrors.make('TAKEOVER_PROBE_FAILED', `on ${server}, ${whyFailed(first)}${others}`, {
    details: { account: first.account, server, step: step?.name, code: step?.error?.code },
  });
}

function whyFailed({ account, steps }: ProbeReport): string {
  const failed = steps.find(({ state }) => state === 'failed');
  return `${account}: ${failed?.name ?? 'probe'} failed: ${failed?.error?.message ?? failed?.detail ?? ''}`;
}

/** An account with a problem of its own, that is told already, says nothing of the server. */
async function someAccounts(context: TakeOver, io: StepIo): Promise<readonly string[]> {
  const { lsn } = await momentOf(context);
  const troubled = new Set((recall(io, 'problems') ?? []).map(({ account }) => account));
  const accounts = await accountsOf(context, lsn);
  return accounts.filter((account) => !troubled.has(account)).slice(0, PROBED_MOST);
}

/** Where clients had been led on before the step that does it, nobody noted when: it was no later than now. */
async function noteOpen({ ports }: TakeOver, io: StepIo): Promise<void> {
  if (recall(io, 'doorOpen') === undefined) await remember(io, 'doorOpen', ports.clock.wallMs());
}

/** From here on the acting server is shadowed, and the fenced one is not followed any more. */
export const protect: PlanStep<TakeOver> = {
  name: 'protect',
  sentence: ({ move, ports }) =>
    ports.following.continuous
      ? `Shadow ${move.to}, which acts now`
      : `Shadow ${move.to}, which acts now, once; a service goes on with it`,
  async isDone({ ports, move, parameters }) {
    if (!ports.following.follows(move.to)) return false;
    const { acting } = await ports.roles.read(move.pair);
    if (parameters.accounts === undefined) return acting === move.to;
    const elsewhere = new Set((await ports.roles.moved(move.pair))?.accounts ?? []);
    return parameters.accounts.every((account) => elsewhere.has(account) === (acting !== move.to));
  },
  async run(context, io) {
    const { ports, move, parameters } = context;
    // A pass over it may take long.
    await noteOpen(context, io);
    await takeRoles(context, io, move.to);
    await ports.following.followRoles();
    if (ports.following.continuous) {
      io.note(`the service follows ${move.to} into a journal of its own`);
      return { following: true };
    }
    const summary = await ports.following.pass(move.to, { signal: io.signal, progress: io.progress });
    io.note(`${move.to} is shadowed up to lsn:${summary.lsn}; start the service to go on: understudy run`);
    await remember(io, 'protected', { lsn: summary.lsn, accounts: summary.accounts });
    return { following: false, lsn: summary.lsn, accounts: parameters.accounts?.length ?? summary.accounts };
  },
};

/**
 * Writes down that `server`, one of the two of the move, has the accounts now: all of the pair, or those that the plan moves. May be repeated.
 */
export async function takeRoles(
  { ports, move, parameters }: TakeOver,
  io: StepIo,
  server: string,
): Promise<void> {
  const { pair, plan } = move;
  const moved = await ports.roles.moved(pair);
  if (parameters.accounts !== undefined) {
    const { acting, former } = await ports.roles.read(pair);
    const elsewhere = new Set(moved?.accounts);
    for (const account of parameters.accounts) {
      if (server === acting) elsewhere.delete(account);
      else elsewhere.add(account);
    }
    await ports.roles.writeMoved({ pair, server: former, accounts: [...elsewhere], plan });
    return;
  }
  const former = server === move.to ? move.from : move.to;
  // Where the whole pair goes nobody is elsewhere any more; the way back makes it as it was.
  if (server === move.to && moved !== undefined && recall(io, 'movedBefore') === undefined) {
    await remember(io, 'movedBefore', moved);
  }
  await ports.roles.write({ pair, acting: server, former, since: ports.clock.wallMs(), plan });
  const before = recall(io, 'movedBefore');
  if (before === undefined) return;
  await ports.roles.writeMoved(server === move.to ? { pair, server: former, accounts: [], plan } : before);
}

/** UIDs, flags, dates, and the bytes of a sample; people work meanwhile, so what they changed shows here too. */
export const verify: PlanStep<TakeOver> = {
  name: 'verify',
  always: true,
  sentence: ({ move }) => `Compare UIDs, flags, dates and sampled bodies of ${move.to} with the replica`,
  isDone: async (_, io) => recall(io, 'deep') !== undefined,
  async run(context, io) {
    const { ports, place, move } = context;
    const at = recall(io, 'at') ?? (await momentOf(context));
    const reports = [];
    for (const account of (await someAccountsOf(context, at.lsn)) ?? [undefined]) {
      reports.push(
        await ports.standby.verify(
          place,
          {
            at: at.lsn,
            bodies: { sample: SAMPLED_BODIES },
            ...(account === undefined ? {} : { account }),
          },
          { signal: io.signal, progress: io.progress },
        ),
      );
    }
    const differences = reports.flatMap((report) => report.differences);
    const count = reports.reduce((sum, report) => sum + report.differenceCount, 0);
    if (count > 0) {
      io.note(
        `${counted(count, 'difference')} between ${context.move.to} and the replica of ${context.move.from}: what people have changed since, or what is wrong; the report lists them`,
      );
    }
    for (const { account, messages } of reports.flatMap(({ onlyThere = [] }) => onlyThere).slice(0, 100)) {
      io.note(
        `${account} is no account of ${move.from} any more: ${counted(messages, 'message')} stay on ${move.to} as they are`,
      );
    }
    await remember(io, 'deep', {
      certificates: reports.map(({ certificate }) => certificate),
      equal: count === 0,
      differenceCount: count,
      differences: differences.slice(0, 200),
      problems: reports.flatMap(({ problems }) => problems).slice(0, 200),
    } as unknown as JsonValue);
    return { equal: count === 0, differences: count };
  },
};
