/**
 * When a connection may be cut without cutting a command in the middle: pure followers of what passes, one per
 * connection. They look and never change anything; what they do not understand is no pause, and the drain's end decides.
 *
 * What is encrypted (a TLS port, or after STARTTLS) cannot be read. There a pause is a longer silence after the
 * server's last word; the silence covers a client on a slow line that is about to send a literal.
 */
import type { ServiceName } from '../../config/index.ts';

export interface PauseFollower {
  fromClient(bytes: Buffer): void;
  fromServer(bytes: Buffer): void;
  /** How long both must have been silent for a cut to do no harm, in ms; Infinity while something is under way. */
  silenceNeededMs(): number;
}

/** Between two commands that can be read. */
const READABLE_MS = 50;
const ENCRYPTED_MS = 200;

export function pauseFollower(service: ServiceName): PauseFollower {
  switch (service) {
    case 'imap':
      return new Readable(new ImapTurns());
    case 'lmtp':
      return new Readable(new SmtpTurns(true));
    case 'submission':
      return new Readable(new SmtpTurns(false));
    default:
      return new LastWord();
  }
}

/** A protocol's own rule for being between two commands. */
interface Turns {
  fromClient(bytes: Buffer): void;
  fromServer(bytes: Buffer): void;
  readonly between: boolean;
}

/** The rule of a protocol, until STARTTLS hides it. */
class Readable implements PauseFollower {
  readonly #turns: Turns;
  readonly #hidden = new LastWord();
  #encrypted = false;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  fromClient(bytes: Buffer): void {
    this.#hidden.fromClient();
    // A TLS handshake record (RFC 8446, 5.1): no command begins with 0x16.
    if (!this.#encrypted && bytes[0] === 0x16 && bytes[1] === 0x03) this.#encrypted = true;
    if (!this.#encrypted) this.#turns.fromClient(bytes);
  }

  fromServer(bytes: Buffer): void {
    this.#hidden.fromServer();
    if (!this.#encrypted) this.#turns.fromServer(bytes);
  }

  silenceNeededMs(): number {
    if (this.#encrypted) return this.#hidden.silenceNeededMs();
    return this.#turns.between ? READABLE_MS : Number.POSITIVE_INFINITY;
  }
}

/** Silence after the server's last word. */
class LastWord implements PauseFollower {
  #serverSpokeLast = false;

  fromClient(): void {
    this.#serverSpokeLast = false;
  }

  fromServer(): void {
    this.#serverSpokeLast = true;
  }

  silenceNeededMs(): number {
    return this.#serverSpokeLast ? ENCRYPTED_MS : Number.POSITIVE_INFINITY;
  }
}

/** Longest start of a line that is kept; no rule looks further. */
const LINE_KEPT = 128;

/** The last line that was begun, and the last one that was completed, of one direction; long ones by their start. */
class LastLine {
  /** Without its CRLF. */
  complete = '';
  /** True when nothing came after the last CRLF. */
  ended = true;
  #begun = '';

  /** Looks at the last lines of `bytes` only; a connection passes hundreds of megabytes. */
  take(bytes: Buffer): void {
    const end = bytes.lastIndexOf(0x0a);
    if (end < 0) {
      this.#begin(bytes);
      return;
    }
    const start = end === 0 ? -1 : bytes.lastIndexOf(0x0a, end - 1);
    const line = text(bytes.subarray(start + 1, end));
    // Without an earlier line end in these bytes, the line began in those before.
    this.complete = (start < 0 ? (this.#begun + line).slice(0, LINE_KEPT) : line).replace(/\r$/, '');
    this.#begun = '';
    this.ended = true;
    if (end + 1 < bytes.length) this.#begin(bytes.subarray(end + 1));
  }

  #begin(bytes: Buffer): void {
    this.ended = false;
    if (this.#begun.length < LINE_KEPT) this.#begun = (this.#begun + text(bytes)).slice(0, LINE_KEPT);
  }
}

function text(bytes: Buffer): string {
  return bytes.toString('latin1', 0, Math.min(bytes.length, LINE_KEPT));
}

/** Longest end of a line that is kept: it tells whether a literal follows. */
const LITERAL_KEPT = 32;

/** What an IMAP client sends: commands of lines and literals, and lines that answer the server. */
class ImapCommands {
  /** Of the last command that was begun. */
  tag = '';
  /** The last line that was completed. */
  line = '';
  #head = '';
  #tail = '';
  #literalBytes = 0;
  /** A literal was announced whose content the server has not asked for yet (it may say no). */
  #announced = false;
  /** The command goes on after a literal. */
  #goesOn = false;

  /** Nothing of a command was begun and not completed. */
  get ended(): boolean {
    return this.#head === '' && !this.#goesOn;
  }

  take(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#literalBytes > 0) {
        const taken = Math.min(this.#literalBytes, bytes.length - at);
        this.#literalBytes -= taken;
        this.#announced = false;
        at += taken;
        continue;
      }
      const end = bytes.indexOf(0x0a, at);
      const part = bytes.subarray(at, end < 0 ? bytes.length : end);
      if (this.#head.length < LINE_KEPT) this.#head = (this.#head + text(part)).slice(0, LINE_KEPT);
      this.#tail = (this.#tail + part.toString('latin1', Math.max(0, part.length - LITERAL_KEPT))).slice(
        -LITERAL_KEPT,
      );
      if (end < 0) return;
      at = end + 1;
      this.#completed();
    }
  }

  #completed(): void {
    this.line = this.#head.replace(/\r$/, '');
    // `DONE` and what answers AUTHENTICATE are single words.
    const tag = this.#goesOn ? undefined : /^([^\s*+]\S*) \S/.exec(this.line)?.[1];
    if (tag !== undefined) this.tag = tag;
    const [, size, noWait] = /\{(\d+)(\+?)\}\r?$/.exec(this.#tail) ?? [];
    this.#goesOn = size !== undefined;
    this.#literalBytes = Number(size ?? 0);
    this.#announced = noWait === '';
    this.#head = '';
    this.#tail = '';
  }

  /** The server has answered the last command, without asking for the literal that was announced. */
  answered(): void {
    if (!this.#announced) return;
    this.#announced = false;
    this.#goesOn = false;
    this.#literalBytes = 0;
  }
}

/**
 * IMAP (RFC 9051): between two commands after the greeting and after the tagged response to the last command (with several under
 * way, one to an earlier command is none); also while a client idles (RFC 2177), which lasts for hours. `* 12 FETCH` and
 * a literal's content may look like a tagged response for a moment; then the server goes on, and there is no silence.
 */
class ImapTurns implements Turns {
  readonly #client = new ImapCommands();
  readonly #server = new LastLine();
  #clientSpoke = false;
  #clientSpokeLast = false;
  #idles = false;

  fromClient(bytes: Buffer): void {
    this.#client.take(bytes);
    this.#clientSpoke = true;
    this.#clientSpokeLast = true;
    this.#idles = false;
  }

  fromServer(bytes: Buffer): void {
    this.#server.take(bytes);
    this.#clientSpokeLast = false;
    if (this.#isAnswered) this.#client.answered();
    // Commands before it are answered when the server lets it idle.
    else if (/^[^\s*+]\S* IDLE$/i.test(this.#client.line)) {
      this.#idles ||= /(^|\n)\+/.test(bytes.toString('latin1'));
    }
  }

  get #isAnswered(): boolean {
    const [, tag] = /^([^\s*+]\S*) (?:OK|NO|BAD)\b/i.exec(this.#server.complete) ?? [];
    return tag !== undefined && tag === this.#client.tag;
  }

  get between(): boolean {
    if (this.#clientSpokeLast || !this.#server.ended || !this.#client.ended) return false;
    if (!this.#clientSpoke) return this.#server.complete.startsWith('* ');
    return this.#idles || this.#isAnswered;
  }
}

/** What a reply of the server will be about. */
type Asked = 'greeting' | 'mail' | 'rcpt' | 'data' | 'content' | 'reset' | 'other';

/** Bytes of an unfinished line that are kept, at most: RFC 5321 allows 512 for a command. */
const COMMAND_KEPT = 2_048;

/**
 * SMTP (RFC 5321) and LMTP (RFC 2033), with pipelining and BDAT (RFC 3030): between two transactions when every command
 * is answered and no `MAIL` is open. LMTP answers a message once per accepted recipient.
 */
class SmtpTurns implements Turns {
  readonly #lmtp: boolean;
  readonly #asked: Asked[] = ['greeting'];
  #client = '';
  #server = '';
  #mode: 'command' | 'content' = 'command';
  /** Bytes of a BDAT chunk still to come from the client. */
  #chunkBytes = 0;
  #contentTail = '\r\n';
  #mailOpen = false;
  #recipients = 0;
  /** Replies to the message itself that are still to come, once the first has come. */
  #repliesLeft = 0;
  /** Something that this does not understand; no pause is seen any more. */
  #lost = false;

  constructor(lmtp: boolean) {
    this.#lmtp = lmtp;
  }

  get between(): boolean {
    return (
      !this.#lost &&
      this.#asked.length === 0 &&
      !this.#mailOpen &&
      this.#mode === 'command' &&
      this.#client === '' &&
      this.#chunkBytes === 0
    );
  }

  fromClient(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0 && !this.#lost) {
      if (this.#chunkBytes > 0) rest = this.#chunk(rest);
      else if (this.#mode === 'content') rest = this.#content(rest);
      else rest = this.#command(rest);
    }
  }

  #chunk(bytes: Buffer): Buffer {
    const taken = Math.min(bytes.length, this.#chunkBytes);
    this.#chunkBytes -= taken;
    return bytes.subarray(taken);
  }

  #content(bytes: Buffer): Buffer {
    // The end may be split over two reads: the last bytes of the read before are put in front.
    const from = this.#contentTail.length;
    const joined = Buffer.concat([Buffer.from(this.#contentTail, 'latin1'), bytes]);
    const end = joined.indexOf('\r\n.\r\n', 0, 'latin1');
    if (end < 0) {
      this.#contentTail = joined.toString('latin1', Math.max(0, joined.length - 4));
      return bytes.subarray(bytes.length);
    }
    this.#mode = 'command';
    this.#asked.push('content');
    return bytes.subarray(end + 5 - from);
  }

  #command(bytes: Buffer): Buffer {
    const end = bytes.indexOf(0x0a);
    this.#client += bytes.toString('latin1', 0, end < 0 ? bytes.length : end + 1);
    if (this.#client.length > COMMAND_KEPT) this.#lost = true;
    if (end < 0) return bytes.subarray(bytes.length);
    const [verb = '', size = '', last = ''] = this.#client.trim().toUpperCase().split(/\s+/);
    this.#client = '';
    if (verb === 'BDAT') {
      this.#chunkBytes = Number(size);
      if (!Number.isSafeInteger(this.#chunkBytes)) this.#lost = true;
      this.#asked.push(last === 'LAST' ? 'content' : 'other');
    } else if (verb === 'MAIL') {
      this.#mailOpen = true;
      this.#asked.push('mail');
    } else if (verb === 'RCPT') this.#asked.push('rcpt');
    else if (verb === 'DATA') this.#asked.push('data');
    else if (['RSET', 'EHLO', 'HELO', 'LHLO'].includes(verb)) this.#asked.push('reset');
    else this.#asked.push('other');
    return bytes.subarray(end + 1);
  }

  fromServer(bytes: Buffer): void {
    const lines = (this.#server + bytes.toString('latin1')).split('\n');
    this.#server = lines.pop() ?? '';
    if (this.#server.length > COMMAND_KEPT) this.#lost = true;
    for (const line of lines) {
      // A reply's last line has a space after its code.
      if (/^\d{3}( |\r?$)/.test(line)) this.#answered(line[0] ?? '');
    }
  }

  #answered(first: string): void {
    const asked = this.#asked.shift();
    const accepted = first === '2' || first === '3';
    switch (asked) {
      case 'mail':
        this.#recipients = 0;
        if (!accepted) this.#mailOpen = false;
        break;
      case 'rcpt':
        if (accepted) this.#recipients += 1;
        break;
      case 'data':
        if (first === '3') {
          this.#mode = 'content';
          this.#contentTail = '\r\n';
        }
        break;
      case 'content':
        // Counted here and not before: with pipelining all recipients are answered by now, and not earlier.
        if (this.#repliesLeft === 0) this.#repliesLeft = this.#lmtp ? Math.max(1, this.#recipients) : 1;
        this.#repliesLeft -= 1;
        if (this.#repliesLeft > 0) this.#asked.unshift('content');
        else this.#close();
        break;
      case 'reset':
        if (accepted) this.#close();
        break;
      default:
    }
  }

  #close(): void {
    // A client that pipelines may have begun the next one.
    this.#mailOpen = this.#asked.includes('mail');
    this.#recipients = 0;
  }
}
