/** The operator's commands that keep a server from serving. */
import type { PlanStep } from '../../index.ts';
import type { TakeOver } from '../context.ts';

export const fence: PlanStep<TakeOver> = {
  name: 'fence',
  sentence: ({ move, fences }) =>
    fences.length === 0
      ? `No command to fence ${move.from}`
      : `Fence ${move.from}: ${fences.map(({ name }) => name).join(', ')}`,
  async isDone({ fences }) {
    const answers = await Promise.all(fences.map((one) => one.isDone()));
    return answers.every((answer) => answer);
  },
  async run({ fences }, io) {
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
