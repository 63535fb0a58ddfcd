/** The operator's commands that keep a server from serving. */
import type { PlanStep } from '../../index.ts';
import { noteShut, type TakeOver } from '../context.ts';

export const fence: PlanStep<TakeOver> = {
  name: 'fence',
  lasting: true,
  sentence: ({ move, fences }) =>
    fences.length === 0
      ? `No command to fence ${move.from}`
      : `Fence ${move.from}: ${fences.map(({ name }) => name).join(', ')}`,
  async isDone({ fences }) {
    const answers = await Promise.all(fences.map((one) => one.isDone()));
    return answers.every((answer) => answer);
  },
  async run(context, io) {
    const { fences } = context;
    if (fences.length > 0) await noteShut(context, io);
    for (const one of fences) {
      io.signal.throwIfAborted();
      await one.run();
    }
  },
  async undo({ fences, move }, io) {
    for (const one of [...fences].reverse()) {
      if (one.undoable) await one.undo();
      else io.note(`${one.name} has no command to take it back: let ${move.from} serve again by hand`);
    }
  },
};
