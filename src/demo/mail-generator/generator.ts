/**
 * Mail that looks like mail: several languages and character sets, threads, HTML alternatives, attachments. The same
 * seed gives the same messages in the same order. Made to be fast, since benches fill servers with it.
 */
import { Random } from '../../lib/index.ts';
import { type ByteSource, byteSource, makeAttachment } from './attachments.ts';
import { languages } from './languages.ts';
import { chooseFlags, type PlannedMailbox, planMailboxes } from './mailboxes.ts';
import { fillSlots, makeStyles, type TextStyle, transferReady } from './text-pool.ts';
import { base64Content, base64Lines, encodeHeader } from './transfer-encoding.ts';

export interface GeneratedMessage {
  /** RFC 5322, CRLF lines, ends with CRLF. */
  readonly raw: Buffer;
  /** When it was sent; `zoneMinutes` is the sender's offset from UTC. */
  readonly date: Date;
  readonly zoneMinutes: number;
  /** Decoded. */
  readonly subject: string;
  /** The sender's address. */
  readonly from: string;
  readonly messageId: string;
  /** Code of its language: `en`, `de`, `fr`, `ru`, `zh`, `ja`, `ar`, `pl`. */
  readonly language: string;
}

export interface MessageOptions {
  /** Size of `raw`, met within about a tenth (and never under 1 KB). Default: as mail goes, 36 KB on average. */
  readonly approxBytes?: number;
  /** Default: at random between 2015 and 2026. */
  readonly date?: Date;
  readonly to?: string;
  /** A language code. Default: at random. */
  readonly language?: string;
}

export interface MailGenerator {
  message(options?: MessageOptions): GeneratedMessage;
  /** Mailboxes of an account with `n` messages, and how many go into each. */
  mailboxPlan(n: number): PlannedMailbox[];
  /** Flags and keywords for a message of that mailbox. */
  flags(mailbox: string): string[];
}

interface Thread {
  readonly subject: string;
  readonly messageId: string;
  readonly references: readonly string[];
  readonly atMs: number;
  readonly style: TextStyle;
}

const firstMs = Date.UTC(2015, 0, 1);
const lastMs = Date.UTC(2026, 5, 30);
const dayMs = 86_400_000;

export function createMailGenerator(seed: number | string): MailGenerator {
  const random = new Random(`mail ${seed}`);
  const source = byteSource(seed);
  const stylesOf = new Map<string, TextStyle[]>();
  const byWeight = languages.map(({ code, weight }) => ({ weight, item: code }));
  const threads: Thread[] = [];

  const message = (options: MessageOptions = {}): GeneratedMessage => {
    // 1. Who writes to whom, when, in answer to what.
    const answered = options.language === undefined && random.chance(0.4) ? pickThread() : undefined;
    const style = answered?.style ?? pickStyle(options.language ?? random.weighted(byWeight));
    const { language, charset } = style;
    const [display, local] = random.pick(language.names);
    const from = `${local}@${random.pick(language.domains)}`;
    const to = options.to ?? address();
    const atMs =
      options.date?.getTime() ??
      (answered
        ? Math.min(lastMs, answered.atMs + random.integer(60_000, 3 * dayMs))
        : random.integer(firstMs, lastMs));
    const sentMs = Math.floor(atMs / 1000) * 1000;
    const zoneMinutes = random.pick(language.zones);
    const subject = answered
      ? answered.subject.startsWith('Re: ')
        ? answered.subject
        : `Re: ${answered.subject}`
      : fillSlots(random.pick(language.subjects), language, random);
    const domain = from.slice(from.indexOf('@') + 1);
    const messageId = `<${random.uint32().toString(36)}.${sentMs.toString(36)}.${random.uint32().toString(36)}@${domain}>`;
    const references = answered ? [...answered.references, answered.messageId].slice(-10) : [];

    // 2. Headers, and a body of the size that is left.
    const size = options.approxBytes ?? usualSize(random);
    const headers = [
      `Return-Path: <${from}>`,
      ...received(random, domain, to, sentMs, zoneMinutes),
      `Date: ${headerDate(sentMs, zoneMinutes)}`,
      `From: ${encodeHeader(display, charset)} <${from}>`,
      `To: ${to}`,
      ...(random.chance(0.2) ? [`Cc: ${address()}, ${address()}`] : []),
      `Subject: ${encodeHeader(subject, charset)}`,
      `Message-ID: ${messageId}`,
      ...(answered ? [`In-Reply-To: ${answered.messageId}`, `References: ${references.join('\r\n ')}`] : []),
      `User-Agent: ${random.pick(userAgents)}`,
      'MIME-Version: 1.0',
    ].join('\r\n');
    const body = makeBody(
      style,
      Math.max(200, size - headers.length - 150),
      answered !== undefined,
      random,
      source,
    );
    const raw = Buffer.concat([Buffer.from(`${headers}\r\n`, 'latin1'), ...body]);

    remember({ subject, messageId, references, atMs: sentMs, style });
    return { raw, date: new Date(sentMs), zoneMinutes, subject, from, messageId, language: language.code };
  };

  const address = () => {
    const language = random.pick(languages);
    return `${random.pick(language.names)[1]}@${random.pick(language.domains)}`;
  };
  const pickStyle = (code: string): TextStyle => {
    let styles = stylesOf.get(code);
    if (!styles) {
      const language = languages.find((known) => known.code === code);
      if (!language) {
        const known = languages.map((each) => each.code).join(', ');
        throw new RangeError(`no language ${code}; there are ${known}`);
      }
      styles = makeStyles(language, new Random(`texts ${seed} ${code}`));
      stylesOf.set(code, styles);
    }
    // The first way of writing is the usual one.
    return random.chance(0.5) ? (styles[0] as TextStyle) : random.pick(styles);
  };
  const pickThread = () => (threads.length === 0 ? undefined : random.pick(threads));
  const remember = (thread: Thread) => {
    if (threads.length < 64) threads.push(thread);
    else threads[random.integer(0, threads.length - 1)] = thread;
  };

  return {
    message,
    mailboxPlan: (n) => planMailboxes(n, random),
    flags: (mailbox) => chooseFlags(mailbox, random),
  };
}

const userAgents = [
  'Mozilla Thunderbird',
  'K-9 Mail for Android',
  'Apple Mail (2.3445.104.11)',
  'Roundcube Webmail/1.6.5',
  'Mutt/2.2.9 (2022-11-12)',
];

/** Few messages are large, and these hold most of the bytes: 36 KB on average, half of them under 6 KB. */
function usualSize(random: Random): number {
  const kind = random.float();
  if (kind < 0.6) return random.integer(1_200, 7_000);
  if (kind < 0.85) return random.integer(7_000, 30_000);
  if (kind < 0.99) return random.integer(30_000, 240_000);
  return random.integer(240_000, 1_900_000);
}

/** Header lines of the content, an empty line and the content, of about `bytes` in all. */
function makeBody(
  style: TextStyle,
  bytes: number,
  isAnswer: boolean,
  random: Random,
  source: ByteSource,
): Buffer[] {
  // Beyond some kilobytes it is attachments that make mail large.
  const textBytes =
    bytes < 9_000 || (bytes < 40_000 && random.chance(0.3)) ? bytes : random.integer(1_000, 8_000);
  const attachmentBytes = bytes - textBytes;
  const hasHtml = random.chance(0.45);
  const text = hasHtml
    ? alternative(style, textBytes, isAnswer, random)
    : plain(style, textBytes, isAnswer, random);
  if (attachmentBytes < 1_500) return text;

  const boundary = makeBoundary(random);
  const parts: Buffer[] = [
    latin1(
      `Content-Type: multipart/mixed; boundary="${boundary}"\r\n\r\nThis is a multi-part message in MIME format.\r\n--${boundary}\r\n`,
    ),
    ...text,
  ];
  const count = attachmentBytes < 20_000 ? 1 : random.integer(1, 3);
  for (let left = attachmentBytes, index = 0; index < count; index += 1) {
    const share = index === count - 1 ? left : Math.floor(left * (0.2 + random.float() * 0.6));
    left -= share;
    parts.push(...attachmentPart(boundary, share, random, source));
  }
  parts.push(latin1(`\r\n--${boundary}--\r\n`));
  return parts;
}

function attachmentPart(boundary: string, bytes: number, random: Random, source: ByteSource): Buffer[] {
  const file = makeAttachment(base64Content(bytes - 250), random, source);
  const sevenBit = file.isText && random.chance(0.5);
  return [
    latin1(
      [
        `\r\n--${boundary}`,
        `Content-Type: ${file.contentType}`,
        `Content-Transfer-Encoding: ${sevenBit ? '7bit' : 'base64'}`,
        `Content-Disposition: attachment; ${fileNameParameter(file.fileName)}`,
        '\r\n',
      ].join('\r\n'),
    ),
    sevenBit ? file.content : base64Lines(file.content),
  ];
}

function plain(style: TextStyle, bytes: number, isAnswer: boolean, random: Random): Buffer[] {
  return [
    latin1(contentHeaders('text/plain', style)),
    ...textContent(style, bytes, isAnswer, 'text', random),
  ];
}

function alternative(style: TextStyle, bytes: number, isAnswer: boolean, random: Random): Buffer[] {
  const boundary = makeBoundary(random);
  const left = bytes - 500;
  return [
    latin1(`Content-Type: multipart/alternative; boundary="${boundary}"\r\n\r\n--${boundary}\r\n`),
    ...plain(style, left * 0.4, isAnswer, random),
    latin1(`\r\n--${boundary}\r\n${contentHeaders('text/html', style)}`),
    ...textContent(style, left * 0.6, false, 'html', random),
    latin1(`\r\n--${boundary}--\r\n`),
  ];
}

function contentHeaders(type: string, { charset, transfer }: TextStyle): string {
  const flowed = type === 'text/plain' ? '; format=flowed' : '';
  return `Content-Type: ${type}; charset=${charset}${flowed}\r\nContent-Transfer-Encoding: ${transfer}\r\n\r\n`;
}

function textContent(
  style: TextStyle,
  bytes: number,
  isAnswer: boolean,
  form: 'text' | 'html',
  random: Random,
): Buffer[] {
  const { language, charset, transfer } = style;
  const ready = (text: string) => transferReady(text, charset, transfer);
  const greeting = fillSlots(random.pick(language.greetings), language, random);
  const closing = `${random.pick(language.closings)}\r\n${random.pick(language.names)[0]}\r\n`;
  const pieces =
    form === 'html'
      ? [ready(`<html><body>\r\n<p>${greeting}</p>\r\n`)]
      : [ready(`${greeting} #${random.integer(1, 999_999)}\r\n\r\n`)];
  if (isAnswer) pieces.push(random.pick(style.paragraphs).quoted);
  const end = ready(form === 'html' ? `<p>${closing}</p>\r\n</body></html>\r\n` : closing);
  // Base64 makes a third more of it.
  const wanted = (transfer === 'base64' ? base64Content(bytes) : bytes) - end.length;
  let size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  while (size < wanted) {
    const next = random.pick(style.paragraphs)[form];
    if (size + next.length > wanted + 400) break;
    pieces.push(next);
    size += next.length;
  }
  pieces.push(end);
  return transfer === 'base64' ? [base64Lines(Buffer.concat(pieces))] : pieces;
}

function received(random: Random, domain: string, to: string, sentMs: number, zoneMinutes: number): string[] {
  const own = to.slice(to.indexOf('@') + 1);
  const hop = (by: string, from: string, delayMs: number) =>
    `Received: from ${from} (${from} [192.0.2.${random.integer(1, 254)}])\r\n\tby ${by} with ESMTPS id ${random.uint32().toString(36).toUpperCase()}\r\n\tfor <${to}>; ${headerDate(sentMs + delayMs, zoneMinutes)}`;
  return [
    hop(`mx1.${own}`, `out${random.integer(1, 9)}.${domain}`, 3_000),
    hop(`out.${domain}`, `client.${domain}`, 1_000),
  ];
}

const dayNames = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const monthNames = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (value: number) => (value < 10 ? `0${value}` : String(value));

/** RFC 5322, 3.3: `Tue, 01 Jul 2025 10:52:37 +0200`. */
function headerDate(ms: number, zoneMinutes: number): string {
  const local = new Date(ms + zoneMinutes * 60_000);
  const zone = Math.abs(zoneMinutes);
  return `${dayNames[local.getUTCDay()]}, ${two(local.getUTCDate())} ${monthNames[local.getUTCMonth()]} ${local.getUTCFullYear()} ${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())} ${zoneMinutes < 0 ? '-' : '+'}${two(Math.floor(zone / 60))}${two(zone % 60)}`;
}

/** RFC 2231 where the name is not ASCII. */
function fileNameParameter(name: string): string {
  return /^[\x20-\x7e]*$/.test(name) ? `filename="${name}"` : `filename*=utf-8''${encodeURIComponent(name)}`;
}

function makeBoundary(random: Random): string {
  return `=_${random.uint32().toString(16)}${random.uint32().toString(16)}`;
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
