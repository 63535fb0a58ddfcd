/** Goal: a connection is seen to be between two commands when it is, and never in the middle of one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceName } from '../../config/index.ts';
import { pauseFollower } from './pauses.ts';

/**
 * Lines `C: …` and `S: …`; `|` is CRLF, and a backslash at the end leaves the last CRLF out. `=50` expects this silence to
 * be needed, `=no` that none is enough.
 */
function follow(service: ServiceName, script: string): void {
  const follower = pauseFollower(service);
  for (const [index, raw] of script.trim().split('\n').entries()) {
    const line = raw.trim();
    const where = `line ${index + 1}: ${line}`;
    if (line === '=no') assert.equal(follower.silenceNeededMs(), Number.POSITIVE_INFINITY, where);
    else if (line.startsWith('=')) assert.equal(follower.silenceNeededMs(), Number(line.slice(1)), where);
    else {
      const text = line.slice(3).replaceAll('|', '\r\n');
      const bytes = Buffer.from(text.endsWith('\\') ? text.slice(0, -1) : `${text}\r\n`, 'latin1');
      if (line.startsWith('C:')) follower.fromClient(bytes);
      else follower.fromServer(bytes);
    }
  }
}

test('IMAP: between tagged responses, and while a client idles', () => {
  follow(
    'imap',
    `=no
     S: * OK [CAPABILITY IMAP4rev1] ready
     =50
     C: a LOGIN alice secret
     =no
     S: * CAPABILITY IMAP4rev1
     =no
     S: a OK logged in
     =50
     C: b FETCH 1:*\\
     =no
     C: 
     S: * 1 FETCH (FLAGS ())|b O\\
     =no
     S: K done
     =50
     C: c APPEND INBOX {5}
     S: + OK
     =no
     C: hello
     S: c OK [APPENDUID 1 1] done
     =50
     C: d IDLE
     =no
     S: + idling
     =50
     S: * 5 EXISTS
     =50
     C: DONE
     =no
     S: d OK
     =50`,
  );
});

test('IMAP: of several commands under way the last one counts', () => {
  follow(
    'imap',
    `S: * OK ready
     C: a5 APPEND INBOX {5+}|hello|a6 APPEND INBOX {12}
     S: a5 OK done
     =no
     S: + OK
     C: x OK {99}|a7
     S: * 2 EXISTS
     =no
     C: 
     S: a6 OK done
     =50
     C: b1 STORE 1 +FLAGS (\\Seen)|b2 IDLE
     S: * 1 FETCH (FLAGS (\\Seen))
     =no
     S: b1 OK done
     =no
     S: + idling|* 3 EXISTS
     =50
     C: DONE|b3 NOOP
     S: b2 OK done
     =no
     S: b3 OK done
     =50`,
  );
});

test('IMAP: a literal that the server does not want is not waited for; what a client answers is no command', () => {
  follow(
    'imap',
    `S: * OK ready
     C: a AUTHENTICATE PLAIN
     S: +
     =no
     C: AGFsaWNlAHNlY3JldA==
     S: a OK logged in
     =50
     C: b APPEND INBOX {9999}
     =no
     S: b NO too large
     =50
     C: c NOOP
     =no
     S: c OK done
     =50`,
  );
});

test('IMAP: what STARTTLS hides is judged by the silence after the server’s last word', () => {
  follow(
    'imap',
    `S: * OK ready
     C: a STARTTLS
     S: a OK begin
     =50
     C: \x16\x03\x01hello\\
     =no
     S: \x16\x03\x03server hello\\
     =200
     C: \x17\x03\x03data\\
     =no`,
  );
});

test('LMTP: a transaction lasts from MAIL to the reply for the last recipient', () => {
  follow(
    'lmtp',
    `=no
     S: 220 ready
     =50
     C: LHLO client
     =no
     S: 250-server|250-PIPELINING|250 CHUNKING
     =50
     C: MAIL FROM:<a@x>
     S: 250 ok
     =no
     C: RCPT TO:<b@x>
     S: 250 ok
     C: RCPT TO:<c@x>
     S: 550 no such user
     C: RCPT TO:<d@x>
     S: 250 ok
     =no
     C: DATA
     S: 354 go on
     =no
     C: Subject: x||MAIL in a body|.\\
     =no
     C: .dots|\\
     C: ..|QUIT in a line of its own
     =no
     C: .
     =no
     S: 250 <b@x> saved
     =no
     S: 250 <d@x> saved
     =50
     C: MAIL FROM:<a@x>
     S: 250 ok
     C: RSET
     =no
     S: 250 ok
     =50`,
  );
});

test('LMTP: pipelined, with BDAT; an end that is split over two reads', () => {
  follow(
    'lmtp',
    `S: 220 ready
     C: LHLO client
     S: 250 server
     C: MAIL FROM:<a@x>|RCPT TO:<b@x>|RCPT TO:<c@x>|BDAT 6 LAST|MAIL
     =no
     S: 250 ok|250 ok|250 ok|250 saved for b
     =no
     S: 250 saved for c
     =50
     C: MAIL FROM:<a@x>|RCPT TO:<b@x>|DATA
     S: 250 ok|250 ok|354 go on
     C: text\\
     C: \r\\
     =no
     S: 421 bye
     =no`,
  );
  const split = pauseFollower('lmtp');
  const server = (text: string) => split.fromServer(Buffer.from(text));
  const client = (text: string) => split.fromClient(Buffer.from(text));
  server('220 ready\r\n');
  client('MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n');
  server('250 ok\r\n250 ok\r\n354 go on\r\n');
  for (const piece of ['text\r', '\n', '.', '\r', '\n']) client(piece);
  assert.equal(split.silenceNeededMs(), Number.POSITIVE_INFINITY);
  server('250 saved\r\n');
  assert.equal(split.silenceNeededMs(), 50);
});

test('submission: one reply for a message with many recipients; a refused MAIL opens nothing', () => {
  follow(
    'submission',
    `S: 220 ready
     C: EHLO client
     S: 250 server
     C: MAIL FROM:<a@x>
     S: 530 log in first
     =50
     C: AUTH PLAIN
     S: 334 
     =50
     C: AGEAYg==
     =no
     S: 235 welcome
     =50
     C: MAIL FROM:<a@x>|RCPT TO:<b@x>|RCPT TO:<c@x>|DATA
     S: 250 ok|250 ok|250 ok|354 go on
     C: .
     =no
     S: 250 queued
     =50`,
  );
});

test('what cannot be read: silence after the server’s last word', () => {
  for (const service of ['imaps', 'pop3', 'sieve'] as const) {
    follow(service, '=no\nS: hello\n=200\nC: x\n=no\nS: y\n=200');
  }
});
