/**
 * The directory: accounts are taken off the old server, then bound to the new one. What it said before is remembered before the first
 * write, so that the undoing is exact. A value that somebody else writes meanwhile is never overwritten.
 *
 *   original  --unbind-->  original without the old host  --rebind-->  the old host replaced by the new one
 */

import {
  type Binding,
  type Directory,
  foldValue,
  type Rebinding,
  type RebindOutcome,
} from '../../../directory/index.ts';
import { counted } from '../../../lib/index.ts';
import type { PlanStep, StepIo } from '../../index.ts';
import { noteShut, recall, remember, rememberProblems, type TakeOver } from '../context.ts';
import { takeOverErrors } from '../errors.ts';

export const unbind: PlanStep<TakeOver> = {
  name: 'unbind',
  sentence: ({ move, directory, pair }) =>
    directory === undefined || !pair.failover.unbind
      ? 'Accounts stay bound until they are bound anew'
      : `Take the accounts off ${move.from} in the directory`,
  async isDone({ directory, pair, from, parameters }, io) {
    if (directory === undefined) return true;
    if (recall(io, 'bindings') === undefined) return false;
    if (!pair.failover.unbind) return true;
    return (await directory.bindings(parameters.accounts, from.host, io.signal)).length === 0;
  },
  async run(context, io) {
    const { directory, pair } = context;
    if (directory === undefined) return;
    const bindings = await rememberedBindings(context, directory, io);
    if (!pair.failover.unbind) return { accounts: bindings.length };
    await noteShut(context, io);
    const outcomes = await applyPatiently(
      directory,
      bindings.map((binding) => changeOf(context, binding, 'unbound')),
      io,
    );
    const open = outcomes.filter(isOpen);
    if (open.length > 0 && !isFencedOtherwise(context)) throw incomplete(open);
    await rememberProblems(io, 'unbind', open.map(problemOf));
    return { accounts: bindings.length, unbound: outcomes.length - open.length };
  },
  async undo(context, io) {
    await bindBack(context, io, ['bound', 'unbound']);
  },
};

export const rebind: PlanStep<TakeOver> = {
  name: 'rebind',
  sentence: ({ move, directory }) =>
    directory === undefined ? 'No directory to change' : `Bind the accounts to ${move.to} in the directory`,
  async isDone(context, io) {
    const { directory } = context;
    if (directory === undefined) return true;
    const bindings = recall(io, 'bindings');
    if (bindings === undefined) return false;
    const bound = new Set(
      (await directory.bindings(undefined, context.to.host, io.signal)).map(({ dn }) => dn),
    );
    // An entry may name both; and one may have come after the others were remembered.
    return (
      bindings.every(({ dn }) => bound.has(dn)) && (await stillBound(context, directory, io)).length === 0
    );
  },
  async run(context, io) {
    const { directory } = context;
    if (directory === undefined) return;
    const bindings = firstOf(recall(io, 'atWork') ?? [], await rememberedBindings(context, directory, io));
    const outcomes = await applyPatiently(
      directory,
      bindings.map((binding) => ({
        ...changeOf(context, binding, 'bound'),
        from: context.pair.failover.unbind ? without(binding.values, context.from.host) : binding.values,
      })),
      io,
      new Map(bindings.map(({ dn, values }) => [dn, values])),
    );
    const open = outcomes.filter(isOpen);
    if (open.length > 0 && open.length === outcomes.length) throw incomplete(open);
    const known = new Set(bindings.map(({ dn }) => dn));
    const late = (await stillBound(context, directory, io)).filter(({ dn }) => !known.has(dn));
    await rememberProblems(io, 'rebind', [
      ...open.map(problemOf),
      ...late.map(({ account }) => lateProblem(context, account)),
    ]);
    io.note(`${counted(outcomes.length - open.length, 'account')} bound to ${context.to.host}`);
    // Without a front door this is where people can come back.
    if (context.rehomes.length === 0) await remember(io, 'doorOpen', context.ports.clock.wallMs());
    return { accounts: bindings.length, bound: outcomes.length - open.length };
  },
};

/** Those of the plan that are bound to the old server now. */
function stillBound({ parameters, from }: TakeOver, directory: Directory, io: StepIo) {
  return directory.bindings(parameters.accounts, from.host, io.signal);
}

/** Whoever was at work waits now, and for each account that is bound before. */
function firstOf(accounts: readonly string[], bindings: readonly Binding[]): readonly Binding[] {
  const first = new Set(accounts);
  return [...bindings].sort((a, b) => Number(first.has(b.account)) - Number(first.has(a.account)));
}

type Stage = 'original' | 'unbound' | 'bound';

/** The values of a binding at a stage of the move. */
function valuesAt({ from, to }: TakeOver, { values }: Binding, stage: Stage): readonly string[] {
  if (stage === 'original') return values;
  const rest = without(values, from.host);
  return stage === 'unbound' ? rest : [...without(rest, to.host), to.host];
}

function changeOf(context: TakeOver, binding: Binding, to: Stage): Rebinding {
  const { account, dn, values } = binding;
  return { account, dn, from: values, to: valuesAt(context, binding, to) };
}

/**
 * Brings every entry that stands at one of `stages` back to `to`; what somebody else wrote meanwhile stays and is told.
 * @throws TAKEOVER_DIRECTORY_INCOMPLETE when an entry could not be changed at its stage, all others being done
 */
export async function bindBack(
  context: TakeOver,
  io: StepIo,
  stages: readonly Stage[],
  to: Stage = 'original',
): Promise<number> {
  const { directory } = context;
  const bindings = recall(io, 'bindings');
  if (directory === undefined || bindings === undefined) return 0;
  let rest: readonly Binding[] = bindings;
  let outcomes: readonly RebindOutcome[] = [];
  // Of every stage: an entry that could not be changed at its own stands at none of the later ones, which looks as if somebody else had changed it.
  const failed = new Map<string, RebindOutcome>();
  for (const stage of stages) {
    outcomes = await directory.rebind(
      rest.map((binding) => ({
        account: binding.account,
        dn: binding.dn,
        from: valuesAt(context, binding, stage),
        to: valuesAt(context, binding, to),
      })),
      { signal: io.signal, progress: io.progress },
    );
    for (const outcome of outcomes) {
      if (outcome.result === 'failed') failed.set(outcome.dn, outcome);
      // One whose change went through although its answer was lost.
      else if (!isOpen(outcome)) failed.delete(outcome.dn);
    }
    const open = new Set(outcomes.filter(isOpen).map(({ dn }) => dn));
    rest = rest.filter(({ dn }) => open.has(dn));
    if (rest.length === 0) return bindings.length;
  }
  if (failed.size > 0) throw incomplete([...failed.values()]);
  for (const { account, found } of outcomes.filter(isOpen).slice(0, 20)) {
    io.note(`${account} is left as somebody else has set it: ${found?.join(', ') ?? 'unknown'}`);
  }
  return bindings.length - rest.length;
}

/** Read once, before the first write, and durable before it. */
export async function rememberedBindings(
  { parameters, from }: TakeOver,
  directory: Directory,
  io: StepIo,
): Promise<readonly Binding[]> {
  const known = recall(io, 'bindings');
  if (known !== undefined) return known;
  const bindings = await directory.bindings(parameters.accounts, from.host, io.signal);
  await remember(
    io,
    'bindings',
    bindings.map(({ account, dn, values }) => ({ account, dn, values: [...values] })),
  );
  return bindings;
}

/** What changed meanwhile is tried once more from what it is now, if it is still ours to change. */
async function applyPatiently(
  directory: Directory,
  changes: readonly Rebinding[],
  io: StepIo,
  alsoFrom: ReadonlyMap<string, readonly string[]> = new Map(),
): Promise<readonly RebindOutcome[]> {
  const options = { signal: io.signal, progress: io.progress };
  const first = await directory.rebind(changes, options);
  const again = changes.flatMap((change, index) => {
    const outcome = first[index] as RebindOutcome;
    if (outcome.result === 'failed') return [{ index, change }];
    const other = alsoFrom.get(change.dn);
    return outcome.result === 'conflict' && other !== undefined
      ? [{ index, change: { ...change, from: other } }]
      : [];
  });
  if (again.length === 0) return first;
  // The few that are left may all be refused; that is no reason to fail the others, which are done.
  const second = await directory.rebind(
    again.map(({ change }) => change),
    { ...options, rest: again.length < changes.length },
  );
  const outcomes = [...first];
  for (const [at, { index }] of again.entries()) outcomes[index] = second[at] as RebindOutcome;
  return outcomes;
}

function isOpen({ result }: RebindOutcome): boolean {
  return result === 'conflict' || result === 'failed';
}

/** Something else than the directory keeps people off the old server. */
function isFencedOtherwise({ rehomes, fences }: TakeOver): boolean {
  return fences.length > 0 || rehomes.some(({ holds }) => holds);
}

function without(values: readonly string[], host: string): readonly string[] {
  return values.filter((value) => foldValue(value) !== foldValue(host));
}

function problemOf({ account, result, found, code, message, remedy }: RebindOutcome) {
  return {
    account,
    code: code ?? 'TAKEOVER_DIRECTORY_INCOMPLETE',
    message:
      message ??
      (result === 'conflict'
        ? `somebody else has changed its entry meanwhile, to ${found?.join(', ') || 'nothing'}; it was left so`
        : 'its entry could not be changed'),
    remedy: remedy ?? 'Set the server of the account in the directory by hand.',
  };
}

function lateProblem({ move, from, to }: TakeOver, account: string) {
  const code = 'TAKEOVER_BOUND_LATE';
  return {
    account,
    code,
    message: `it came to ${from.host} in the directory after the plan had read who is there; it was left so`,
    remedy: `Let new accounts come to ${to.host}. Create this one on ${move.to}, then bind it to ${to.host} in the directory; what ${move.from} holds of it is to be copied by hand.`,
  };
}

function incomplete(open: readonly RebindOutcome[]): Error {
  const { account, code, message } = open[0] as RebindOutcome;
  return takeOverErrors.make(
    'TAKEOVER_DIRECTORY_INCOMPLETE',
    `the directory did not take the change of ${counted(open.length, 'account')}, first ${account}: ${code ?? ''} ${message ?? 'it was changed by somebody else'}`,
    { details: { accounts: open.slice(0, 100).map((outcome) => outcome.account) } },
  );
}
