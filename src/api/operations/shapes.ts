/** Schemas that several operations share. */
import { z } from 'zod';

export const server = z.string().min(1).describe('The server, by its name in the configuration.');
export const account = z.string().min(1).describe('The account, by its login name.');
export const mailbox = z.string().min(1).describe('The mailbox, by its full name: INBOX, Archive/2026.');
export const at = z
  .string()
  .min(1)
  .describe('The moment: an RFC 3339 time, `lsn:N`, a checkpoint label, or `-2h`. Default: now.')
  .meta({ value: 'T' });

export const lsn = z.int().nonnegative();
export const count = z.int().nonnegative();

/** A moment that was asked for, as found: the last commit at or before it. `time` is RFC 3339. */
export const moment = z.object({ lsn, time: z.string().optional() });

/** Of another server than the one whose replica it is. */
export const onlyThere = z
  .array(z.object({ account: z.string(), messages: count }))
  .readonly()
  .describe(
    'Accounts that the replica has no more, and whose mail that server still holds: left as they are.',
  );

export const problems = z
  .array(
    z.object({
      account: z.string(),
      mailbox: z.string().optional(),
      uid: z.int().optional(),
      code: z.string(),
      message: z.string(),
      remedy: z.string(),
    }),
  )
  .readonly();
