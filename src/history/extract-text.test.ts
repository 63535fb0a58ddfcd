import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { extractText, TEXT_CHARS_MAX } from './extract-text.ts';

const crlf = (text: string) => Buffer.from(text.replace(/\n/g, '\r\n'), 'latin1');

test('charsets, encodings, nested parts and attachment names become words', async () => {
  const mail = crlf(`From: =?iso-8859-1?q?J=F6rg?= <j@x.org>
To: Team <t@x.org>
Cc: c@x.org
Subject: =?utf-8?b?R3LDvMOfZQ==?=
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

sch=F6n
--b
Content-Type: message/rfc822

Subject: inner

walnut
--b
Content-Type: application/pdf; name="quittung.pdf"
Content-Transfer-Encoding: base64

AAAA
--b--
`);
  const found = await extractText(mail);
  assert.equal(found.subject, 'Grüße');
  assert.match(found.from, /Jörg j@x.org/);
  assert.match(found.to, /t@x.org.*c@x.org/);
  for (const word of ['schön', 'walnut', 'quittung.pdf']) assert.ok(found.text.includes(word), word);
});

test('mail that no parser takes is read as it stands', async () => {
  let nested = 'Subject: deep\r\n';
  for (let i = 0; i < 200; i += 1)
    nested += `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n`;
  const found = await extractText(Buffer.from(`${nested}\r\nhazelnut\r\n`));
  assert.equal(found.subject, 'deep');
  assert.ok(found.text.includes('hazelnut'));
});

test('large attachments are left out, the text after them is not; text is capped', async () => {
  const base64 = `${'QUJD'.repeat(19)}\r\n`.repeat(20_000);
  const head =
    'Subject: big\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nbefore\r\n--b\r\n';
  const part = 'Content-Type: application/zip; name=z.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n';
  const found = await extractText(Buffer.from(`${head}${part}${base64}\r\n--b\r\n\r\nafter\r\n--b--\r\n`));
  assert.ok(found.text.includes('before') && found.text.includes('after'));
  const long = await extractText(Buffer.from(`Subject: long\r\n\r\n${'word '.repeat(200_000)}`));
  assert.equal(long.text.length, TEXT_CHARS_MAX);
});

test('no bytes break it', async () => {
  const bytes = fc.uint8Array({ maxLength: 2000 });
  await fc.assert(
    fc.asyncProperty(bytes, async (data) => typeof (await extractText(data)).text === 'string'),
  );
});
