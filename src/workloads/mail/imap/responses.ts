/** What a server says, as data: the responses of RFC 9051 section 7 and of the extensions that we use. */
import { Cursor } from './cursor.ts';
import { FlagLists } from './flags.ts';
import { decodeMailboxName } from './mailbox-name.ts';
import type { RawResponse } from './response-decoder.ts';

/** `[UIDVALIDITY 12]` is name `UIDVALIDITY`, value `12`. */
export interface ResponseCode {
  readonly name: string;
  readonly value: string;
}

export interface StatusResponse {
  readonly type: 'status';
  /** Undefined for `*`. */
  readonly tag: string | undefined;
  readonly status: 'OK' | 'NO' | 'BAD' | 'BYE' | 'PREAUTH';
  readonly code: ResponseCode | undefined;
  readonly text: string;
}

/** One FETCH response; what the server did not send is undefined. */
export interface FetchResponse {
  readonly type: 'fetch';
  readonly sequence: number;
  readonly uid: number | undefined;
  /** As `normalizeFlags` gives them; the same list object for the same flags. */
  readonly flags: readonly string[] | undefined;
  /** Verbatim: `17-Jul-1996 02:44:25 -0700`. */
  readonly internalDate: string | undefined;
  /** RFC822.SIZE as the server says, which may be wrong. */
  readonly size: number | undefined;
  /** Decimal, 63 bits. */
  readonly modSeq: string | undefined;
  /** X-GUID or EMAILID. */
  readonly guid: string | undefined;
  /** BODY[], one buffer; null when the server says NIL. Its bytes are valid until the handler has returned or its promise settled: copy what is kept. */
  readonly body: Buffer | null | undefined;
}

export interface MailboxStatus {
  readonly messages: number | undefined;
  readonly uidNext: number | undefined;
  readonly uidValidity: number | undefined;
  /** Decimal; absent when the mailbox keeps none (NOMODSEQ, or 0). */
  readonly highestModSeq: string | undefined;
  /** X-GUID or MAILBOXID. */
  readonly guid: string | undefined;
}

export interface ListResponse {
  readonly type: 'list';
  readonly command: 'LIST' | 'LSUB';
  readonly attributes: readonly string[];
  readonly delimiter: string | null;
  readonly name: string;
  /** The former name, told by NOTIFY when a mailbox is renamed (RFC 5465 section 5.4). */
  readonly oldName: string | undefined;
}

export interface NamespaceEntry {
  readonly prefix: string;
  readonly delimiter: string | null;
}

export type ImapResponse =
  | StatusResponse
  | FetchResponse
  | ListResponse
  | { readonly type: 'continue'; readonly text: string }
  | { readonly type: 'capability'; readonly names: readonly string[] }
  | { readonly type: 'enabled'; readonly names: readonly string[] }
  | { readonly type: 'mailbox-status'; readonly name: string; readonly status: MailboxStatus }
  | { readonly type: 'search'; readonly numbers: readonly number[] }
  | { readonly type: 'esearch'; readonly tag: string | undefined; readonly all: string | undefined }
  | { readonly type: 'flags'; readonly flags: readonly string[] }
  | { readonly type: 'exists'; readonly count: number }
  | { readonly type: 'expunge'; readonly sequence: number }
  | { readonly type: 'vanished'; readonly earlier: boolean; readonly uids: string }
  | {
      readonly type: 'namespace';
      readonly personal: readonly NamespaceEntry[];
      readonly others: readonly NamespaceEntry[];
      readonly shared: readonly NamespaceEntry[];
    }
  | { readonly type: 'other'; readonly name: string };

const OPEN = 40;
const CLOSE = 41;
const OPEN_BRACKET = 91;

/** Keeps what may be shared between responses of one connection. */
export class ResponseParser {
  readonly #cursor = new Cursor();
  readonly #flagLists = new FlagLists();

  /** Throws `MalformedResponse`. Unknown responses are `other`: a client must not stumble over them. */
  parse(raw: RawResponse): ImapResponse {
    const cursor = this.#cursor;
    cursor.load(raw);
    if (cursor.takeIf(43)) {
      cursor.spaces();
      return { type: 'continue', text: cursor.rest() };
    }
    const tag = cursor.atom();
    cursor.spaces();
    const first = cursor.peek();
    if (tag === '*' && first >= 48 && first <= 57) return this.#numbered(cursor);
    const name = cursor.atom().toUpperCase();
    cursor.spaces();
    switch (name) {
      case 'OK':
      case 'NO':
      case 'BAD':
      case 'BYE':
      case 'PREAUTH':
        return statusResponse(cursor, tag === '*' ? undefined : tag, name);
    }
    if (tag !== '*') throw cursor.malformed('neither a tagged status nor an untagged response');
    switch (name) {
      case 'CAPABILITY':
        return { type: 'capability', names: words(cursor.rest().toUpperCase()) };
      case 'ENABLED':
        return { type: 'enabled', names: words(cursor.rest().toUpperCase()) };
      case 'FLAGS':
        return { type: 'flags', flags: this.#flagLists.of(cursor.flatList()) };
      case 'LIST':
      case 'LSUB':
        return listResponse(cursor, name);
      case 'STATUS':
        return mailboxStatus(cursor);
      case 'SEARCH':
        return searchResponse(cursor);
      case 'ESEARCH':
        return esearchResponse(cursor);
      case 'VANISHED':
        return vanishedResponse(cursor);
      case 'NAMESPACE':
        return namespaceResponse(cursor);
      default:
        return { type: 'other', name };
    }
  }

  #numbered(cursor: Cursor): ImapResponse {
    const number = cursor.number();
    cursor.spaces();
    const name = cursor.atom().toUpperCase();
    cursor.spaces();
    switch (name) {
      case 'FETCH':
        return this.#fetch(cursor, number);
      case 'EXISTS':
        return { type: 'exists', count: number };
      case 'EXPUNGE':
        return { type: 'expunge', sequence: number };
      default:
        return { type: 'other', name };
    }
  }

  #fetch(cursor: Cursor, sequence: number): FetchResponse {
    let uid: number | undefined;
    let flags: readonly string[] | undefined;
    let internalDate: string | undefined;
    let size: number | undefined;
    let modSeq: string | undefined;
    let guid: string | undefined;
    let body: Buffer | null | undefined;
    cursor.expect(OPEN);
    for (;;) {
      cursor.spaces();
      if (cursor.takeIf(CLOSE)) break;
      const item = cursor.itemName();
      cursor.spaces();
      switch (item) {
        case 'UID':
          uid = cursor.number();
          break;
        case 'FLAGS':
          flags = this.#flagLists.of(cursor.flatList());
          break;
        case 'INTERNALDATE':
          internalDate = cursor.nstring() ?? undefined;
          break;
        case 'RFC822.SIZE':
          size = cursor.number();
          break;
        case 'MODSEQ':
          cursor.expect(OPEN);
          modSeq = cursor.digits();
          cursor.expect(CLOSE);
          break;
        case 'X-GUID':
          guid = cursor.nstring() ?? undefined;
          break;
        case 'EMAILID':
          guid = objectId(cursor);
          break;
        case 'BODY[]':
          body = bodyOf(cursor);
          break;
        default:
          cursor.skipValue();
      }
    }
    return { type: 'fetch', sequence, uid, flags, internalDate, size, modSeq, guid, body };
  }
}

/** A literal is ours to hand out; a quoted string (a few servers send short bodies so) lies in a buffer that is read into again. */
function bodyOf(cursor: Cursor): Buffer | null {
  const isLiteral = cursor.peek() === 123 || cursor.peek() === 126;
  const bytes = cursor.nstringBytes();
  return bytes === null || isLiteral ? bytes : Buffer.from(bytes);
}

function statusResponse(
  cursor: Cursor,
  tag: string | undefined,
  status: StatusResponse['status'],
): StatusResponse {
  const code = cursor.peek() === OPEN_BRACKET ? responseCode(cursor) : undefined;
  return { type: 'status', tag, status, code, text: cursor.rest() };
}

/** The code ends at the first `]` that is not inside a quoted string or parentheses. */
function responseCode(cursor: Cursor): ResponseCode {
  const { bytes } = cursor;
  const start = cursor.position + 1;
  let depth = 0;
  let quoted = false;
  let end = start;
  for (; end < cursor.end; end++) {
    const byte = bytes[end];
    if (quoted) {
      if (byte === 92) end += 1;
      else if (byte === 34) quoted = false;
    } else if (byte === 34) quoted = true;
    else if (byte === OPEN) depth += 1;
    else if (byte === CLOSE) depth -= 1;
    else if (byte === 93 && depth <= 0) break;
  }
  // A code that is never closed is text: it is the server's prose that starts with a bracket.
  if (end >= cursor.end) return { name: '', value: '' };
  cursor.position = end + 1;
  cursor.spaces();
  const inside = bytes.toString('latin1', start, end);
  const space = inside.indexOf(' ');
  return space < 0
    ? { name: inside.toUpperCase(), value: '' }
    : { name: inside.slice(0, space).toUpperCase(), value: inside.slice(space + 1).trim() };
}

function listResponse(cursor: Cursor, command: 'LIST' | 'LSUB'): ListResponse {
  const attributes = words(cursor.flatList());
  cursor.spaces();
  const delimiter = cursor.nstring();
  cursor.spaces();
  const name = decodeMailboxName(cursor.astringBytes());
  let oldName: string | undefined;
  cursor.spaces();
  if (cursor.takeIf(OPEN)) {
    for (;;) {
      cursor.spaces();
      if (cursor.takeIf(CLOSE)) break;
      const item = (cursor.nstring() ?? '').toUpperCase();
      cursor.spaces();
      if (item === 'OLDNAME') {
        cursor.expect(OPEN);
        oldName = decodeMailboxName(cursor.astringBytes());
        cursor.spaces();
        cursor.expect(CLOSE);
      } else cursor.skipValue();
    }
  }
  return { type: 'list', command, attributes, delimiter, name, oldName };
}

function mailboxStatus(cursor: Cursor): ImapResponse {
  const name = decodeMailboxName(cursor.astringBytes());
  cursor.spaces();
  let messages: number | undefined;
  let uidNext: number | undefined;
  let uidValidity: number | undefined;
  let highestModSeq: string | undefined;
  let guid: string | undefined;
  cursor.expect(OPEN);
  for (;;) {
    cursor.spaces();
    if (cursor.takeIf(CLOSE)) break;
    const item = cursor.atom().toUpperCase();
    cursor.spaces();
    switch (item) {
      case 'MESSAGES':
        messages = cursor.number();
        break;
      case 'UIDNEXT':
        uidNext = cursor.number();
        break;
      case 'UIDVALIDITY':
        uidValidity = cursor.number();
        break;
      case 'HIGHESTMODSEQ': {
        const digits = cursor.digits();
        if (digits !== '0') highestModSeq = digits;
        break;
      }
      case 'X-GUID':
        guid = cursor.nstring() ?? undefined;
        break;
      case 'MAILBOXID':
        guid = objectId(cursor);
        break;
      default:
        cursor.skipValue();
    }
  }
  return {
    type: 'mailbox-status',
    name,
    status: { messages, uidNext, uidValidity, highestModSeq, guid },
  };
}

/** RFC 8474: `(M-123)`, or NIL. Anything that is not made of its characters is no id. */
function objectId(cursor: Cursor): string | undefined {
  const id = cursor.peek() === OPEN ? cursor.flatList().trim() : (cursor.nstring() ?? '');
  return /^[A-Za-z0-9_-]{1,255}$/.test(id) ? id : undefined;
}

function searchResponse(cursor: Cursor): ImapResponse {
  const numbers: number[] = [];
  for (;;) {
    cursor.spaces();
    if (cursor.atEnd) break;
    // `(MODSEQ 12)` may end it (RFC 7162 section 3.1.5).
    if (cursor.peek() === OPEN) cursor.skipValue();
    else numbers.push(cursor.number());
  }
  return { type: 'search', numbers };
}

function esearchResponse(cursor: Cursor): ImapResponse {
  let tag: string | undefined;
  let all: string | undefined;
  if (cursor.takeIf(OPEN)) {
    while (!cursor.takeIf(CLOSE)) {
      const item = cursor.atom().toUpperCase();
      cursor.spaces();
      if (item === 'TAG') tag = cursor.nstring() ?? undefined;
      else cursor.skipValue();
      cursor.spaces();
    }
  }
  for (;;) {
    cursor.spaces();
    if (cursor.atEnd) break;
    const item = cursor.atom().toUpperCase();
    cursor.spaces();
    if (item === 'UID') continue;
    if (item === 'ALL') all = cursor.atom();
    else cursor.skipValue();
  }
  return { type: 'esearch', tag, all };
}

function vanishedResponse(cursor: Cursor): ImapResponse {
  let earlier = false;
  if (cursor.peek() === OPEN) {
    earlier = cursor.flatList().trim().toUpperCase() === 'EARLIER';
    cursor.spaces();
  }
  return { type: 'vanished', earlier, uids: cursor.atom() };
}

function namespaceResponse(cursor: Cursor): ImapResponse {
  const entries = (): NamespaceEntry[] => {
    cursor.spaces();
    const found: NamespaceEntry[] = [];
    if (!cursor.takeIf(OPEN)) {
      cursor.skipValue();
      return found;
    }
    for (;;) {
      cursor.spaces();
      if (cursor.takeIf(CLOSE)) return found;
      cursor.expect(OPEN);
      const prefix = decodeMailboxName(cursor.astringBytes());
      cursor.spaces();
      const delimiter = cursor.nstring();
      for (cursor.spaces(); !cursor.takeIf(CLOSE); cursor.spaces()) cursor.skipValue();
      found.push({ prefix, delimiter });
    }
  };
  return { type: 'namespace', personal: entries(), others: entries(), shared: entries() };
}

function words(text: string): string[] {
  return text.split(' ').filter((word) => word !== '');
}
