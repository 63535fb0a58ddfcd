/**
 * Attachments by kind: the right first bytes and a body that compresses as such files do, which for most of them is
 * not at all.
 */
import { createCipheriv, createHash } from 'node:crypto';
import type { Random } from '../../lib/index.ts';

export interface Attachment {
  readonly fileName: string;
  readonly contentType: string;
  readonly content: Buffer;
  /** Lines of text with CRLF, which may go without base64. */
  readonly isText: boolean;
}

/** Gives the next bytes of an endless sequence. */
export type ByteSource = (length: number) => Buffer;

/** Pseudo-random bytes at the speed of AES; the same seed gives the same bytes. */
export function byteSource(seed: number | string): ByteSource {
  const key = createHash('sha256').update(`attachments ${seed}`).digest();
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  let zeros = Buffer.alloc(1 << 16);
  return (length) => {
    if (length > zeros.length) zeros = Buffer.alloc(length);
    return stream.update(zeros.subarray(0, length));
  };
}

interface Kind {
  readonly weight: number;
  readonly extension: string;
  readonly contentType: string;
  make(bytes: number, random: Random, source: ByteSource): Buffer;
  readonly isText?: boolean;
}

const ascii = (text: string) => Buffer.from(text, 'latin1');

/** First and last bytes as the format has them, noise between. */
const wrapped =
  (head: Buffer, tail: Buffer = Buffer.alloc(0)): Kind['make'] =>
  (bytes, _random, source) =>
    Buffer.concat([head, source(Math.max(0, bytes - head.length - tail.length)), tail]);

const kinds: readonly Kind[] = [
  {
    weight: 30,
    extension: 'pdf',
    contentType: 'application/pdf',
    make: wrapped(
      ascii(
        '%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n3 0 obj\n<< /Filter /FlateDecode >>\nstream\n',
      ),
      ascii('\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n'),
    ),
  },
  {
    weight: 20,
    extension: 'jpg',
    contentType: 'image/jpeg',
    make: wrapped(ascii('\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01'), ascii('\xff\xd9')),
  },
  {
    weight: 15,
    extension: 'png',
    contentType: 'image/png',
    make: wrapped(ascii('\x89PNG\r\n\x1a\n\0\0\0\rIHDR'), ascii('IEND\xaeB`\x82')),
  },
  {
    weight: 15,
    extension: 'docx',
    contentType: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    make: wrapped(ascii('PK\x03\x04\x14\0\x06\0'), ascii('PK\x05\x06\0\0\0\0')),
  },
  {
    weight: 8,
    extension: 'zip',
    contentType: 'application/zip',
    make: wrapped(ascii('PK\x03\x04\x14\0\0\0\x08\0'), ascii('PK\x05\x06\0\0\0\0')),
  },
  { weight: 7, extension: 'csv', contentType: 'text/csv', make: table, isText: true },
  { weight: 5, extension: 'txt', contentType: 'text/plain', make: logLines, isText: true },
];

const fileNames = [
  'report',
  'scan_0012',
  'Angebot',
  'offer final (2)',
  'IMG_4711',
  'minutes',
  'Übersicht',
  'contrat signé',
  'Счёт',
  '見積書',
];

/** An attachment of about `bytes` (before transfer encoding). */
export function makeAttachment(bytes: number, random: Random, source: ByteSource): Attachment {
  const kind = random.weighted(kinds.map((item) => ({ weight: item.weight, item })));
  return {
    fileName: `${random.pick(fileNames)}.${kind.extension}`,
    contentType: kind.contentType,
    content: kind.make(bytes, random, source),
    isText: kind.isText ?? false,
  };
}

function table(bytes: number, random: Random): Buffer {
  return repeatedLines('id;date;customer;amount;currency', bytes, (at) => {
    const day = `2024-${pad(random.integer(1, 12))}-${pad(random.integer(1, 28))}`;
    return `${at};${day};C${random.integer(1000, 9999)};${random.integer(1, 99999)},${pad(random.integer(0, 99))};EUR`;
  });
}

function logLines(bytes: number, random: Random): Buffer {
  return repeatedLines('# exported log', bytes, (at) => {
    const time = `${pad(random.integer(0, 23))}:${pad(random.integer(0, 59))}:${pad(random.integer(0, 59))}`;
    return `${time} unit${random.integer(1, 40)} request ${at} answered ${random.pick(['200', '204', '404', '503'])} in ${random.integer(1, 900)} ms`;
  });
}

const pad = (value: number) => String(value).padStart(2, '0');

/** Many megabytes of lines are made from a few thousand of them. */
function repeatedLines(head: string, bytes: number, line: (at: number) => string): Buffer {
  const lines: string[] = [];
  const fresh = Math.min(bytes, 60_000);
  for (let size = head.length + 2; size < fresh; ) {
    const next = line(lines.length);
    lines.push(next);
    size += next.length + 2;
  }
  const block = ascii(`${[head, ...lines].join('\r\n')}\r\n`);
  return bytes <= block.length ? block : Buffer.concat(Array(Math.ceil(bytes / block.length)).fill(block));
}
