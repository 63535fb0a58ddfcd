/** UID FETCH as a stream (RFC 9051 section 6.4.5, RFC 7162 section 3.1.4). */

import { learnGuidItem } from './mailbox-list.ts';
import type { ServerTraits } from './options.ts';
import type { FetchResponse } from './responses.ts';
import { formatSequenceSet, normalizeRanges, rangesHold, STAR, type UidRange } from './sequence-set.ts';
import type { Wire } from './wire.ts';

/** What is wanted of each message; UID always comes. */
export interface FetchItems {
  readonly flags?: boolean;
  readonly internalDate?: boolean;
  readonly size?: boolean;
  readonly modSeq?: boolean;
  /** X-GUID or EMAILID; nothing on a server that has neither. */
  readonly guid?: boolean;
  /** BODY.PEEK[]: the whole message; \Seen is not set. */
  readonly body?: boolean;
}

export interface FetchedMessage extends FetchResponse {
  readonly uid: number;
}

export interface FetchOptions {
  /** Only messages changed after this MODSEQ (CONDSTORE). */
  readonly changedSince?: string;
  /** With `changedSince` on a QRESYNC connection: called with UIDs gone since then. */
  readonly onVanished?: (uids: string) => void;
}

/**
 * While its promise is pending nothing more is read from the server, so memory stays bounded. The bytes of the body are
 * overwritten after it.
 */
export type FetchHandler = (message: FetchedMessage) => Promise<void> | undefined | void;

/**
 * Fetches and hands each message to `handle` in the server's order; resolves when all have been handled. UIDs that
 * are gone are silently left out by the server. Calls may be pipelined: do not await one before the next.
 * What `handle` throws rejects the call; the rest of the answer is then read and dropped (close the connection
 * when that is much).
 */
export async function fetchMessages(
  wire: Wire,
  traits: ServerTraits,
  ranges: readonly UidRange[],
  items: FetchItems,
  handle: FetchHandler,
  options: FetchOptions = {},
): Promise<void> {
  if (ranges.length === 0) return;
  const guidItem = items.guid ? await learnGuidItem(wire, traits) : 'none';
  const names = ['UID'];
  if (items.flags) names.push('FLAGS');
  if (items.internalDate) names.push('INTERNALDATE');
  if (items.size) names.push('RFC822.SIZE');
  if (items.modSeq) names.push('MODSEQ');
  if (guidItem !== undefined && guidItem !== 'none') names.push(guidItem);
  if (items.body) names.push('BODY.PEEK[]');
  const modifiers =
    options.changedSince === undefined
      ? ''
      : ` (CHANGEDSINCE ${options.changedSince}${options.onVanished ? ' VANISHED' : ''})`;

  const wanted = normalizeRanges(ranges);
  const openEnded = wanted.some((range) => range.to >= STAR);
  // A FETCH that lacks what was asked for is news about another message (RFC 9051 section 7.5.2), not the answer.
  const isAnswer = (response: FetchResponse): response is FetchedMessage =>
    response.uid !== undefined &&
    (!items.body || response.body !== undefined) &&
    (!items.internalDate || response.internalDate !== undefined) &&
    (!items.size || response.size !== undefined) &&
    (!items.flags || response.flags !== undefined) &&
    (openEnded || rangesHold(wanted, response.uid));

  // Dovecot may answer pipelined fetches interleaved: what comes for one that failed must not reach another.
  let failed = false;
  const handed = (message: FetchedMessage): true | Promise<void> => {
    if (failed) return true;
    try {
      const handling = handle(message);
      if (!handling) return true;
      return handling.catch((error) => {
        failed = true;
        throw error;
      });
    } catch (error) {
      failed = true;
      throw error;
    }
  };

  await wire.ok('UID FETCH', [`UID FETCH ${formatSequenceSet(wanted)} (${names.join(' ')})${modifiers}`], {
    outOfOrder: true,
    take: (response) => {
      if (response.type === 'fetch') return isAnswer(response) ? handed(response) : false;
      if (response.type === 'vanished' && response.earlier && options.onVanished) {
        options.onVanished(response.uids);
        return true;
      }
      return false;
    },
  });
}
