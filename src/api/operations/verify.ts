import { z } from 'zod';
import { serverNamed } from '../../config/index.ts';
import type { VerifyRequest } from '../../workloads/mail/index.ts';
import { defineOperation } from '../operation.ts';
import { resolveAt } from './moment.ts';
import { account, at, count, lsn, onlyThere, problems, server } from './shapes.ts';

export const verify = defineOperation({
  name: 'verify',
  permission: 'read',
  summary:
    'Compare a server with its replica: mailboxes, UIDVALIDITY, UIDs, flags, dates, sizes and bodies. The result is the certificate.',
  input: z.strictObject({
    server,
    account: account.optional(),
    against: z
      .string()
      .min(1)
      .optional()
      .describe('Compare this other server of the configuration with the replica, a standby.')
      .meta({ value: 'SERVER' }),
    at: at.optional().describe('Compare with the replica as of this moment. Default: its last commit.'),
    sample: z
      .int()
      .positive()
      .optional()
      .describe('Compare the bytes of only this many messages, spread evenly. Default: of all.'),
  }),
  output: z.object({
    server: z.string(),
    against: z.string().optional(),
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
    onlyThere: onlyThere.optional(),
    problems,
  }),
  positional: ['server'],
  placement: 'needs-vault-writer',
  longRunning: true,
  sentence: ({ server, against }) =>
    against === undefined
      ? `compared ${server} with its replica`
      : `compared ${against} with the replica of ${server}`,
  // A difference is certain, a problem is only what could not be compared.
  outcome: (output) =>
    output.differenceCount > 0 ? 'differs' : output.problems.length > 0 ? 'partial' : 'done',
  async handler(core, input, context) {
    serverNamed(core.config, input.server);
    const moment =
      input.at === undefined ? undefined : await resolveAt(core, input.server, input.at, input.account);
    const request: VerifyRequest = {
      bodies: input.sample === undefined ? 'all' : { sample: input.sample },
      ...(moment === undefined ? {} : { at: moment.lsn }),
      ...(input.account === undefined ? {} : { account: input.account }),
    };
    if (input.against !== undefined) {
      serverNamed(core.config, input.against);
      const report = await core.mail.verifyAgainst(input.server, input.against, request, context);
      return { server: input.server, against: input.against, ...report };
    }
    return { server: input.server, ...(await core.mail.verify(input.server, request, context)) };
  },
});
