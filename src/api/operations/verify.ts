import { z } from 'zod';
import { serverNamed } from '../../config/index.ts';
import { defineOperation } from '../operation.ts';
import { resolveAt } from './moment.ts';
import { account, at, count, lsn, problems, server } from './shapes.ts';

export const verify = defineOperation({
  name: 'verify',
  permission: 'read',
  summary:
    'Compare a server with its replica: mailboxes, UIDVALIDITY, UIDs, flags, dates, sizes and bodies. The result is the certificate.',
  input: z.strictObject({
    server,
    account: account.optional(),
    at: at.optional().describe('Compare with the replica as of this moment. Default: its last commit.'),
    sample: z
      .int()
      .positive()
      .optional()
      .describe('Compare the bytes of only this many messages, spread evenly. Default: of all.'),
  }),
  output: z.object({
    server: z.string(),
    equal: z.boolean(),
    certificate: z.object({
      server: z.string(),
      journalId: z.string(),
      lsn,
      asOf: z.string(),
      comparedAt: z.string(),
      accounts: count,
      mailboxes: count,
      messages: count,
      bodiesCompared: count,
      bodies: z.enum(['all', 'sample']),
      digest: z.string(),
    }),
    differences: z
      .array(
        z.object({
          account: z.string(),
          mailbox: z.string().optional(),
          uid: z.int().optional(),
          what: z.string(),
          expected: z.string().optional(),
          found: z.string().optional(),
        }),
      )
      .readonly(),
    differenceCount: count,
    problems,
  }),
  positional: ['server'],
  placement: 'needs-vault-writer',
  longRunning: true,
  sentence: (input) => `compared ${input.server} with its replica`,
  // A difference is certain, a problem is only what could not be compared.
  outcome: (output) =>
    output.differenceCount > 0 ? 'differs' : output.problems.length > 0 ? 'partial' : 'done',
  async handler(core, input, context) {
    serverNamed(core.config, input.server);
    const moment = input.at === undefined ? undefined : await resolveAt(core, input.server, input.at);
    const report = await core.mail.verify(
      input.server,
      {
        bodies: input.sample === undefined ? 'all' : { sample: input.sample },
        ...(moment === undefined ? {} : { at: moment.lsn }),
        ...(input.account === undefined ? {} : { account: input.account }),
      },
      context,
    );
    return { server: input.server, ...report };
  },
});
