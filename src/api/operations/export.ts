import { resolve } from 'node:path';
import { z } from 'zod';
import { exportAccount } from '../../history/index.ts';
import { defineOperation } from '../operation.ts';
import { account, at, count, mailbox, moment, server } from './shapes.ts';

export const exportMail = defineOperation({
  name: 'export',
  permission: 'restore',
  summary:
    'Write an account, or one mailbox of it, into a folder, as of any moment, bytes as the server served them.',
  input: z.strictObject({
    server,
    account,
    mailbox: mailbox.optional(),
    at: at.optional(),
    to: z
      .string()
      .min(1)
      .describe('The folder. What is in it is never overwritten; what is there already is not written again.')
      .meta({ value: 'DIR' }),
    format: z
      .enum(['maildir', 'mbox', 'eml'])
      .describe('How: a Maildir, mbox files, or one file per message.')
      .meta({
        value: 'FORMAT',
      }),
  }),
  output: z.object({
    server: z.string(),
    account: z.string(),
    to: z.string(),
    format: z.string(),
    at: moment,
    mailboxes: count,
    /** In the folder now, those that were there included. */
    messages: count,
    bytes: count,
    skipped: count,
    /** Never served rightly by the server, so not in the export. */
    setAside: z
      .array(z.object({ mailbox: z.string(), uid: z.int(), code: z.string(), detail: z.string() }))
      .readonly(),
    notes: z.array(z.string()).readonly(),
  }),
  positional: ['server'],
  placement: 'local-only',
  longRunning: true,
  sentence: (input) =>
    `exported ${input.mailbox ?? 'all mailboxes'} of ${input.account} of ${input.server} as of ${input.at ?? 'now'} to ${input.to}`,
  outcome: (output) => (output.setAside.length > 0 ? 'partial' : 'done'),
  async handler(core, input, context) {
    const { server, account, format } = input;
    const to = resolve(input.to);
    return core.withReader(server, async (reader) => {
      const { at, setAside, ...result } = await exportAccount(
        reader,
        {
          account,
          format,
          to,
          ...(input.mailbox === undefined ? {} : { mailbox: input.mailbox }),
          ...(input.at === undefined ? {} : { at: input.at }),
        },
        { clock: core.clock, onProgress: context.progress, signal: context.signal },
      );
      return {
        server,
        account,
        to,
        format,
        ...result,
        at: { lsn: at.lsn, time: new Date(at.time).toISOString() },
        setAside: setAside.map(({ mailbox, uid, code, detail }) => ({ mailbox, uid, code, detail })),
      };
    });
  },
});
