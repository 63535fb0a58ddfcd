/** What mailboxes there are and how they stand, in one round trip where the server can (RFC 5258, 5819, 6154). */

import { hasCode, type UnderstudyError } from '../../../lib/index.ts';
import { stringPart } from './login.ts';
import { encodeMailboxName } from './mailbox-name.ts';
import type { ServerTraits } from './options.ts';
import type { ListResponse, MailboxStatus, StatusResponse } from './responses.ts';
import { type CommandPart, refusal, type Wire } from './wire.ts';

export interface MailboxListing {
  readonly name: string;
  readonly delimiter: string | null;
  /** As the server sends them: `\HasChildren`. */
  readonly attributes: readonly string[];
  /** False for \NoSelect and \NonExistent: a level of hierarchy, or a name that is only subscribed. */
  readonly selectable: boolean;
  /** `\Sent`, `\Trash` …, sorted, in their RFC spelling. */
  readonly specialUse: readonly string[];
  readonly subscribed: boolean;
  /** Absent when not asked for, not selectable, or when the server could not tell. */
  readonly status?: MailboxStatus;
}

const SPECIAL_USE = new Map(
  ['\\All', '\\Archive', '\\Drafts', '\\Flagged', '\\Important', '\\Junk', '\\Sent', '\\Trash'].map((use) => [
    use.toLowerCase(),
    use,
  ]),
);

export function mailboxPart(name: string): CommandPart {
  return stringPart(encodeMailboxName(name));
}

/**
 * Every mailbox the account sees, in the server's order. `status`: with MESSAGES, UIDNEXT and so on. `mayOpen`: no mailbox
 * is open, so that one may be for what is not known of the server yet.
 */
export async function listMailboxes(
  wire: Wire,
  traits: ServerTraits,
  options: { readonly status: boolean; readonly mayOpen?: boolean },
): Promise<MailboxListing[]> {
  const lists: ListResponse[] = [];
  const subscribed = new Set<string>();
  const statuses = new Map<string, MailboxStatus>();
  const items = options.status ? await statusItems(wire, traits, options.mayOpen ?? false) : '';

  const returns = [
    ...(wire.has('LIST-EXTENDED') ? ['SUBSCRIBED'] : []),
    ...(wire.has('SPECIAL-USE') ? ['SPECIAL-USE'] : []),
    ...(options.status && wire.has('LIST-STATUS') ? [`STATUS (${items})`] : []),
  ];
  const extended = wire.has('LIST-EXTENDED') || wire.has('LIST-STATUS');
  const list = wire.ok('LIST', [extended ? `LIST "" "*" RETURN (${returns.join(' ')})` : 'LIST "" "*"'], {
    take: (response) => {
      if (response.type === 'list' && response.command === 'LIST') lists.push(response);
      else if (response.type === 'mailbox-status') statuses.set(response.name, response.status);
      else return false;
      return true;
    },
  });
  const lsub = wire.has('LIST-EXTENDED') ? undefined : readSubscriptions(wire, subscribed);
  await Promise.all([list, lsub]);

  const selectable = (entry: ListResponse) =>
    !entry.attributes.some((attribute) => /^\\(?:noselect|nonexistent)$/i.test(attribute));
  if (options.status && !wire.has('LIST-STATUS')) {
    // Pipelined: one round trip more, not one per mailbox.
    await Promise.all(
      lists.filter(selectable).map((entry) =>
        // A NO means that this mailbox cannot tell (no rights, gone since): it has no status then.
        wire.command('STATUS', ['STATUS ', mailboxPart(entry.name), ` (${items})`], {
          take: (response) => {
            if (response.type !== 'mailbox-status') return false;
            statuses.set(response.name, response.status);
            return true;
          },
        }),
      ),
    );
  }

  return lists.map((entry) => {
    const attributes = entry.attributes.map((attribute) => attribute.toLowerCase());
    const status = statuses.get(entry.name);
    return {
      name: entry.name,
      delimiter: entry.delimiter,
      attributes: entry.attributes,
      selectable: selectable(entry),
      specialUse: attributes.flatMap((attribute) => SPECIAL_USE.get(attribute) ?? []).sort(),
      subscribed: attributes.includes('\\subscribed') || subscribed.has(entry.name),
      ...(status ? { status } : {}),
    };
  });
}

/** All subscribed names, those without a mailbox included, sorted. */
export async function listSubscriptions(wire: Wire): Promise<string[]> {
  const names = new Set<string>();
  await readSubscriptions(wire, names);
  return [...names].sort();
}

/** LSUB is in every IMAP4rev1 server; IMAP4rev2 alone has only the extended LIST. */
async function readSubscriptions(wire: Wire, into: Set<string>): Promise<void> {
  const useList = wire.has('LIST-EXTENDED') || !wire.has('IMAP4REV1');
  await wire.ok(
    useList ? 'LIST (SUBSCRIBED)' : 'LSUB',
    [useList ? 'LIST (SUBSCRIBED) "" "*"' : 'LSUB "" "*"'],
    {
      take: (response) => {
        if (response.type !== 'list') return false;
        // LSUB shows a parent as \NoSelect when only its child is subscribed (RFC 3501 section 6.3.9).
        const noSelect = response.attributes.some((attribute) => attribute.toLowerCase() === '\\noselect');
        if (useList || !noSelect) into.add(response.name);
        return true;
      },
    },
  );
}

export async function mailboxStatus(
  wire: Wire,
  traits: ServerTraits,
  name: string,
): Promise<MailboxStatus | undefined> {
  let found: MailboxStatus | undefined;
  const parts = ['STATUS ', mailboxPart(name), ` (${await statusItems(wire, traits, false)})`];
  const status = await wire.command('STATUS', parts, {
    take: (response) => {
      if (response.type !== 'mailbox-status') return false;
      found = response.status;
      return true;
    },
  });
  if (status.status !== 'OK') throw await mailboxRefusal(wire, 'STATUS', name, status);
  return found;
}

/** What servers say in prose, Dovecot to EXAMINE for one. */
const SAYS_ABSENT = /mailbox (?:doesn't|does not) exist|no such mailbox|unknown mailbox/i;

/**
 * The error for a NO about a mailbox. Many servers say in prose only that there is no such mailbox, so without a
 * response code the words tell, or else a listing. The words come first: Dovecot's Maildir lists parents that are gone.
 */
export async function mailboxRefusal(
  wire: Wire,
  command: string,
  name: string,
  status: StatusResponse,
): Promise<UnderstudyError> {
  let listed = status.status !== 'NO' || status.code !== undefined;
  if (!listed && !SAYS_ABSENT.test(status.text)) {
    await wire.ok('LIST', ['LIST "" ', mailboxPart(name)], {
      take: (response) => {
        if (response.type !== 'list') return false;
        // The name may be a pattern that others match too.
        if (response.name === name) listed = true;
        return true;
      },
    });
  }
  const code = listed ? status.code : { name: 'NONEXISTENT', value: '' };
  return refusal(wire.place, `${command} ${name}`, { ...status, code });
}

async function statusItems(wire: Wire, traits: ServerTraits, mayOpen: boolean): Promise<string> {
  const guid = await learnGuidItem(wire, traits);
  const hasId = guid === 'EMAILID' && (await tellsMailboxIds(wire, traits, mayOpen));
  return itemsWith(wire, hasId ? 'MAILBOXID' : guid === 'X-GUID' ? 'X-GUID' : undefined);
}

function itemsWith(wire: Wire, id: 'MAILBOXID' | 'X-GUID' | undefined): string {
  return [
    'MESSAGES UIDNEXT UIDVALIDITY',
    ...(wire.has('CONDSTORE') || wire.has('QRESYNC') ? ['HIGHESTMODSEQ'] : []),
    ...(id === undefined ? [] : [id]),
  ].join(' ');
}

/**
 * Whether MAILBOXID in a STATUS (RFC 8474) is to be believed, asked once per server: Cyrus 3.6 gives other bytes in each
 * answer, and every mailbox would be taken for a new one. EXAMINE tells it too, and rightly.
 */
async function tellsMailboxIds(wire: Wire, traits: ServerTraits, mayOpen: boolean): Promise<boolean> {
  if (traits.mailboxIds === undefined) {
    if (!mayOpen) return false;
    const comparing = compareMailboxIds(wire);
    traits.mailboxIds = comparing.catch(() => false);
    try {
      // No INBOX, or none that can be opened, says nothing of the server.
      if ((await comparing) === undefined) delete traits.mailboxIds;
    } catch (error) {
      // Bytes that are no IMAP at all end the connection: the next one does not ask for them.
      if (!hasCode(error, 'MAIL_PROTOCOL_ERROR')) delete traits.mailboxIds;
      throw error;
    }
  }
  return (await traits.mailboxIds) ?? false;
}

/** Undefined when it cannot be told. Leaves no mailbox open. */
async function compareMailboxIds(wire: Wire): Promise<boolean | undefined> {
  let examined: string | undefined;
  let told: string | undefined;
  const opened = await wire.command('EXAMINE', ['EXAMINE INBOX'], {
    take: (response) => {
      if (response.type === 'status' && response.code?.name === 'MAILBOXID')
        examined = response.code.value.replace(/[()]/g, '');
      return response.type === 'exists' || response.type === 'flags' || response.type === 'status';
    },
  });
  if (opened.status !== 'OK') return undefined;
  const leave = wire.has('UNSELECT') ? 'UNSELECT' : 'CLOSE';
  await wire.ok(leave, [leave]);
  if (examined === undefined) return false;
  // With all the items that will be asked for: Cyrus 3.6 tells it rightly where nothing else is asked.
  const status = await wire.command('STATUS', [`STATUS INBOX (${itemsWith(wire, 'MAILBOXID')})`], {
    take: (response) => {
      if (response.type !== 'mailbox-status') return false;
      told = response.status.guid;
      return true;
    },
  });
  return status.status === 'OK' && told === examined;
}

/** RFC 8474 is announced; Dovecot's X-GUID is not, so it is tried once per server. */
export async function learnGuidItem(wire: Wire, traits: ServerTraits): Promise<ServerTraits['guidItem']> {
  if (traits.guidItem === undefined) {
    if (wire.has('OBJECTID')) traits.guidItem = 'EMAILID';
    else {
      let told = false;
      const status = await wire.command('STATUS', ['STATUS INBOX (X-GUID)'], {
        take: (response) => {
          if (response.type !== 'mailbox-status') return false;
          told = response.status.guid !== undefined;
          return true;
        },
      });
      // A NO is about this INBOX; only BAD says that the item is unknown.
      if (status.status === 'NO') return 'none';
      traits.guidItem = status.status === 'OK' && told ? 'X-GUID' : 'none';
    }
  }
  return traits.guidItem;
}
