/**
 * How fast a server gives its mail to anybody who only listens: one connection per account, a whole mailbox per UID
 * FETCH, SHA-256 of each body, nothing kept. It shares no code with our client; what it leaves out (flags, checks,
 * storing, resuming) is the distance between it and a shadow.
 */
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { Dovecot } from '../../tests/lab/dovecot.ts';

export interface BareRead {
  readonly messages: number;
  readonly bytes: number;
  readonly ms: number;
}

export async function readBare(dovecot: Dovecot): Promise<BareRead> {
  const start = performance.now();
  const totals = await Promise.all(dovecot.accounts.map((account) => readAccount(dovecot, account)));
  return {
    messages: totals.reduce((total, { messages }) => total + messages, 0),
    bytes: totals.reduce((total, { bytes }) => total + bytes, 0),
    ms: performance.now() - start,
  };
}

async function readAccount(dovecot: Dovecot, account: string): Promise<{ messages: number; bytes: number }> {
  const connection = new BareConnection(connect(dovecot.imapPort, dovecot.address));
  await connection.command(`LOGIN "${dovecot.masterLogin(account)}" "${dovecot.masterSecret}"`);
  const list = await connection.command('LIST "" "*"');
  for (const line of list) {
    const name = /^\* LIST \((?![^)]*\\Noselect)[^)]*\) (?:"[^"]*"|NIL) (.*)$/i.exec(line)?.[1];
    if (name === undefined) continue;
    // Sent together: the answer to the first does not have to be waited for.
    await Promise.all([
      connection.command(`EXAMINE ${name}`),
      connection.command('UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])'),
    ]);
  }
  connection.end();
  return { messages: connection.messages, bytes: connection.bytes };
}

interface Waiting {
  readonly tag: string;
  readonly resolve: (lines: string[]) => void;
  readonly reject: (error: Error) => void;
}

class BareConnection {
  messages = 0;
  bytes = 0;
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #lines: string[] = [];
  #rest: Buffer = Buffer.alloc(0);
  /** Bytes still to come of the body at hand. */
  #literal = 0;
  #digest = createHash('sha256');
  #tags = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#receive(chunk as Buffer));
    const fail = (error: Error) => {
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    };
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the server closed the connection')));
  }

  command(text: string): Promise<string[]> {
    this.#tags += 1;
    const tag = `b${this.#tags}`;
    this.#socket.write(`${tag} ${text}\r\n`);
    return new Promise((resolve, reject) => this.#waiting.push({ tag, resolve, reject }));
  }

  end(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    let at = 0;
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      if (this.#literal > 0) {
        const piece = data.subarray(at, at + this.#literal);
        this.#digest.update(piece);
        this.#literal -= piece.length;
        at += piece.length;
        if (this.#literal > 0) break;
        this.#digest.digest();
        this.#digest = createHash('sha256');
      }
      const end = data.indexOf('\r\n', at);
      if (end === -1) break;
      this.#line(data.toString('latin1', at, end));
      at = end + 2;
    }
    // Copied, so that a line in two pieces does not hold a whole chunk.
    this.#rest = at === data.length ? Buffer.alloc(0) : Buffer.from(data.subarray(at));
  }

  #line(line: string): void {
    if (line.endsWith('}')) {
      const open = line.lastIndexOf('{');
      this.#literal = Number(line.slice(open + 1, -1));
      this.messages += 1;
      this.bytes += this.#literal;
      return;
    }
    const [first] = this.#waiting;
    if (first && line.startsWith(`${first.tag} `)) {
      this.#waiting.shift();
      const lines = this.#lines;
      this.#lines = [];
      if (line.startsWith(`${first.tag} OK`)) first.resolve(lines);
      else first.reject(new Error(line));
    } else if (line.startsWith('* LIST')) this.#lines.push(line);
  }
}
