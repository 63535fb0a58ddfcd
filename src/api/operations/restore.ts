import { z } from 'zod';
import { defineOperation } from '../operation.ts';
import { resolveAt } from './moment.ts';
import { account, at, count, lsn, mailbox, problems, server } from './shapes.ts';

export const restore = defineOperation({
  name: 'restore',
  permission: 'restore',
  summary:
    'Bring back what a server lost: messages, a mailbox, an account or everything, as of any moment; nothing it holds now is overwritten or doubled.',
  input: z
    .strictObject({
      server,
      account: account.optional(),
      mailbox: mailbox.optional(),
      uid: z
        .string()
        .regex(/^\d+(:(\d+|\*))?(,\d+(:(\d+|\*))?)*$/, 'is a UID set, as in 1:3,7')
        .optional()
        .describe('Only these messages of the mailbox: 1:3,7.')
        .meta({ value: 'SET' }),
      at: at
        .optional()
        .describe(
          'The moment: an RFC 3339 time, `lsn:N`, a checkpoint label, or `-2h`. Default: now; a mailbox or message that is named and gone, as it was last.',
        )
        .meta({ value: 'T' }),
      into: z
        .string()
        .min(1)
        .optional()
        .describe('Put the messages into this mailbox of the account instead.')
        .meta({
          value: 'MAILBOX',
        }),
      dryRun: z.boolean().default(false).describe('Say what would be done, and change nothing.'),
    })
    .superRefine((input, context) => {
      const needs = (key: 'mailbox' | 'uid' | 'into', other: 'account' | 'mailbox') => {
        if (input[key] !== undefined && input[other] === undefined) {
          context.addIssue({ code: 'custom', path: [other], message: `is needed with ${key}` });
        }
      };
      needs('mailbox', 'account');
      needs('uid', 'mailbox');
      needs('into', 'mailbox');
    }),
  output: z.object({
    server: z.string(),
    dryRun: z.boolean(),
    at: lsn,
    mailboxes: z
      .array(
        z.object({
          account: z.string(),
          mailbox: z.string(),
          into: z.string(),
          target: z.enum(['existing', 'created']),
          uidValidity: count,
          identityKept: z.boolean(),
          uidsKept: count,
          messagesWanted: count,
          messagesPresent: count,
          messagesRestored: count,
          flagsRestored: count,
          bytesRestored: count,
        }),
      )
      .readonly(),
    messagesWanted: count,
    messagesPresent: count,
    messagesRestored: count,
    bytesRestored: count,
    elapsedMs: z.number(),
    hint: z.string().optional(),
    problems,
  }),
  positional: ['server'],
  placement: 'needs-vault-writer',
  longRunning: true,
  confirmation: (input) =>
    input.dryRun
      ? undefined
      : `Restore ${input.uid === undefined ? '' : `UID ${input.uid} of `}${input.mailbox ?? 'all mailboxes'} of ${input.account ?? 'all accounts'} to ${input.server}, as of ${input.at ?? 'now'}?`,
  sentence: (input) =>
    `${input.dryRun ? 'tried out to restore' : 'restored'} ${input.uid === undefined ? '' : `UID ${input.uid} of `}${input.mailbox ?? 'all mailboxes'} of ${input.account ?? 'all accounts'} to ${input.server} as of ${input.at ?? 'now'}`,
  outcome: (output) => (output.problems.length > 0 ? 'partial' : 'done'),
  async handler(core, input, context) {
    const at = input.at === undefined ? {} : { at: (await resolveAt(core, input.server, input.at)).lsn };
    const report = await core.mail.restore(
      input.server,
      {
        ...at,
        dryRun: input.dryRun,
        ...(input.account === undefined ? {} : { account: input.account }),
        ...(input.mailbox === undefined ? {} : { mailbox: input.mailbox }),
        ...(input.uid === undefined ? {} : { uids: input.uid }),
        ...(input.into === undefined ? {} : { into: input.into }),
      },
      context,
    );
    return { server: input.server, ...report };
  },
});
