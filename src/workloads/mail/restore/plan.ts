/**
 * What a restore has to do, from two states of the catalog: as of the wanted point, and now (just brought up to
 * date with the server). Pure: nothing here talks to a server.
 *
 * In place means that nothing the server holds now is overwritten or doubled. A message counts as present when
 * the mailbox holds it under its UID, or holds the same bytes under a UID that no wanted message has (an earlier
 * restore, a copy): each such message stands for one wanted message, so that two equal mails come back as two.
 */
import type { MailboxRow, MessageRow } from '../../../catalog/index.ts';

export type Target =
  /** The mailbox lives: same incarnation, or a new one that already has the wanted identity. */
  | { readonly kind: 'existing'; readonly mailbox: MailboxRow; readonly sameIdentity: boolean }
  /** The name is free: the mailbox is made anew, with its old identity where the server lets us. */
  | { readonly kind: 'created'; readonly name: string }
  /** A mailbox of that name exists but nothing was ever in it: it takes the old identity. */
  | { readonly kind: 'pristine'; readonly mailbox: MailboxRow }
  /** An interrupted restore was bringing the old mailbox back in it. */
  | { readonly kind: 'resumed'; readonly mailbox: MailboxRow }
  /** A mailbox of that name was made anew and holds mail since: it steps aside, and its mail comes back behind the old. */
  | { readonly kind: 'aside'; readonly mailbox: MailboxRow };

/**
 * Where the messages of `wanted` go. `current` are the account's mailboxes now; `into` names another mailbox; `canPin`
 * says whether UIDVALIDITY and UIDs can be set on this server; `leftAside`, whether a restore of this mailbox was
 * interrupted.
 */
export function chooseTarget(
  wanted: MailboxRow,
  current: readonly MailboxRow[],
  options: { into?: string; canPin: boolean; mayStepAside?: boolean; leftAside?: boolean },
): Target {
  if (options.into !== undefined) {
    const mailbox = current.find((row) => row.name === options.into);
    return mailbox
      ? { kind: 'existing', mailbox, sameIdentity: false }
      : { kind: 'created', name: options.into };
  }
  const living = current.find((row) => row.id === wanted.id);
  if (living) return { kind: 'existing', mailbox: living, sameIdentity: true };
  const named = current.find((row) => row.name === wanted.name);
  if (!named) return { kind: 'created', name: wanted.name };
  if (named.uidValidity === wanted.uidValidity) {
    return { kind: 'existing', mailbox: named, sameIdentity: true };
  }
  if (options.canPin && options.leftAside) return { kind: 'resumed', mailbox: named };
  if (options.canPin && named.uidNext <= 1) return { kind: 'pristine', mailbox: named };
  if (options.canPin && options.mayStepAside) return { kind: 'aside', mailbox: named };
  return { kind: 'existing', mailbox: named, sameIdentity: false };
}

export interface MessagePlan {
  readonly wanted: number;
  readonly present: number;
  /** UIDs of the wanted messages that are there under their own UID. */
  readonly inPlace: readonly number[];
  /** To be brought back, by ascending UID. */
  readonly missing: readonly MessageRow[];
}

/**
 * Which wanted messages are missing in the target. `sameIdentity`: the target has the wanted mailbox's
 * UIDVALIDITY, so equal UIDs mean the same message. Both inputs by ascending UID; holds a pair of numbers for
 * each current message and a row for each missing one.
 */
export function planMessages(
  wanted: Iterable<MessageRow>,
  current: Iterable<Pick<MessageRow, 'uid' | 'bodyLsn'>>,
  sameIdentity: boolean,
): MessagePlan {
  const bodyOfUid = new Map<number, number>();
  for (const message of current) bodyOfUid.set(message.uid, message.bodyLsn);

  let count = 0;
  let present = 0;
  const inPlace: number[] = [];
  const unmatched: MessageRow[] = [];
  for (const message of wanted) {
    count += 1;
    if (sameIdentity && bodyOfUid.get(message.uid) === message.bodyLsn) {
      bodyOfUid.delete(message.uid);
      inPlace.push(message.uid);
      present += 1;
    } else {
      unmatched.push(message);
    }
  }

  const spare = new Map<number, number>();
  for (const body of bodyOfUid.values()) spare.set(body, (spare.get(body) ?? 0) + 1);
  const missing = unmatched.filter((message) => {
    const left = spare.get(message.bodyLsn) ?? 0;
    if (left === 0) return true;
    spare.set(message.bodyLsn, left - 1);
    present += 1;
    return false;
  });
  return { wanted: count, present, inPlace, missing };
}

/** Messages that one command can append. */
export interface Run {
  readonly messages: readonly MessageRow[];
  readonly bytes: number;
}

const RUN_MESSAGES_MOST = 500;
const RUN_BYTES_MOST = 16 * 1024 * 1024;

/**
 * Splits the missing messages into runs: `pinned` ones of consecutive UIDs that the target can still give
 * (`uid >= uidNext`), and the others, which get new UIDs.
 */
export function splitIntoRuns(
  missing: readonly MessageRow[],
  target: { readonly uidNext: number; readonly canPin: boolean },
): { readonly pinned: readonly Run[]; readonly floating: readonly Run[] } {
  const fits = ({ uid }: MessageRow) => target.canPin && uid >= target.uidNext;
  return {
    pinned: runsOf(missing.filter(fits), (previous, next) => next.uid === previous.uid + 1),
    floating: runsOf(
      missing.filter((message) => !fits(message)),
      () => true,
    ),
  };
}

function runsOf(
  messages: readonly MessageRow[],
  follows: (previous: MessageRow, next: MessageRow) => boolean,
): Run[] {
  const runs: { messages: MessageRow[]; bytes: number }[] = [];
  for (const message of messages) {
    const run = runs.at(-1);
    const previous = run?.messages.at(-1);
    if (
      run &&
      previous &&
      follows(previous, message) &&
      run.messages.length < RUN_MESSAGES_MOST &&
      run.bytes + message.size <= RUN_BYTES_MOST
    ) {
      run.messages.push(message);
      run.bytes += message.size;
    } else {
      runs.push({ messages: [message], bytes: message.size });
    }
  }
  return runs;
}
