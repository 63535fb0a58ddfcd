import { z } from 'zod';
import { defineOperation } from '../operation.ts';
import { resolveAt } from './moment.ts';
import { account, at, count, lsn, mailbox, onlyThere, problems, server } from './shapes.ts';

/** What was done on another server than the one whose replica it is. */
const broughtUp = z.object({
  accounts: count,
  mailboxes: count,
  flagsSet: count,
  kept: z
    .array(
      z.object({
        account: z.string(),
        mailbox: z.string(),
        into: z.string(),
        uids: z.string(),
        messages: count,
      }),
    )
    .readonly()
    .describe('What only that server held: moved to another mailbox, never removed.'),
  repaired: z
    .array(
      z.object({
        what: z.string(),
        account: z.string(),
        mailbox: z.string().optional(),
        count,
        found: z.string().optional(),
        wanted: z.string().optional(),
      }),
    )
    .readonly(),
  notKept: z
    .array(
      z.object({
        what: z.string(),
        why: z.string(),
        account: z.string().optional(),
        mailbox: z.string().optional(),
      }),
    )
    .readonly()
    .describe('Identity that that server cannot keep.'),
  onlyThere,
});

export const restore = defineOperation({
  name: 'restore',
  permission: 'restore',
  summary:
    'Bring back what a server lost: messages, a mailbox, an account or everything, as of any moment; nothing it holds now is overwritten or doubled. With `--to`, bring another server to what the replica says.',
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
      to: z
        .string()
        .min(1)
        .optional()
        .describe(
          'Bring this other server of the configuration to what the replica says, all of it, an account or a mailbox, with UIDs and all; what only it holds is moved aside. With `--uid` or `--into` nothing of it is touched: messages that are missing there are added.',
        )
        .meta({ value: 'SERVER' }),
      checkBodies: z
        .boolean()
        .default(false)
        .describe(
          'With `--to`: read every message there, and set right one whose bytes are others too, not only its UID, size or date.',
        ),
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
      if (input.checkBodies && (input.to === undefined || isAddition(input))) {
        const message = input.to === undefined ? 'is needed with checkBodies' : 'needs no checkBodies here';
        context.addIssue({ code: 'custom', path: ['to'], message });
      }
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
    to: z.string().optional(),
    standby: broughtUp.optional().describe('With `to`: what was done there; `mailboxes` is empty then.'),
    problems,
  }),
  positional: ['server'],
  placement: 'needs-vault-writer',
  longRunning: true,
  confirmation: (input) =>
    input.dryRun
      ? undefined
      : `Restore ${input.uid === undefined ? '' : `UID ${input.uid} of `}${input.mailbox ?? 'all mailboxes'} of ${input.account ?? 'all accounts'} to ${placeOf(input)}, as of ${input.at ?? 'now'}?`,
  sentence: (input) =>
    `${input.dryRun ? 'tried out to restore' : 'restored'} ${input.uid === undefined ? '' : `UID ${input.uid} of `}${input.mailbox ?? 'all mailboxes'} of ${input.account ?? 'all accounts'} to ${placeOf(input)} as of ${input.at ?? 'now'}`,
  outcome: (output) => (output.problems.length > 0 ? 'partial' : 'done'),
  async handler(core, input, context) {
    const at =
      input.at === undefined
        ? {}
        : { at: (await resolveAt(core, input.server, input.at, input.account)).lsn };
    const { server, to, account, mailbox, dryRun } = input;
    const asked = {
      ...at,
      dryRun,
      ...(input.uid === undefined ? {} : { uids: input.uid }),
      ...(input.into === undefined ? {} : { into: input.into }),
    };
    const isHere = to === undefined || (to === server && isAddition(input));
    if (!isHere) {
      if (isAddition(input) && account !== undefined && mailbox !== undefined) {
        const report = await core.mail.addMissing(server, to, { ...asked, account, mailbox }, context);
        return { server, to, ...report };
      }
      const request = {
        ...at,
        ...(account === undefined ? {} : { accounts: [account] }),
        ...(mailbox === undefined ? {} : { mailbox }),
        dryRun,
        checkBodies: input.checkBodies,
      };
      const {
        kept,
        repaired,
        notKept,
        onlyThere,
        accounts: done,
        mailboxes,
        flagsSet,
        ...report
      } = await core.mail.bringUp(server, to, request, context);
      const standby = { accounts: done, mailboxes, flagsSet, kept, repaired, notKept, onlyThere };
      return { server, to, mailboxes: [], ...report, standby };
    }
    const part = {
      ...(account === undefined ? {} : { account }),
      ...(mailbox === undefined ? {} : { mailbox }),
    };
    const report = await core.mail.restore(server, { ...asked, ...part }, context);
    return { server, ...report };
  },
});

/** Messages are put beside what is there; else a mailbox, an account or the server is brought to what the replica says. */
function isAddition({ uid, into }: { uid?: string | undefined; into?: string | undefined }): boolean {
  return uid !== undefined || into !== undefined;
}

function placeOf({ server, to }: { server: string; to?: string | undefined }): string {
  return to === undefined ? server : `${to}, from the replica of ${server}`;
}
