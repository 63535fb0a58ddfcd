/** What a switchover does that a failover cannot: the old server is there, and its last changes come along. */
import { messageOf } from '../../../lib/index.ts';
import type { PlanStep, StepIo } from '../../index.ts';
import { accountsOf, momentOf } from '../accounts.ts';
import { type Moment, noteShut, recall, remember, type TakeOver } from '../context.ts';
import { bindBack, rememberedBindings, unbind } from './bindings.ts';
import { allAre, setDoors, undoDoors } from './door.ts';
import { bringToMoment, changedSince, quickCertificate, restWarm } from './finish.ts';
import { insistOnAll, insistOnBursts, lookAt, passOver } from './reading.ts';
import { endSessionsFirmly } from './sessions.ts';

/** More accounts than this are looked at by one pass over all, which asks the server once. */
const LOOKED_AT_SINGLY = 200;
/** With so few accounts changed since, the rest is for the moment when people wait. */
const FEW_CHANGED = 10;
const SMALL_ROUNDS_MOST = 4;

/**
 * Everything that takes long, while people go on working. Done again when the plan is gone on with before anybody was held: by then it is long ago.
 * @throws TAKEOVER_ACCOUNTS_UNREAD, TAKEOVER_BURSTS_HELD, TAKEOVER_LIVE_NOT_CAUGHT_UP
 */
export const prepare: PlanStep<TakeOver> = {
  name: 'prepare',
  always: true,
  lasting: true,
  sentence: ({ move }) => `Bring ${move.to} up to ${move.from} while people go on working`,
  isDone: async (_, io) =>
    recall(io, 'prepared') !== undefined &&
    (recall(io, 'preparedInRun') === io.runs || recall(io, 'doorShut') !== undefined),
  async run(context, io) {
    const unread = await passOver(context, io);
    const first =
      (await restWarm(context, io)) ?? recall(io, 'prepared') ?? (await comparedAsAWhole(context, io));
    // An account that was busy or locked for a moment is not what a move stops for.
    await lookAt(
      context,
      io,
      unread.map(({ account }) => account),
    );
    // What came meanwhile is little: the second round leaves next to nothing for the moment when people wait.
    await insistOnAll(context, io, await passOver(context, io));
    const second = await momentOf(context);
    await bringToMoment(context, io, second, first);
    insistOnBursts(context, io);
    const certificate = await quickCertificate(context, io, second, recall(io, 'held') ?? []);
    await remember(io, 'preparedInRun', io.runs);
    const { lsn } = await smallRounds(context, io, second);
    return { lsn, equal: certificate.equal };
  },
};

/** To compare all took its time: what was committed meanwhile follows, in rounds that are shorter each time. Remembers how far it came. */
async function smallRounds(context: TakeOver, io: StepIo, since: Moment): Promise<Moment> {
  let base = since;
  for (let round = 1; ; round += 1) {
    await remember(io, 'prepared', base);
    const at = await momentOf(context);
    const changed = at.lsn === base.lsn ? [] : await changedSince(context, base);
    if (changed.length <= FEW_CHANGED || round > SMALL_ROUNDS_MOST) return base;
    await bringToMoment(context, io, at, base, changed);
    insistOnBursts(context, io);
    await quickCertificate(context, io, at, recall(io, 'held') ?? [], changed, recall(io, 'quick'));
    base = at;
  }
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
      recall(io, 'sessionsEnded') !== undefined &&
      (await allAre(rehomes, { mode: 'hold', server: move.to })) &&
      (await unbind.isDone(context, io))
    );
  },
  async run(context, io) {
    const { rehomes, move, directory } = context;
    if (directory !== undefined) await rememberedBindings(context, directory, io);
    if (!rehomes.some(({ holds }) => holds)) await noteShut(context, io);
    // With many accounts it takes the longest, and whoever comes by the front door goes on working meanwhile.
    await unbind.run(context, io);
    await noteShut(context, io);
    const moved = await setDoors(rehomes, { mode: 'hold', server: move.to }, io);
    const ended = await endSessionsFirmly(context, io);
    const sessionsEnded = !('why' in ended);
    if (sessionsEnded) await remember(io, 'atWork', ended.accounts ?? []);
    await remember(io, 'sessionsEnded', sessionsEnded);
    return { ...moved, sessionsEnded };
  },
  async undo(context, io) {
    const { rehomes, move } = context;
    try {
      await bindBack(context, io, ['unbound', 'bound']);
    } finally {
      // Nobody was moved: a directory that does not take all of it keeps nobody waiting who comes by the front door.
      await undoDoors(rehomes, { mode: 'open', server: move.from }, io);
    }
  },
};

/**
 * The last changes: nobody is at work any more, so the server can be asked who has changed; everybody is looked at where it cannot tell.
 * @throws TAKEOVER_ACCOUNTS_UNREAD, TAKEOVER_BURSTS_HELD, TAKEOVER_LIVE_NOT_CAUGHT_UP
 */
export const drain: PlanStep<TakeOver> = {
  name: 'drain',
  always: true,
  sentence: ({ move }) => `Carry the last changes of ${move.from} over`,
  isDone: async (_, io) => recall(io, 'finished') !== undefined,
  async run(context, io) {
    const prepared = recall(io, 'prepared') ?? (await momentOf(context));
    const why = await whyEverybody(context, io);
    const asking = why === undefined ? changedUnseen(context, io) : why;
    // What is known of is brought over while the server is asked for the rest: people wait for the longer of the two.
    const known = await settled(asking, carryOn(context, io, prepared));
    const unseen = await asking;
    const unread =
      typeof unseen === 'string' ? await passOver(context, io) : await lookAt(context, io, unseen);
    await insistOnAll(context, io, unread);
    const rest = await carryOn(context, io, known.at);
    // Last: what says that this step is done says that these were compared too.
    await remember(io, 'finished', rest.changed > 0 ? rest.finished : known.finished);
    const looked = typeof unseen === 'string' ? { everybody: unseen } : { looked: unseen.length };
    return { lsn: rest.at.lsn, ...looked, changed: known.changed + rest.changed };
  },
};

/** What `work` gives, once `other` has ended too: nothing of this step goes on when it fails. */
async function settled<T>(other: unknown, work: Promise<T>): Promise<T> {
  await Promise.allSettled([other, work]);
  return work;
}

/** From one moment to that of now: what was journaled in between goes to the standby, and is compared there. */
async function carryOn(context: TakeOver, io: StepIo, from: Moment) {
  const at = await momentOf(context);
  await remember(io, 'at', at);
  const held = recall(io, 'held') ?? [];
  if (at.lsn === from.lsn) return { at, finished: { how: 'warm', held: held.length }, changed: 0 };
  const changed = await changedSince(context, from);
  const finished = await bringToMoment(context, io, at, from, changed);
  insistOnBursts(context, io);
  if (changed.length > 0) {
    await quickCertificate(context, io, at, recall(io, 'held') ?? [], changed, recall(io, 'quick'));
  }
  return { at, finished, changed: changed.length };
}

/** Why everybody must be looked at: without all of this something may have changed in any account, for long. */
async function whyEverybody({ ports, move, from }: TakeOver, io: StepIo): Promise<string | undefined> {
  if (from.doveadm === undefined) return `${move.from} cannot tell in one answer who has changed`;
  if (recall(io, 'preparedInRun') !== io.runs) return 'the plan was interrupted meanwhile';
  const lag = await ports.following.lag(move.from);
  if (lag?.lastPassAt === undefined) return `no service follows ${move.from}`;
  return undefined;
}

/**
 * Accounts that the server shows otherwise than the replica: of sessions that ended, and of mail that came, since the last whole look. A
 * sentence where everybody has to be looked at after all.
 */
async function changedUnseen(context: TakeOver, io: StepIo): Promise<readonly string[] | string> {
  const { ports, move } = context;
  const at = await momentOf(context);
  try {
    const { differences } = await ports.standby.quickCompare(
      { source: move.from, target: move.from },
      { accounts: await accountsOf(context, at.lsn), itself: true },
      { signal: io.signal, progress: io.progress },
    );
    const accounts = [...new Set(differences.map(({ account }) => account))];
    return accounts.length > LOOKED_AT_SINGLY ? `${accounts.length} accounts have changed` : accounts;
  } catch (error) {
    io.signal.throwIfAborted();
    return `who has changed could not be asked: ${messageOf(error)}`;
  }
}
