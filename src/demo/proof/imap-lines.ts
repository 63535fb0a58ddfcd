/**
 * The least of an IMAP client: one command at a time, responses as lines with their literals (RFC 9051 section 2.2).
 * Nothing of the product's own client takes part, so that what it says is said by somebody else.
 */
import { connect, type Socket } from 'node:net';

/** A line, with a Buffer for each literal in it. */
export type ResponseLine = readonly (string | Buffer)[];

export class ImapLines {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  #pending: Buffer = Buffer.alloc(0);
  #tag = 0;

  static async open(login: {
    host: string;
    port: number;
    user: string;
    password: string;
  }): Promise<ImapLines> {
    const lines = new ImapLines(connect(login.port, login.host));
    await lines.#line();
    await lines.command(`LOGIN ${quotedString(login.user)} ${quotedString(login.password)}`);
    return lines;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** The untagged lines of the answer. Throws with the server's words when it is not OK. */
  async command(text: string): Promise<ResponseLine[]> {
    this.#tag += 1;
    const tag = `d${this.#tag} `;
    this.#socket.write(`${tag}${text}\r\n`);
    const answer: ResponseLine[] = [];
    for (;;) {
      const line = await this.#line();
      const [first = ''] = line;
      if (typeof first !== 'string' || !first.startsWith(tag)) {
        answer.push(line);
      } else if (first.startsWith(`${tag}OK`)) {
        return answer;
      } else {
        throw new Error(`the mail server answers ${text.split(' ')[0]}: ${first.slice(tag.length)}`);
      }
    }
  }

  async close(): Promise<void> {
    await this.command('LOGOUT').catch(() => {}); // it is closed below either way
    this.#socket.destroy();
  }

  async #line(): Promise<ResponseLine> {
    const parts: (string | Buffer)[] = [];
    for (;;) {
      const text = await this.#textLine();
      const literal = /\{(\d+)\}$/.exec(text);
      if (!literal) return [...parts, text];
      parts.push(text.slice(0, literal.index), await this.#take(Number(literal[1])));
    }
  }

  async #textLine(): Promise<string> {
    for (let from = 0; ; ) {
      const end = this.#pending.indexOf('\r\n', from);
      if (end >= 0) {
        const text = this.#pending.toString('latin1', 0, end);
        this.#pending = this.#pending.subarray(end + 2);
        return text;
      }
      from = Math.max(0, this.#pending.length - 1);
      this.#pending = Buffer.concat([this.#pending, await this.#chunk()]);
    }
  }

  async #take(length: number): Promise<Buffer> {
    const chunks = [this.#pending];
    let have = this.#pending.length;
    while (have < length) {
      const chunk = await this.#chunk();
      chunks.push(chunk);
      have += chunk.length;
    }
    const all = chunks.length === 1 ? this.#pending : Buffer.concat(chunks, have);
    this.#pending = all.subarray(length);
    return all.subarray(0, length);
  }

  async #chunk(): Promise<Buffer> {
    const { done, value } = await this.#chunks.next();
    if (done) throw new Error('the mail server closed the connection');
    return value;
  }
}

export function quotedString(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
