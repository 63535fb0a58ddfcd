/**
 * An LMTP client (RFC 2033): the envelope is pipelined (RFC 2920), and one client may keep several connections.
 * A delivery is acknowledged by the server's 250 after the message.
 */
import { connect, type Socket } from 'node:net';

export interface LmtpClient {
  /**
   * Delivers `raw` (CRLF lines) to every recipient; resolves when the server has accepted it for all of them.
   * Rejects with the server's words when it refuses one, and when the connection ends before the answer: the
   * message may then have been stored or not.
   */
  deliver(raw: Uint8Array, recipients: readonly string[], from?: string): Promise<void>;
  /** Says goodbye on every connection. May be repeated. */
  close(): Promise<void>;
}

/** `connections` share the deliveries, the least busy one first; each connection is used in order. */
export async function connectLmtp(options: {
  host: string;
  port: number;
  connections?: number;
}): Promise<LmtpClient> {
  const connections = await Promise.all(
    Array.from({ length: options.connections ?? 1 }, () => LmtpConnection.open(options.host, options.port)),
  );
  return {
    deliver: (raw, recipients, from = 'sender@example.org') => {
      const [first, ...others] = connections;
      if (!first) throw new Error('an LMTP client needs a connection');
      const idlest = others.reduce((least, next) => (next.waiting < least.waiting ? next : least), first);
      return idlest.deliver(raw, recipients, from);
    },
    close: async () => {
      await Promise.all(connections.map((connection) => connection.close()));
    },
  };
}

/** What the next complete answer of the server settles. */
type Answer = (code: number, text: string) => void;

class LmtpConnection {
  readonly #socket: Socket;
  readonly #answers: { settle: Answer; fail: (error: Error) => void }[] = [];
  #pending = '';
  #ended: Error | undefined;
  #last: Promise<void> = Promise.resolve();
  #queued = 0;

  static async open(host: string, port: number): Promise<LmtpConnection> {
    const connection = new LmtpConnection(connect(port, host));
    await connection.#expect(220, 'greeting');
    await connection.#command(`LHLO localhost`, 250);
    return connection;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#receive(chunk.toString('latin1')));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the LMTP server closed the connection')));
  }

  /** Deliveries not yet answered. */
  get waiting(): number {
    return this.#queued;
  }

  deliver(raw: Uint8Array, recipients: readonly string[], from: string): Promise<void> {
    const delivery = this.#last.then(() => this.#deliverNow(raw, recipients, from));
    this.#last = delivery.catch(() => {});
    this.#queued += 1;
    return delivery.finally(() => {
      this.#queued -= 1;
    });
  }

  async #deliverNow(raw: Uint8Array, recipients: readonly string[], from: string): Promise<void> {
    this.#socket.cork();
    const envelope = [
      this.#command(`MAIL FROM:<${from}>`, 250),
      ...recipients.map((recipient) => this.#command(`RCPT TO:<${recipient}>`, 250)),
    ];
    const data = this.#command('DATA', 354);
    this.#socket.uncork();
    const outcomes = await Promise.allSettled([...envelope, data]);
    // Only after the 354 does the server read a message; it answers once for each recipient it has accepted.
    if (outcomes.at(-1)?.status === 'fulfilled') {
      const accepted = outcomes.slice(1, -1).filter(({ status }) => status === 'fulfilled');
      const answers = accepted.map((_, index) => this.#expect(250, `message, answer ${index + 1}`));
      this.#socket.write(dotStuffed(raw));
      outcomes.push(...(await Promise.allSettled(answers)));
    } else if (!this.#ended) {
      await this.#command('RSET', 250);
    }
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure) throw failure.reason;
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    await this.#command('QUIT', 221).catch(() => {});
    this.#socket.destroy();
  }

  #command(line: string, code: number): Promise<void> {
    if (!this.#ended) this.#socket.write(`${line}\r\n`);
    return this.#expect(code, line);
  }

  #expect(expected: number, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#answers.push({
        fail: reject,
        settle: (code, text) =>
          code === expected ? resolve() : reject(new Error(`LMTP server to "${what}": ${text}`)),
      });
    });
  }

  #receive(text: string): void {
    const lines = (this.#pending + text).split('\r\n');
    this.#pending = lines.pop() ?? '';
    for (const line of lines) {
      // `250-` announces further lines of the same answer.
      if (line[3] !== '-') this.#answers.shift()?.settle(Number(line.slice(0, 3)), line);
    }
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#socket.destroy();
    for (const answer of this.#answers.splice(0)) answer.fail(this.#ended);
  }
}

/** RFC 5321, 4.5.2: a line that starts with a dot gets another one, and a dot alone ends the message. */
function dotStuffed(raw: Uint8Array): Buffer {
  const body = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  const parts: Buffer[] = [];
  let start = 0;
  if (body[0] === 0x2e) parts.push(Buffer.from('.'));
  for (let at = body.indexOf('\r\n.'); at !== -1; at = body.indexOf('\r\n.', at + 2)) {
    parts.push(body.subarray(start, at + 2), Buffer.from('.'));
    start = at + 2;
  }
  parts.push(body.subarray(start));
  parts.push(Buffer.from(body.subarray(-2).equals(Buffer.from('\r\n')) ? '.\r\n' : '\r\n.\r\n'));
  return Buffer.concat(parts);
}
