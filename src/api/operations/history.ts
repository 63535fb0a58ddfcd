import { z } from 'zod';
import type { AccountRow, MailboxRow, MessageSummary, Removal } from '../../catalog/index.ts';
import { type HistoryQuery, history as lookBack } from '../../history/index.ts';
import { defineOperation } from '../operation.ts';
import { updateSearchIndex } from '../search-index.ts';
import { account, at, count, lsn, mailbox, moment, server } from './shapes.ts';

const message = z.object({
  uid: z.int(),
  /** INTERNALDATE as the server gave it. */
  date: z.string(),
  flags: z.array(z.string()).readonly(),
  size: count,
  from: z.string(),
  subject: z.string(),
  messageId: z.string(),
  /** SHA-256 of the bytes, hexadecimal. */
  sha256: z.string(),
});

const removal = z.object({
  /** The first state without them; with them: one less. */
  lsn,
  time: z.string(),
  mailbox: z.string(),
  count,
  mailboxGone: z.boolean(),
});

const mailboxShape = z.object({
  name: z.string(),
  uidValidity: count,
  uidNext: count,
  messages: count,
  bytes: count,
  specialUse: z.array(z.string()).readonly(),
  subscribed: z.boolean(),
  /** False while its first pass is under way: messages may be missing here. */
  complete: z.boolean(),
});

export const history = defineOperation({
  name: 'history',
  permission: 'read',
  summary: 'Look at accounts, mailboxes and messages as of any moment, or search them.',
  input: z
    .strictObject({
      server,
      account: account.optional(),
      mailbox: mailbox.optional(),
      at: at.optional(),
      search: z
        .string()
        .min(1)
        .optional()
        .describe('Words in headers and text: "exact phrase", subject:invoice, from:alice.')
        .meta({ value: 'Q' }),
      limit: z.int().min(1).max(10_000).default(50).describe('Messages in one answer. Default: 50.'),
      after: z
        .string()
        .optional()
        .describe('Go on after a page: `next` of its answer.')
        .meta({ value: 'NEXT' }),
    })
    .superRefine((input, context) => {
      if (input.mailbox !== undefined && input.account === undefined) {
        context.addIssue({ code: 'custom', path: ['account'], message: 'is needed with mailbox' });
      }
    }),
  output: z.object({
    server: z.string(),
    /** Absent while nothing is journaled. */
    at: moment.optional(),
    /** Without an account: all of them. */
    accounts: z
      .array(
        z.object({
          account: z.string(),
          mailboxes: count,
          messages: count,
          bytes: count,
          goneLsn: lsn.optional(),
        }),
      )
      .readonly()
      .optional(),
    /** With an account: its mailboxes. */
    mailboxes: z.array(mailboxShape).readonly().optional(),
    /** With a mailbox: it, and a page of its messages in ascending UID. */
    mailbox: mailboxShape.optional(),
    messages: z.array(message).readonly().optional(),
    /** With a search: a page of what was found, newest first. */
    hits: z
      .array(message.extend({ account: z.string(), mailbox: z.string() }))
      .readonly()
      .optional(),
    /** The search knows the mail up to here. */
    indexedLsn: lsn.optional(),
    /** The latest removals up to that moment. */
    removals: z.array(removal).readonly().optional(),
    setAside: z
      .array(z.object({ mailbox: z.string(), uid: z.int(), code: z.string(), detail: z.string() }))
      .readonly()
      .optional(),
    next: z.string().optional(),
  }),
  positional: ['server'],
  placement: 'either',
  // A first search may have to index everything.
  longRunning: true,
  sentence: (input) => `looked into the history of ${input.server}`,
  async handler(core, input, context) {
    const { server, ...query } = input;
    return core.withReader(server, async (reader) => {
      if (input.search !== undefined) await updateSearchIndex(core, reader, context);
      // An absent key and an undefined one are the same over HTTP.
      const result = lookBack(reader, query as HistoryQuery, { clock: core.clock });
      const answer = {
        server,
        ...(result.at === undefined ? {} : { at: { lsn: result.at.lsn, time: isoTime(result.at.time) } }),
      };
      switch (result.kind) {
        case 'accounts':
          return { ...answer, accounts: result.accounts.map(accountShape) };
        case 'mailboxes': {
          const names = new Map(result.mailboxes.map((row) => [row.id, row.name]));
          return {
            ...answer,
            mailboxes: result.mailboxes.map(mailboxOf),
            removals: result.removals.map(removalOf),
            setAside: result.setAside.map(({ mailboxId, ...row }) => ({
              ...row,
              mailbox: names.get(mailboxId) ?? '',
            })),
          };
        }
        case 'messages':
          return {
            ...answer,
            mailbox: mailboxOf(result.mailbox),
            messages: result.messages.map(messageOf),
            removals: result.removals.map(removalOf),
            next: result.next,
          };
        case 'hits':
          return {
            ...answer,
            hits: result.hits.map((hit) => ({
              ...messageOf(hit),
              account: hit.account,
              mailbox: hit.mailbox,
            })),
            indexedLsn: result.indexedLsn,
            next: result.next,
          };
      }
    });
  },
});

function accountShape(row: AccountRow) {
  const { account, mailboxCount, messageCount, bytes, goneLsn } = row;
  return { account, mailboxes: mailboxCount, messages: messageCount, bytes, goneLsn };
}

function mailboxOf(row: MailboxRow & { readonly messages: number; readonly bytes: number }) {
  const { name, uidValidity, uidNext, messages, bytes, specialUse, subscribed, complete } = row;
  return { name, uidValidity, uidNext, messages, bytes, specialUse, subscribed, complete };
}

function messageOf(row: MessageSummary) {
  const { uid, date, flags, size, from, subject, messageId } = row;
  return { uid, date, flags, size, from, subject, messageId, sha256: Buffer.from(row.hash).toString('hex') };
}

function removalOf(row: Removal) {
  const { lsn, mailbox, count, mailboxGone } = row;
  return { lsn, time: isoTime(row.time), mailbox, count, mailboxGone };
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
