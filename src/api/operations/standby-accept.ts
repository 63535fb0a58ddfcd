import { z } from 'zod';
import { pairNamed } from '../../config/index.ts';
import { defineOperation } from '../operation.ts';
import { account, count, lsn } from './shapes.ts';

export const standbyAccept = defineOperation({
  name: 'standby accept',
  permission: 'operate',
  summary:
    'Let bursts of removals that are held before a warm standby go on to it. To keep the mail instead, restore it on the live server: the hold then ends by itself.',
  input: z.strictObject({
    pair: z.string().min(1).describe('The pair, by its name in the configuration.'),
    account: account.optional().describe('Only this account; default: all that are held.'),
  }),
  output: z.object({
    pair: z.string(),
    accepted: z
      .array(
        z.object({
          account: z.string(),
          /** Messages that the standby loses by it, and that the account had. */
          removed: count,
          of: count,
          /** The state just before, which the journal keeps: `--at` of a restore. */
          before: z.string(),
          at: lsn,
          /** When it was held, ms since 1970. */
          since: z.number(),
        }),
      )
      .readonly(),
  }),
  positional: ['pair'],
  placement: 'main',
  longRunning: false,
  confirmation: (input) =>
    `Remove from the standby of ${input.pair} what ${input.account ?? 'every held account'} lost at once?`,
  sentence: (input) =>
    `accepted the held bursts of ${input.account ?? 'all accounts'} for the standby of ${input.pair}`,
  async handler(core, input) {
    pairNamed(core.config, input.pair);
    return { pair: input.pair, accepted: await core.warm.accept(input.pair, input.account) };
  },
});
