/** APPEND of many messages: in one command where the server has MULTIAPPEND (RFC 3502), else pipelined. */
import { mailboxPart } from './mailbox-list.ts';
import type { StatusResponse } from './responses.ts';
import { parseSequenceSet, uidsOfRanges } from './sequence-set.ts';
import { type CommandPart, refusal, type Wire } from './wire.ts';

export interface AppendMessage {
  /** Without \Recent. */
  readonly flags?: readonly string[];
  /** As FETCH gave it: `17-Jul-1996 02:44:25 -0700`. */
  readonly internalDate?: string;
  readonly body: Uint8Array;
}

export interface AppendResult {
  /** How many the server took. */
  readonly count: number;
  /** With UIDPLUS (RFC 4315): the UIDs in the order of the messages. */
  readonly uidValidity?: number;
  readonly uids?: readonly number[];
}

/**
 * Appends all messages. With MULTIAPPEND all are stored or none is; without, those before the refused one are,
 * and the error's details say how many (`appended`). Not to be repeated blindly: read what is there first.
 * `after`: nothing is stored before it resolves; with MULTIAPPEND messages are on their way meanwhile. When it rejects the connection ends.
 */
export async function appendMessages(
  wire: Wire,
  mailbox: string,
  messages: readonly AppendMessage[],
  after?: Promise<unknown>,
): Promise<AppendResult> {
  if (messages.length === 0) return { count: 0 };
  if (wire.has('MULTIAPPEND')) {
    const parts: CommandPart[] = ['APPEND ', mailboxPart(mailbox)];
    for (const message of messages) parts.push(...messageParts(message));
    if (after) parts.push({ after });
    return resultOf(messages.length, [await wire.ok('APPEND', parts)]);
  }
  await after;
  const outcomes = await Promise.allSettled(
    messages.map((message) =>
      wire.command('APPEND', ['APPEND ', mailboxPart(mailbox), ...messageParts(message)]),
    ),
  );
  const done: StatusResponse[] = [];
  let firstFailure: unknown;
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') firstFailure ??= outcome.reason;
    else if (outcome.value.status === 'OK') done.push(outcome.value);
    else firstFailure ??= refusal(wire.place, 'APPEND', outcome.value);
  }
  if (firstFailure !== undefined) throw firstFailure;
  return resultOf(messages.length, done);
}

function messageParts(message: AppendMessage): CommandPart[] {
  const flags = message.flags && message.flags.length > 0 ? ` (${message.flags.join(' ')})` : '';
  const date = message.internalDate ? ` "${message.internalDate}"` : '';
  // A plain literal even for a body with NUL: given a literal8 (RFC 3516), Dovecot rewrites parts with
  // Content-Transfer-Encoding: binary as base64. A plain one it stores as it is, and serves NUL as 0x80.
  return [`${flags}${date} `, { literal: message.body }];
}

function resultOf(count: number, statuses: readonly StatusResponse[]): AppendResult {
  let uidValidity: number | undefined;
  const uids: number[] = [];
  for (const { code } of statuses) {
    const [validity, set] = code?.name === 'APPENDUID' ? code.value.split(' ') : [];
    const ranges = set === undefined ? undefined : parseSequenceSet(set);
    if (!ranges) return { count };
    uidValidity = Number(validity);
    uids.push(...uidsOfRanges(ranges));
  }
  return uidValidity === undefined || uids.length !== count ? { count } : { count, uidValidity, uids };
}
