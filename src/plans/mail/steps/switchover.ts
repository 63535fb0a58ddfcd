/** What a switchover does that a failover cannot: the old server is there, and its last changes come along. */
import { counted, type JsonValue } from '../../../lib/index.ts';
import type { Problem } from '../../../workloads/mail/index.ts';
import type { PlanStep, StepIo } from '../../index.ts';
import { accountsOf, momentOf, someAccountsOf } from '../accounts.ts';
import { type Moment, noteShut, recall, remember, rememberProblems, type TakeOver } from '../context.ts';
import { takeOverErrors } from '../errors.ts';
import { bindBack, rememberedBindings, unbind } from './bindings.ts';
import { allAre, setDoors, undoDoors } from './door.ts';
import { bringToMoment, changedSince, quickCertificate, restWarm } from './finish.ts';

/** More accounts than this are looked at by one pass over all, which asks the server once. */
const LOOKED_AT_SINGLY = 200;

/** Everything that takes long, while people go on working. */
export const prepare: PlanStep<TakeOver> = {
  name: 'prepare',
  always: true,
  sentence: ({ move }) => `Bring ${move.to} up to ${move.from} while people go on working`,
  isDone: async (_, io) => recall(io, 'prepared') !== undefined,
  async run(context, io) {
    await passOver(context, io);
    const first = (await restWarm(context, io)) ?? (await comparedAsAWhole(context, io));
    // What came meanwhile is little: the second round leaves next to nothing for the moment when people wait.
    await passOver(context, io);
    const second = await momentOf(context);
    await bringToMoment(context, io, second, first);
    const certificate = await quickCertificate(context, io, second, recall(io, 'held') ?? []);
    await remember(io, 'prepared', second);
    return { lsn: second.lsn, equal: certificate.equal };
  },
};

async function passOver({ ports, move }: TakeOver, io: StepIo): Promise<void> {
  const { problems, accounts } = await ports.following.pass(move.from, {
    signal: io.signal,
    progress: io.progress,
  });
  const failed = new Set(problems.map(({ account }) => account));
  if (failed.size > 0 && failed.size >= accounts) {
    const { code, message } = problems[0] as Problem;
    throw takeOverErrors.make(
      'TAKEOVER_LIVE_NOT_CAUGHT_UP',
      `no account of ${move.from} could be read: ${code}: ${message}`,
    );
  }
  await rememberProblems(io, 'pass', problems);
}

async function comparedAsAWhole(context: TakeOver, io: StepIo): Promise<Moment> {
  const at = await momentOf(context);
  await bringToMoment(context, io, at, undefined);
  return at;
}

/** From here until `rehome` people wait. */
export const hold: PlanStep<TakeOver> = {
  name: 'hold',
  sentence: ({ move, rehomes, directory, pair }) => {
    const acts = [
      ...(rehomes.some(({ holds }) => holds)
        ? ['hold new clients at the front door, let the others end']
        : []),
      ...(directory !== undefined && pair.failover.unbind ? [`take the accounts off ${move.from}`] : []),
      `end the sessions on ${move.from}`,
    ];
    return `Quiesce: ${acts.join(', ')}`;
  },
  async isDone(context, io) {
    const { rehomes, move } = context;
    return (
      recall(io, 'active') !== undefined &&
      (await allAre(rehomes, { mode: 'hold', server: move.to })) &&
      (await unbind.isDone(context, io))
    );
  },
  async run(context, io) {
    const { rehomes, move, ports, directory, subset } = context;
    // Whoever works now may have changed something until the moment when the session ends.
    if (recall(io, 'active') === undefined) {
      await remember(io, 'active', (await ports.sessions.who(move.from, io.signal)) ?? []);
    }
    if (directory !== undefined) await rememberedBindings(context, directory, io);
    await noteShut(context, io);
    const [moved] = await Promise.all([
      setDoors(rehomes, { mode: 'hold', server: move.to }, io),
      unbind.run(context, io),
    ]);
    if (!subset) await ports.sessions.kick(move.from, io.signal);
    else await ports.sessions.kick(move.from, io.signal, context.parameters.accounts);
    return moved;
  },
  async undo(context, io) {
    const { rehomes, move } = context;
    await bindBack(context, io, ['unbound', 'bound']);
    await undoDoors(rehomes, { mode: 'open', server: move.from }, io);
  },
};

/** The last changes: of whoever was at work, and of whoever the journal saw lately. */
export const drain: PlanStep<TakeOver> = {
  name: 'drain',
  always: true,
  sentence: ({ move }) => `Carry the last changes of ${move.from} over`,
  isDone: async (_, io) => recall(io, 'finished') !== undefined,
  async run(context, io) {
    const { ports, move } = context;
    const prepared = recall(io, 'prepared') ?? (await momentOf(context));
    const accounts = await accountsAtWork(context, io, prepared);
    const options = { signal: io.signal, progress: io.progress };
    if (accounts.length > LOOKED_AT_SINGLY) await passOver(context, io);
    else if (accounts.length > 0) await ports.following.look(move.from, accounts, options);
    const at = await momentOf(context);
    await remember(io, 'at', at);
    const changed = await changedSince(context, prepared);
    await remember(io, 'finished', await bringToMoment(context, io, at, prepared, changed));
    if (changed.length > 0) await quickCertificate(context, io, at, recall(io, 'held') ?? [], changed);
    return { lsn: at.lsn, looked: accounts.length, changed: changed.length };
  },
};

async function accountsAtWork(context: TakeOver, io: StepIo, prepared: Moment): Promise<readonly string[]> {
  const known = new Set(await accountsOf(context, prepared.lsn));
  const active = new Set([...(recall(io, 'active') ?? []), ...(await changedSince(context, prepared))]);
  return [...active].filter((account) => known.has(account)).sort();
}

/** Mail that came to the old server by another way after all is found by a look at all of it, and brought along. */
export const sweepBehind: PlanStep<TakeOver> = {
  name: 'sweep',
  always: true,
  sentence: ({ move }) => `Look at all of ${move.from} once more, and carry over what came late`,
  isDone: async (_, io) => recall(io, 'stragglers') !== undefined,
  async run(context, io) {
    const { ports, move, place } = context;
    const at = recall(io, 'at') ?? (await momentOf(context));
    await passOver(context, io);
    const report = await ports.standby.carryOver(place, at.lsn, await someAccountsOf(context, at.lsn), {
      signal: io.signal,
      progress: io.progress,
    });
    await rememberProblems(io, 'sweep', report.problems);
    await remember(io, 'stragglers', report as unknown as JsonValue);
    const appended = report.messages.filter(({ result }) => result === 'appended').length;
    if (appended > 0) {
      io.note(
        `${counted(appended, 'message')} reached ${move.from} after the move and came along to ${move.to}`,
      );
    }
    return { messages: appended, flags: report.flagsSet };
  },
};
