/**
 * The way back after people have worked on the server that took over: what they wrote comes along. Its journal is restored onto the former
 * server as a standby's is; what only that one held (mail that was never seen, before it was lost) is moved aside there, and reported.
 *
 * The long part happens while people go on working; they wait only for its tail.
 */
import type { Catalog } from '../../catalog/index.ts';
import { sameValues } from '../../directory/index.ts';
import type { Lsn } from '../../journal/index.ts';
import { counted, hasCode, type JsonValue, messageOf } from '../../lib/index.ts';
import type { PlanRecord, PlanStep, StepIo } from '../index.ts';
import { accountsOf, momentOf } from './accounts.ts';
import { type Moment, recall, remember, type TakeOver } from './context.ts';
import { takeOverErrors } from './errors.ts';
import { isMoved } from './people-moved.ts';
import { bindBack } from './steps/bindings.ts';
import { setDoors } from './steps/door.ts';
import { fence } from './steps/fence.ts';
import { bringUp, noteOutcome, quickCertificate, summaryOf } from './steps/finish.ts';
import { notCarriedBack, readForTheWayBack } from './steps/reading.ts';
import { probeServer, takeRoles } from './steps/serve.ts';
import { endSessionsOrTell } from './steps/sessions.ts';
import { summaryOf as summaryOfSweep, sweep } from './steps/sweep.ts';

/** Before anything is done about it, so long is a server waited for that has just been switched on. */
const FORMER_GREETS_WITHIN_MS = 10_000;
const GREETING_WITHIN_MS = 1_000;
const FORMER_WAIT_MS = 60_000;
const ASK_EVERY_MS = 1_000;
/** A server that has just begun may take a question and never answer it; the next one it does. */
const ASK_WITHIN_MS = 10_000;

/** Undefined while nobody can have worked on the new server: then undoing the steps is enough. */
export function rollbackSteps(
  { subset }: TakeOver,
  record: PlanRecord,
): readonly PlanStep<TakeOver>[] | undefined {
  if (!isMoved(record)) return undefined;
  const begin = [unfence(isFenced(record)), carryAhead, holdBack, carryBack, bindToFormer, rehomeBack];
  // The former server follows at once, but where it did all the time: then the other one is looked at while somebody follows these accounts there.
  return subset
    ? [...begin, sweepBack, protectBack, probeBack]
    : [...begin, protectBack, sweepBack, probeBack];
}

/** Also where its fence found its work done. A plan that failed before has fenced nobody, and a rollback that is given up must not either. */
function isFenced({ steps }: PlanRecord): boolean {
  return steps.some(
    ({ name, direction, state, attempts }) =>
      name === 'fence' && direction === 'forward' && (attempts > 0 || state !== 'pending'),
  );
}

/**
 * A former server that is not there would let the rollback fail after its fence was taken back. Where a fence can be taken back it may be
 * the reason why the server is silent. @throws TAKEOVER_FORMER_UNREACHABLE
 */
export async function rollbackPreflight(
  { ports, move, fences }: TakeOver,
  record: PlanRecord,
): Promise<void> {
  if (isFenced(record) && fences.some(({ undoable }) => undoable)) return;
  const orElse =
    record.state === 'done'
      ? `or stay: understudy plan commit ${move.plan}`
      : `or go on with it: understudy plan resume ${move.plan}`;
  const deadline = ports.clock.monotonicMs() + FORMER_GREETS_WITHIN_MS;
  while (!(await ports.answers(move.from, GREETING_WITHIN_MS))) {
    if (ports.clock.monotonicMs() > deadline) {
      throw takeOverErrors.make('TAKEOVER_FORMER_UNREACHABLE', `${move.from} does not answer`, {
        remedy: `Bring ${move.from} up${isFenced(record) ? ' (it stays fenced)' : ''}, then: understudy plan rollback ${move.plan} · ${orElse}`,
      });
    }
    await ports.clock.sleep(ASK_EVERY_MS);
  }
}

/** The same plan seen from the other side: the acting server's own journal onto the former one. */
function reversed(context: TakeOver): TakeOver {
  const { move, from, to, parameters } = context;
  const { at: _, ...rest } = parameters;
  return {
    ...context,
    move: { ...move, from: move.to, to: move.from },
    place: { source: move.to, target: move.from },
    from: to,
    to: from,
    parameters: { ...rest, from: move.to, to: move.from },
  };
}

const unfence = (fenced: boolean): PlanStep<TakeOver> => ({
  name: 'unfence',
  always: true,
  sentence: ({ move, fences }) =>
    `${!fenced || fences.length === 0 ? '' : 'Take the fence back, and '}wait for ${move.from}, which stays out of reach for people`.replace(
      /^w/,
      'W',
    ),
  isDone: async (_, io) => recall(io, 'unfencedInRun') === io.runs,
  async run(context, io) {
    insistOnDirectory(context, io);
    await restStandby(context);
    if (fenced) await fence.undo?.(context, io);
    await formerAnswers(context, io);
    await remember(io, 'unfencedInRun', io.runs);
  },
  // People stay where they are: the former server must not serve beside.
  undo: async (context, io) => (fenced ? fence.run(context, io) : undefined),
});

/** Without it people would stay bound to the server that they are taken off. @throws TAKEOVER_DIRECTORY_MISSING */
function insistOnDirectory({ directory, move }: TakeOver, io: StepIo): void {
  const bindings = recall(io, 'bindings') ?? [];
  if (directory !== undefined || bindings.length === 0) return;
  throw takeOverErrors.make(
    'TAKEOVER_DIRECTORY_MISSING',
    `${counted(bindings.length, 'account')} were bound anew in a directory that pair ${move.pair} does not have any more`,
    {
      remedy: `Give pair ${move.pair} its \`directory\` again, then: understudy plan rollback ${move.plan}`,
    },
  );
}

/**
 * One writes to the former server at a time, and once a failback is done that one is a standby again, which may be kept warm. Nobody begins with it
 * anew while the plan goes back; when that has ended the roles say whether it is.
 */
async function restStandby({ ports, move }: TakeOver): Promise<void> {
  await ports.warm(move.pair)?.pause();
}

async function formerAnswers({ ports, move }: TakeOver, io: StepIo): Promise<void> {
  const deadline = ports.clock.monotonicMs() + FORMER_WAIT_MS;
  for (;;) {
    const late = new AbortController();
    const timer = new AbortController();
    ports.clock.sleep(ASK_WITHIN_MS, timer.signal).then(
      () => late.abort(new Error(`no answer within ${ASK_WITHIN_MS} ms`)),
      () => {}, // It answered.
    );
    try {
      const signal = AbortSignal.any([io.signal, late.signal]);
      await ports.standby.features({ source: move.to, target: move.from }, { signal });
      return;
    } catch (error) {
      io.signal.throwIfAborted();
      if (ports.clock.monotonicMs() > deadline) {
        throw takeOverErrors.make(
          'TAKEOVER_FORMER_UNREACHABLE',
          `${move.from} does not answer: ${messageOf(error)}`,
          { cause: error },
        );
      }
      await ports.clock.sleep(ASK_EVERY_MS, io.signal);
    } finally {
      timer.abort();
    }
  }
}

const carryAhead: PlanStep<TakeOver> = {
  name: 'carry-ahead',
  always: true,
  sentence: ({ move }) =>
    `Bring ${move.from} up to what was written on ${move.to}, while people go on working`,
  isDone: async (_, io) => recall(io, 'carriedAheadInRun') === io.runs,
  async run(context, io) {
    const carried = await carry(reversed(context), io);
    if (carried !== undefined) {
      await remember(io, 'carriedAhead', carried.at);
      await remember(io, 'carriedBack', carried.summary);
    }
    await remember(io, 'carriedAheadInRun', io.runs);
    return carried?.summary;
  },
  // What it brought is there for the next rollback; nobody works on that server.
  undo: async () => {},
};

/** Undefined: nothing could be, and there is a reason to leave it behind. @throws TAKEOVER_NOT_CARRIED_BACK unless there is */
async function carry(back: TakeOver, io: StepIo, since?: Moment) {
  await restStandby(back);
  const isRead = await readForTheWayBack(back, io);
  if (!isRead && !(await wasReadSinceTheMove(back, io))) {
    io.note(
      `${back.move.from} was not read as a whole after people had come to it: what its journal got since is carried over as new mail at the end, nothing else`,
    );
    return undefined;
  }
  const at = await momentOf(back);
  const accounts = await accountsOf(back, at.lsn);
  const report = await bringUp(back, io, {
    at: at.lsn,
    accounts,
    ...(since === undefined ? {} : { since: since.lsn }),
  });
  await noteOutcome(io, report, accounts.length, 'carry-back');
  const [first] = report.problems;
  if (first !== undefined && io.reason === undefined) {
    const { account, code, message } = first;
    throw notCarriedBack(
      back,
      `${counted(report.problems.length, 'problem')}, first ${account}: ${code}: ${message}`,
    );
  }
  return { at, summary: summaryOf(report), accounts };
}

/** Else its journal may be of a time long before, when it acted last, and would bring the former server back to that. */
async function wasReadSinceTheMove(back: TakeOver, io: StepIo): Promise<boolean> {
  if (recall(io, 'protected') !== undefined) return true;
  const open = recall(io, 'doorOpen');
  if (open === undefined) return false;
  const pass = await ofJournal(back, (catalog) =>
    catalog.checkpoints().findLast(({ cause }) => cause === 'pass'),
  );
  return pass !== undefined && pass.time >= open;
}

/** What the journal of the acting server had when people came to it. */
async function lsnAtTheMove(back: TakeOver, io: StepIo): Promise<Lsn> {
  const begun = recall(io, 'doorOpen') ?? recall(io, 'doorShut') ?? back.ports.clock.wallMs();
  return (await ofJournal(back, (catalog) => catalog.commitAtTime(begun)))?.lsn ?? (0 as Lsn);
}

/** Undefined also where the server has none: it was lost before it was ever read. */
async function ofJournal<T>(
  { ports, move }: TakeOver,
  ask: (catalog: Catalog) => T | undefined,
): Promise<T | undefined> {
  try {
    return await ports.withReader(move.from, async ({ catalog }) => ask(catalog));
  } catch (error) {
    if (hasCode(error, 'CATALOG_VAULT_MISSING')) return undefined;
    throw error;
  }
}

const holdBack: PlanStep<TakeOver> = {
  name: 'hold-back',
  // People are let in again when the rest cannot be carried back; the next try holds them again.
  lasting: true,
  sentence: ({ move }) => `Quiesce ${move.to}: hold new clients, let the others end, unbind`,
  isDone: async (_, io) => recall(io, 'heldBack') === true,
  async run(context, io) {
    const { ports, move, rehomes, pair } = context;
    insistOnDirectory(context, io);
    await remember(io, 'doorShutBack', ports.clock.wallMs());
    const [moved] = await orLetIn(context, io, () =>
      Promise.all([
        setDoors(rehomes, { mode: 'hold', server: move.from }, io),
        pair.failover.unbind ? bindBack(context, io, ['bound', 'unbound'], 'unbound') : undefined,
      ]),
    );
    await endSessionsOrTell(context, move.to, io);
    await remember(io, 'heldBack', true);
    return moved;
  },
};

/** What fails while people wait lets them work on the acting server again: the way back is no reason to keep anybody out. */
async function orLetIn<T>(context: TakeOver, io: StepIo, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    io.signal.throwIfAborted();
    const { rehomes, move, pair } = context;
    await remember(io, 'heldBack', false);
    try {
      await setDoors(rehomes, { mode: 'open', server: move.to }, io);
      if (pair.failover.unbind) await bindBack(context, io, ['unbound', 'bound'], 'bound');
    } catch (also) {
      io.note(`people cannot be let in to ${move.to} again by themselves: ${messageOf(also)}`);
    }
    throw error;
  }
}

const carryBack: PlanStep<TakeOver> = {
  name: 'carry-back',
  always: true,
  sentence: ({ move }) => `Carry the last changes of ${move.to} back to ${move.from}, and compare`,
  // Each try keeps people waiting.
  retries: { times: 3, pauseMs: 1_000 },
  isDone: async (_, io) => recall(io, 'carriedTail') !== undefined,
  async run(context, io) {
    // They were let in again when the last try failed, and what they write while this one works would be left behind.
    if (recall(io, 'heldBack') === false) await holdBack.run(context, io);
    const back = reversed(context);
    const tail = await orLetIn(context, io, async () => {
      const carried = await carry(back, io, recall(io, 'carriedAhead'));
      if (carried === undefined) return { at: await lsnAtTheMove(back, io) };
      await quickCertificate(back, io, carried.at, [], carried.accounts);
      return { at: carried.at.lsn, ...carried.summary };
    });
    await remember(io, 'carriedTail', tail);
    return tail;
  },
};

const bindToFormer: PlanStep<TakeOver> = {
  name: 'bind-back',
  sentence: ({ move, directory }) =>
    directory === undefined
      ? 'No directory to change'
      : `Bind the accounts to ${move.from}, exactly as before`,
  async isDone(context, io) {
    insistOnDirectory(context, io);
    const { directory } = context;
    const bindings = recall(io, 'bindings');
    if (directory === undefined || bindings === undefined) return true;
    const now = await directory.bindings(
      bindings.map(({ account }) => account),
      undefined,
      io.signal,
    );
    const values = new Map(now.map((binding) => [binding.dn, binding.values]));
    return bindings.every(({ dn, values: before }) => {
      const found = values.get(dn);
      return found !== undefined && sameValues(found, before);
    });
  },
  async run(context, io) {
    return { accounts: await bindBack(context, io, ['unbound', 'bound']) };
  },
};

const rehomeBack: PlanStep<TakeOver> = {
  name: 'rehome-back',
  sentence: ({ move }) => `Move clients back to ${move.from}`,
  // A command that was to be taken back cannot be asked whether it was: `isDone` of it tells where clients are led by its `run`.
  isDone: async (_, io) => recall(io, 'doorOpenBack') !== undefined,
  async run({ rehomes, move, ports }, io) {
    let clientsMoved = 0;
    for (const one of [...rehomes].sort((a, b) => Number(b.holds) - Number(a.holds))) {
      const outcome = one.holds
        ? await one.run({ mode: 'open', server: move.from })
        : await one.undo({ mode: 'open', server: move.from });
      clientsMoved += outcome.clientsMoved;
      if (outcome.left !== undefined) io.note(`${one.name}: ${outcome.left}`);
    }
    await remember(io, 'doorOpenBack', ports.clock.wallMs());
    return { clientsMoved };
  },
};

const sweepBack: PlanStep<TakeOver> = {
  name: 'sweep-back',
  always: true,
  sentence: ({ move }) => `Look at all of ${move.to} once more, and carry back what came late`,
  isDone: async (_, io) => recall(io, 'stragglersBack') !== undefined,
  async run(context, io) {
    const back = reversed(context);
    const since = recall(io, 'carriedTail')?.at ?? (await momentOf(back)).lsn;
    const { report } = await sweep(back, io, since, { pass: 'sweep-pass-back', carry: 'sweep-back' });
    await remember(io, 'stragglersBack', report as unknown as JsonValue);
    return summaryOfSweep(report);
  },
};

const probeBack: PlanStep<TakeOver> = {
  name: 'probe-back',
  always: true,
  sentence: ({ move }) => `Be a client of ${move.from}`,
  isDone: async (_, io) => recall(io, 'probedBack') !== undefined,
  async run(context, io) {
    const report = await probeServer(context, context.move.from, io);
    await remember(io, 'probedBack', true);
    return { account: report?.account ?? null };
  },
};

const protectBack: PlanStep<TakeOver> = {
  name: 'protect-back',
  sentence: ({ move }) => `Shadow ${move.from} again`,
  isDone: async () => false,
  async run(context, io) {
    const { ports, move } = context;
    await takeRoles(context, io, move.from);
    await ports.following.followRoles();
    if (ports.following.continuous) return { following: true };
    const { lsn } = await ports.following.pass(move.from, { signal: io.signal, progress: io.progress });
    return { following: false, lsn };
  },
};
