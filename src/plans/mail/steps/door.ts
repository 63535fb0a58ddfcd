/** The front door: shut to the old server, held for a moment, opened to the new one. */

import type { DoorState, Rehome, RehomeOutcome } from '../../../rehome/index.ts';
import type { PlanStep, StepIo } from '../../index.ts';
import { noteShut, remember, type TakeOver } from '../context.ts';
import { systemSentence } from '../sentences.ts';

/** A fence: no connection leads to `from` any more, whoever answers there. */
export const closeDoor: PlanStep<TakeOver> = {
  name: 'close-door',
  sentence: ({ move, rehomes }) =>
    rehomes.some(({ holds }) => holds)
      ? `Close the front door to ${move.from}`
      : 'No front door of ours to close',
  isDone: ({ rehomes }) => allAre(rehomes, { mode: 'closed' }),
  async run(context, io) {
    await noteShut(context, io);
    return setDoors(context.rehomes, { mode: 'closed' }, io);
  },
  async undo({ rehomes, move }, io) {
    await undoDoors(rehomes, { mode: 'open', server: move.from }, io);
  },
};

/** Clients follow: the front door leads to `to`, the operator's commands have moved theirs. */
export const rehome: PlanStep<TakeOver> = {
  name: 'rehome',
  sentence: (context) => systemSentence(context),
  isDone: ({ rehomes, move }) => allAre(rehomes, { mode: 'open', server: move.to }),
  async run({ rehomes, move, ports }, io) {
    const outcome = await setDoors(rehomes, { mode: 'open', server: move.to }, io);
    await remember(io, 'doorOpen', ports.clock.wallMs());
    return outcome;
  },
};

export async function allAre(rehomes: readonly Rehome[], want: DoorState): Promise<boolean> {
  const answers = await Promise.all(rehomes.map((one) => one.isDone(want)));
  return answers.every((answer) => answer);
}

/** Proxies first: they are a matter of milliseconds, and who waits there waits no longer. */
export async function setDoors(rehomes: readonly Rehome[], want: DoorState, io: StepIo) {
  return sumOf(rehomes, io, (one) => one.run(want));
}

export async function undoDoors(rehomes: readonly Rehome[], to: DoorState, io: StepIo) {
  return sumOf(rehomes, io, (one) => one.undo(to));
}

async function sumOf(rehomes: readonly Rehome[], io: StepIo, act: (one: Rehome) => Promise<RehomeOutcome>) {
  const sum = { clientsMoved: 0, clientsCut: 0 };
  for (const one of [...rehomes].sort((a, b) => Number(b.holds) - Number(a.holds))) {
    io.signal.throwIfAborted();
    const { clientsMoved, clientsCut, left } = await act(one);
    sum.clientsMoved += clientsMoved;
    sum.clientsCut += clientsCut;
    if (left !== undefined) io.note(`${one.name}: ${left}`);
  }
  return sum;
}
