/** Says what would be lost, and keeps it for the report. */
import type { JsonValue } from '../../../lib/index.ts';
import type { PlanStep } from '../../index.ts';
import { recall, remember, type TakeOver } from '../context.ts';
import { lossNow } from '../preflight.ts';

export const assess: PlanStep<TakeOver> = {
  name: 'assess',
  always: true,
  sentence: ({ move }) => `Say what the journal of ${move.from} holds, and what would be lost`,
  isDone: async (_, io) => recall(io, 'loss') !== undefined,
  async run(context, io) {
    const loss = await lossNow(context);
    await remember(io, 'loss', loss as unknown as JsonValue);
    io.note(loss.sentence);
    return { lsn: loss.lsn };
  },
};
