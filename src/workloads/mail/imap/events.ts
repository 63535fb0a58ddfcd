/** What a server says without being asked: hints to look again (the truth is read, never taken from here). */
import { hintedMailboxName } from './mailbox-name.ts';
import type { ImapResponse, MailboxStatus } from './responses.ts';

export type ImapEvent =
  /** The number of messages in the selected mailbox. */
  | { readonly type: 'exists'; readonly count: number }
  | { readonly type: 'expunge'; readonly sequence: number }
  | { readonly type: 'vanished'; readonly uids: string }
  | { readonly type: 'flags'; readonly uid: number | undefined; readonly sequence: number }
  /** NOTIFY: another mailbox changed. */
  | { readonly type: 'mailbox'; readonly name: string; readonly status: MailboxStatus }
  /** NOTIFY: a mailbox was made, deleted (\NonExistent), renamed (oldName) or its subscription changed. */
  | {
      readonly type: 'list';
      readonly name: string;
      readonly attributes: readonly string[];
      readonly oldName: string | undefined;
    }
  /** Text that a human must see (RFC 9051 section 7.1, ALERT). */
  | { readonly type: 'alert'; readonly text: string }
  /** NOTIFY gave up (RFC 5465 section 5.8): set it again after a full look. */
  | { readonly type: 'overflow' };

/** Undefined for what is no news. */
export function eventOf(response: ImapResponse): ImapEvent | undefined {
  switch (response.type) {
    case 'exists':
      return { type: 'exists', count: response.count };
    case 'expunge':
      return { type: 'expunge', sequence: response.sequence };
    case 'vanished':
      return { type: 'vanished', uids: response.uids };
    case 'fetch':
      return { type: 'flags', uid: response.uid, sequence: response.sequence };
    case 'mailbox-status':
      return { type: 'mailbox', name: hintedMailboxName(response.name), status: response.status };
    case 'list':
      return {
        type: 'list',
        name: hintedMailboxName(response.name),
        attributes: response.attributes,
        oldName: response.oldName === undefined ? undefined : hintedMailboxName(response.oldName),
      };
    case 'status':
      if (response.code?.name === 'ALERT') return { type: 'alert', text: response.text };
      if (response.code?.name === 'NOTIFICATIONOVERFLOW') return { type: 'overflow' };
      return undefined;
    default:
      return undefined;
  }
}
