/**
 * An IMAP client for tests that act on a server: it sends what it is told, with names and messages as literals, and
 * gives back what the server said. A NO is an answer like another: the server decides what may be done.
 */
import { connect, type Socket } from 'node:net';
import type { Dovecot } from '../lab/dovecot.ts';
import { decodeMailboxName } from '../lab/imap-check.ts';
import { encodeMailboxName } from '../lab/maildir-writer.ts';

export interface Answer {
  readonly ok: boolean;
  /** The tagged line without its tag: `NO [NONEXISTENT] …`. */
  readonly text: string;
  /** Untagged lines; a line with a literal is cut there. */
  readonly untagged: readonly string[];
}

export class ImapClient {
  readonly #socket: Socket;
  #received = '';
  #skip = 0;
  #untagged: string[] = [];
  #waiting: { tag: string; resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #ended: Error | undefined;
  #tags = 0;

  static async open(dovecot: Dovecot, account: string): Promise<ImapClient> {
    const client = new ImapClient(connect(dovecot.imapPort, dovecot.address));
    const answer = await client.command('LOGIN', dovecot.masterLogin(account), dovecot.masterSecret);
    if (!answer.ok) throw new Error(`login of ${account}: ${answer.text}`);
    return client;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#receive(chunk.toString('latin1')));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the server closed the connection')));
  }

  /** The server closed the connection. */
  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /**
   * Sends `verb` as it is, then the arguments: text as a literal (whatever is in it), `raw` as it is. Commands are
   * sent one after the other.
   */
  command(verb: string, ...args: (string | Uint8Array | { raw: string })[]): Promise<Answer> {
    const answer = this.#last.then(() => this.#send(verb, args));
    this.#last = answer.catch(() => {});
    return answer;
  }

  create(mailbox: string): Promise<Answer> {
    return this.command('CREATE', encodeMailboxName(mailbox));
  }

  delete(mailbox: string): Promise<Answer> {
    return this.command('DELETE', encodeMailboxName(mailbox));
  }

  rename(from: string, to: string): Promise<Answer> {
    return this.command('RENAME', encodeMailboxName(from), encodeMailboxName(to));
  }

  subscribe(mailbox: string): Promise<Answer> {
    return this.command('SUBSCRIBE', encodeMailboxName(mailbox));
  }

  unsubscribe(mailbox: string): Promise<Answer> {
    return this.command('UNSUBSCRIBE', encodeMailboxName(mailbox));
  }

  select(mailbox: string): Promise<Answer> {
    return this.command('SELECT', encodeMailboxName(mailbox));
  }

  /** `date` as in INTERNALDATE: `17-Jul-2026 02:44:25 +0200`. */
  append(
    mailbox: string,
    message: Uint8Array,
    { flags = [], date }: { flags?: readonly string[]; date?: string } = {},
  ): Promise<Answer> {
    const raw = `(${flags.join(' ')})${date === undefined ? '' : ` "${date}"`}`;
    return this.command('APPEND', encodeMailboxName(mailbox), { raw }, message);
  }

  /** On the selected mailbox; `set` is a sequence-set of UIDs. */
  copy(set: string, mailbox: string): Promise<Answer> {
    return this.command(`UID COPY ${set}`, encodeMailboxName(mailbox));
  }

  /** Dovecot knows MOVE also where it does not announce it. */
  move(set: string, mailbox: string): Promise<Answer> {
    return this.command(`UID MOVE ${set}`, encodeMailboxName(mailbox));
  }

  store(set: string, change: '+FLAGS' | '-FLAGS' | 'FLAGS', flags: readonly string[]): Promise<Answer> {
    return this.command(`UID STORE ${set} ${change}.SILENT (${flags.join(' ')})`);
  }

  async expunge(set: string): Promise<Answer> {
    await this.store(set, '+FLAGS', ['\\Deleted']);
    return this.command(`UID EXPUNGE ${set}`);
  }

  /** UIDs of the selected mailbox, ascending. */
  async uids(): Promise<number[]> {
    const { untagged } = await this.command('UID SEARCH ALL');
    const line = untagged.find((text) => /^\* SEARCH/i.test(text)) ?? '';
    return line.split(' ').slice(2).filter(Boolean).map(Number);
  }

  /** Names of mailboxes that can be selected. */
  async list(): Promise<string[]> {
    const names: string[] = [];
    const answer = await this.command('LIST "" "*"');
    for (const line of answer.untagged) {
      const match = /^\* LIST \(([^)]*)\) (?:"(?:[^"\\]|\\.)*"|NIL) (.*)$/i.exec(line);
      if (match && !/\\no(select|nexistent)/i.test(match[1] ?? '')) names.push(unquoted(match[2] ?? ''));
    }
    return names.map(decodeMailboxName);
  }

  /** Every subscribed name, also of mailboxes that are not there. */
  async subscriptions(): Promise<string[]> {
    const answer = await this.command('LSUB "" "*"');
    return answer.untagged
      .flatMap((line) => /^\* LSUB \([^)]*\) (?:"(?:[^"\\]|\\.)*"|NIL) (.*)$/i.exec(line)?.[1] ?? [])
      .map((name) => decodeMailboxName(unquoted(name)))
      .sort();
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    await this.command('LOGOUT').catch(() => {});
    this.#end(new Error('logged out'));
  }

  #send(verb: string, args: readonly (string | Uint8Array | { raw: string })[]): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#tags += 1;
      const tag = `t${this.#tags}`;
      this.#untagged = [];
      this.#waiting = { tag, resolve, reject };
      const parts: Buffer[] = [Buffer.from(`${tag} ${verb}`, 'latin1')];
      for (const arg of args) {
        if (typeof arg === 'object' && 'raw' in arg) parts.push(Buffer.from(` ${arg.raw}`, 'latin1'));
        else {
          const bytes = Buffer.from(arg as string);
          parts.push(Buffer.from(` {${bytes.length}+}\r\n`), bytes);
        }
      }
      this.#socket.write(Buffer.concat([...parts, Buffer.from('\r\n')]));
    });
  }

  #receive(text: string): void {
    this.#received += text;
    for (;;) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, this.#received.length);
        // A short literal is a name; it takes its place in the line.
        this.#untagged.push(`${this.#untagged.pop() ?? ''}${this.#received.slice(0, skipped)}`);
        this.#received = this.#received.slice(skipped);
        this.#skip -= skipped;
        if (this.#skip > 0) return;
      }
      const end = this.#received.indexOf('\r\n');
      if (end === -1) return;
      const line = this.#received.slice(0, end);
      this.#received = this.#received.slice(end + 2);
      const literal = /\{(\d+)\}$/.exec(line);
      if (literal) {
        this.#untagged.push(line.slice(0, literal.index));
        this.#skip = Number(literal[1]);
      } else this.#line(line);
    }
  }

  #line(line: string): void {
    const waiting = this.#waiting;
    if (!waiting || !line.startsWith(`${waiting.tag} `)) {
      if (line.startsWith('*')) this.#untagged.push(line);
      return;
    }
    this.#waiting = undefined;
    const text = line.slice(waiting.tag.length + 1);
    waiting.resolve({ ok: text.startsWith('OK'), text, untagged: this.#untagged });
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#waiting?.reject(this.#ended);
    this.#waiting = undefined;
    this.#socket.destroy();
  }
}

function unquoted(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/g, '$1') : text;
}
