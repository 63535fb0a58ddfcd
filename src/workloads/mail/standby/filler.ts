/**
 * Fillers: tiny messages that take the UIDs which the wanted mailbox does not use any more, and go again at the end. Where UIDs are
 * dense with small gaps this is a hundred times cheaper than setting the next UID for each gap.
 *
 * They are appended with \Deleted and a date of their own, so that those of an interrupted run are known again.
 */
import { internalDateMs } from '../../../catalog/index.ts';
import type { AppendMessage } from '../imap/index.ts';

const BODY = Buffer.from('X-Understudy: filler\r\n\r\n');
const DATE = '02-Jan-1970 03:04:05 +0000';
const DATE_MS = internalDateMs(DATE);

export const FILLER: AppendMessage = { body: BODY, flags: ['\\Deleted'], internalDate: DATE };
/** Narrows a search to fillers: the size and the date alone might be somebody's message. */
export const FILLER_CRITERIA = 'DELETED HEADER X-Understudy filler';

/** Nobody else's mail is so old to the second. */
export function isFillerDate(internalDate: string | undefined): boolean {
  return internalDateMs(internalDate ?? '') === DATE_MS;
}

export function looksLikeFiller(message: {
  size?: number;
  dateMs?: number;
  flags: readonly string[];
}): boolean {
  return message.size === BODY.length && message.dateMs === DATE_MS && message.flags.includes('\\Deleted');
}
