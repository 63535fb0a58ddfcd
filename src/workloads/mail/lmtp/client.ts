/**
 * An LMTP client (RFC 2033): the envelope is pipelined (RFC 2920), and one client may keep several connections.
 * A delivery is acknowledged by the server's 250 after the message.
 */
import { connect, type Socket } from 'node:net';
import { messageOf, type UnderstudyError } from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';

export interface LmtpClient {
  /**
   * Delivers `raw` (CRLF lines) to every recipient; resolves when the server has accepted it for all of them.
   * Errors: MAIL_DELIVERY_REFUSED with the server's words when it refuses one; MAIL_DELIVERY_UNCERTAIN when the connection ends
   * after the message was sent and before the answer: it may then have been stored or not; MAIL_CONNECTION_LOST,
   * MAIL_NO_ANSWER before that: it was not.
   */
  deliver(raw: Uint8Array, recipients: readonly string[], from?: string): Promise<void>;
  /** Says goodbye on every connection. May be repeated. */
  close(): Promise<void>;
}

export interface LmtpOptions {
  readonly host: string;
  readonly port: number;
  /** Default: 1. */
  readonly connections?: number;
  /** Longest silence while an answer is awaited. Default: 120,000; synchronous protection may hold an answer back. */
  readonly timeoutMs?: number;
}

/**
 * `connections` share the deliveries, the least busy one first; each connection is used in order. Errors: MAIL_UNREACHABLE,
 * MAIL_NO_ANSWER, MAIL_DELIVERY_REFUSED for a greeting that is none.
 */
export async function connectLmtp(options: LmtpOptions): Promise<LmtpClient> {
  const connections = await Promise.all(
    Array.from({ length: options.connections ?? 1 }, () => LmtpConnection.open(options)),
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
  readonly #place: string;
  readonly #socket: Socket;
  readonly #answers: { settle: Answer; fail: (error: Error) => void }[] = [];
  #pending = '';
  #connected = false;
  #ended: UnderstudyError | undefined;
  #last: Promise<void> = Promise.resolve();
  #queued = 0;

  static async open(options: LmtpOptions): Promise<LmtpConnection> {
    const connection = new LmtpConnection(options);
    try {
      await connection.#expect(220, 'greeting');
      await connection.#command(`LHLO localhost`, 250);
    } catch (error) {
      connection.#socket.destroy();
      throw error;
    }
    return connection;
  }

  private constructor({ host, port, timeoutMs = 120_000 }: LmtpOptions) {
    this.#place = `${host}:${port}`;
    const socket = connect(port, host);
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setTimeout(timeoutMs);
    socket.on('connect', () => {
      this.#connected = true;
    });
    socket.on('data', (chunk) => this.#receive(chunk.toString('latin1')));
    socket.on('error', (error) => this.#lost(messageOf(error), error));
    socket.on('close', () => this.#lost('the server closed the connection'));
    socket.on('timeout', () => {
      // A connection that waits for work may be silent.
      if (this.#connected && this.#answers.length === 0) return;
      this.#end(
        this.#connected
          ? mailErrors.make('MAIL_NO_ANSWER', `${this.#place}: no answer within ${timeoutMs} ms`)
          : this.#unreachable(`no connection within ${timeoutMs} ms`),
      );
    });
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
      if (this.#ended && outcomes.some(({ status }) => status === 'rejected')) {
        throw mailErrors.make(
          'MAIL_DELIVERY_UNCERTAIN',
          `${this.#place}: no answer to the message (${this.#ended.message})`,
          { cause: this.#ended, details: { place: this.#place } },
        );
      }
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
        settle: (code, text) => (code === expected ? resolve() : reject(this.#refusal(what, code, text))),
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

  #refusal(what: string, code: number, text: string): UnderstudyError {
    return mailErrors.make('MAIL_DELIVERY_REFUSED', `LMTP server ${this.#place} to "${what}": ${text}`, {
      details: { place: this.#place, code, text },
    });
  }

  #unreachable(reason: string, cause?: unknown): UnderstudyError {
    return mailErrors.make('MAIL_UNREACHABLE', `${this.#place} is not reached: ${reason}`, { cause });
  }

  #lost(reason: string, cause?: unknown): void {
    this.#end(
      this.#connected
        ? mailErrors.make('MAIL_CONNECTION_LOST', `${this.#place}: ${reason}`, { cause })
        : this.#unreachable(reason, cause),
    );
  }

  #end(error: UnderstudyError): void {
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
