/** After the move: be a client, protect the acting server, prove that nothing changed for people. */
import type { JsonValue } from '../../../lib/index.ts';
import { counted } from '../../../lib/index.ts';
import type { ProbeReport } from '../../../workloads/mail/probe/index.ts';
import type { PlanStep, StepIo } from '../../index.ts';
import { accountsOf, momentOf } from '../accounts.ts';
import { recall, remember, type TakeOver } from '../context.ts';
import { takeOverErrors } from '../errors.ts';

/** Bodies that the deep certificate reads, over all accounts. */
const SAMPLED_BODIES = 500;

export const probe: PlanStep<TakeOver> = {
  name: 'probe',
  always: true,
  sentence: ({ move, pair }) =>
    pair.probe === undefined
      ? `Log in to ${move.to} as a client, and read`
      : `Be a client of ${move.to}: log in, read, append, receive`,
  isDone: async (_, io) => recall(io, 'probe') !== undefined,
  async run(context, io) {
    const report = await probeServer(context, context.move.to, io);
    if (report === undefined) return { account: null };
    await remember(io, 'probe', report as unknown as JsonValue);
    return { account: report.account, elapsedMs: report.elapsedMs };
  },
};

/** @throws TAKEOVER_PROBE_FAILED */
export async function probeServer(
  context: TakeOver,
  server: string,
  io: StepIo,
): Promise<ProbeReport | undefined> {
  const { ports, pair } = context;
  const account = pair.probe?.account ?? (await someAccount(context));
  if (account === undefined) return undefined;
  const report = await ports.probe(server, {
    account,
    write: pair.probe !== undefined,
    signal: io.signal,
    ...(pair.probe?.secret === undefined ? {} : { secret: pair.probe.secret.reveal() }),
  });
  if (report.ok) return report;
  const failed = report.steps.find(({ state }) => state === 'failed');
  throw takeOverErrors.make(
    'TAKEOVER_PROBE_FAILED',
    `${account} on ${server}: ${failed?.name ?? 'probe'} failed: ${failed?.error?.message ?? failed?.detail ?? ''}`,
    { details: { account, server, step: failed?.name, code: failed?.error?.code } },
  );
}

/** One that was brought up without a problem. */
async function someAccount(context: TakeOver): Promise<string | undefined> {
  const { lsn } = await momentOf(context);
  return (await accountsOf(context, lsn))[0];
}

/** From here on the acting server is shadowed, and the fenced one is not followed any more. */
export const protect: PlanStep<TakeOver> = {
  name: 'protect',
  sentence: ({ move, ports }) =>
    ports.following.continuous
      ? `Shadow ${move.to}, which acts now`
      : `Shadow ${move.to}, which acts now, once; a service goes on with it`,
  async isDone({ ports, move, parameters }) {
    const moved = parameters.accounts ?? [];
    if (moved.length > 0) {
      const known = new Set((await ports.roles.moved(move.pair))?.accounts ?? []);
      return ports.following.continuous && moved.every((account) => known.has(account));
    }
    const roles = await ports.roles.read(move.pair);
    return roles?.acting === move.to && ports.following.continuous;
  },
  async run(context, io) {
    const { ports, move, parameters } = context;
    await takeRoles(context, move.to, move.from);
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

/** Writes down who acts: for all accounts, or for those that the plan moves. */
export async function takeRoles(
  { ports, move, parameters }: TakeOver,
  acting: string,
  former: string,
): Promise<void> {
  if (parameters.accounts !== undefined) {
    const known = (await ports.roles.moved(move.pair))?.accounts ?? [];
    const now = new Set(known);
    for (const account of parameters.accounts) {
      if (acting === move.to) now.add(account);
      else now.delete(account);
    }
    await ports.roles.writeMoved({ pair: move.pair, server: move.to, accounts: [...now], plan: move.plan });
    return;
  }
  await ports.roles.write({ pair: move.pair, acting, former, since: ports.clock.wallMs(), plan: move.plan });
}

/** UIDs, flags, dates, and the bytes of a sample; people work meanwhile, so what they changed shows here too. */
export const verify: PlanStep<TakeOver> = {
  name: 'verify',
  always: true,
  sentence: ({ move }) => `Compare UIDs, flags, dates and sampled bodies of ${move.to} with the replica`,
  isDone: async (_, io) => recall(io, 'deep') !== undefined,
  async run(context, io) {
    const { ports, place, parameters } = context;
    const at = recall(io, 'at') ?? (await momentOf(context));
    const reports = [];
    for (const account of parameters.accounts ?? [undefined]) {
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
