/** Goal: what real servers send, in their own spellings, is understood; what is not IMAP is refused. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { MalformedResponse, ResponseDecoder } from './response-decoder.ts';
import { type ImapResponse, ResponseParser } from './responses.ts';

function parse(text: string): ImapResponse {
  const decoder = new ResponseDecoder();
  decoder.push(Buffer.from(`${text}\r\n`, 'latin1'));
  const raw = decoder.next();
  assert.ok(raw, `not whole: ${text}`);
  return new ResponseParser().parse(raw);
}

function fetched(items: string) {
  const response = parse(`* 7 FETCH (${items})`);
  assert.equal(response.type, 'fetch');
  return response as Extract<ImapResponse, { type: 'fetch' }>;
}

test('FETCH items come in any order, known and unknown', () => {
  const response = fetched(
    'BODY[HEADER.FIELDS (DATE X)] {2}\r\n\r\n ENVELOPE ("d" NIL (("a" NIL "b" "c")) {1}\r\n( "x") MODSEQ (9223372036854775807) X-GUID 1700.M1P2.host,S=14,W=17 RFC822.SIZE 12 INTERNALDATE " 1-Jan-2020 00:00:00 +0130" FLAGS (\\seen $Kw \\Recent) UID 4294967295 BODY[] {0}\r\n',
  );
  assert.equal(response.uid, 4294967295);
  assert.equal(response.modSeq, '9223372036854775807');
  assert.equal(response.guid, '1700.M1P2.host,S=14,W=17');
  assert.equal(response.size, 12);
  assert.equal(response.internalDate, ' 1-Jan-2020 00:00:00 +0130');
  assert.deepEqual(response.flags, ['$Kw', '\\Seen']);
  assert.equal(response.body?.length, 0);
});

test('a body may be a literal, quoted, empty or NIL', () => {
  assert.equal(fetched('BODY[] {5}\r\nab\r\nc').body?.toString(), 'ab\r\nc');
  assert.equal(fetched('BODY[] "a\\"b\\\\c"').body?.toString(), 'a"b\\c');
  assert.equal(fetched('BODY[] ""').body?.toString(), '');
  assert.equal(fetched('BODY[] ~{3}\r\na\0b').body?.toString(), 'a\0b');
  assert.equal(fetched('BODY[] NIL').body, null);
  assert.equal(fetched('UID 1').body, undefined);
});

test('ids of messages and mailboxes are understood as atom, string and RFC 8474 object id', () => {
  assert.equal(fetched('X-GUID "a b"').guid, 'a b');
  assert.equal(fetched('EMAILID (M-6_x)').guid, 'M-6_x');
  assert.equal(fetched('EMAILID NIL').guid, undefined);
  const status = parse(
    '* STATUS "a \\"b" (MESSAGES 3 X-GUID 3e2a UIDNEXT 9 HIGHESTMODSEQ 0 SIZE 4 UIDVALIDITY 1)',
  );
  assert.deepEqual(status, {
    type: 'mailbox-status',
    name: 'a "b',
    status: { messages: 3, uidNext: 9, uidValidity: 1, highestModSeq: undefined, guid: '3e2a' },
  });
});

test('LIST names come quoted, as literals, as atoms, with NIL delimiter and extended data', () => {
  assert.deepEqual(parse('* LIST (\\NoSelect) NIL {3}\r\na"b'), {
    type: 'list',
    command: 'LIST',
    attributes: ['\\NoSelect'],
    delimiter: null,
    name: 'a"b',
    oldName: undefined,
  });
  const nil = parse('* LSUB () "\\\\" NIL');
  assert.deepEqual(nil.type === 'list' && [nil.name, nil.delimiter], ['NIL', '\\']);
  const renamed = parse('* LIST () "/" new ("CHILDINFO" ("SUBSCRIBED") "OLDNAME" ("old"))');
  assert.equal(renamed.type === 'list' && renamed.oldName, 'old');
  const inbox = parse('* LIST () "/" inbox');
  assert.equal(inbox.type === 'list' && inbox.name, 'INBOX');
});

test('response codes end where they end, and free text is free', () => {
  assert.deepEqual(parse('* OK [PERMANENTFLAGS (\\Seen \\* a]b)] Flags {5}'), {
    type: 'status',
    tag: undefined,
    status: 'OK',
    code: { name: 'PERMANENTFLAGS', value: '(\\Seen \\* a]b)' },
    text: 'Flags {5}',
  });
  assert.deepEqual(parse('U1 no [never closed'), {
    type: 'status',
    tag: 'U1',
    status: 'NO',
    code: { name: '', value: '' },
    text: '[never closed',
  });
  assert.deepEqual(parse('+'), { type: 'continue', text: '' });
  assert.deepEqual(parse('* BYE'), {
    type: 'status',
    tag: undefined,
    status: 'BYE',
    code: undefined,
    text: '',
  });
});

test('search results, old and new, and vanished sets', () => {
  assert.deepEqual(parse('* SEARCH 3 1 2 (MODSEQ 99)'), { type: 'search', numbers: [3, 1, 2] });
  assert.deepEqual(parse('* SEARCH'), { type: 'search', numbers: [] });
  assert.deepEqual(parse('* ESEARCH (TAG "U2") UID COUNT 2 ALL 1:5,9'), {
    type: 'esearch',
    tag: 'U2',
    all: '1:5,9',
  });
  assert.deepEqual(parse('* VANISHED (EARLIER) 300:310,405'), {
    type: 'vanished',
    earlier: true,
    uids: '300:310,405',
  });
  assert.deepEqual(parse('* NAMESPACE (("" "/")) NIL (("Public/" "/" "X" ("y")))'), {
    type: 'namespace',
    personal: [{ prefix: '', delimiter: '/' }],
    others: [],
    shared: [{ prefix: 'Public/', delimiter: '/' }],
  });
});

test('unknown responses are passed over', () => {
  assert.deepEqual(parse('* XSOMETHING (a "b" {1}\r\nc)'), { type: 'other', name: 'XSOMETHING' });
  assert.deepEqual(parse('* 3 XSOMETHING'), { type: 'other', name: 'XSOMETHING' });
});

test('what is not IMAP is refused with an excerpt', () => {
  for (const text of [
    '220 smtp ready',
    '* 1 FETCH (UID x)',
    '* 1 FETCH (BODY[] "abc',
    '* 1 FETCH (UID 1',
    '',
  ]) {
    assert.throws(() => parse(text), MalformedResponse, text);
  }
});
