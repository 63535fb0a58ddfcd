/** Fills an account over IMAP, many messages per MULTIAPPEND (RFC 3502) with non-synchronizing literals (RFC 7888). */
import { connect, type Socket } from 'node:net';
import type { Dovecot } from './dovecot.ts';
import type { AccountWriter, StoredMessage } from './fill.ts';
import { encodeMailboxName } from './maildir-writer.ts';

const batchBytesMax = 4 << 20;
const batchMessagesMax = 500;

export class MultiAppender implements AccountWriter {
  readonly #socket: Socket;
  #received = '';
  #waiting: { tag: string; done: () => void; fail: (error: Error) => void } | undefined;
  #ended: Error | undefined;
  #tag = 0;
  #mailbox = '';
  #batch: Buffer[] = [];
  #batchMessages = 0;
  #batchBytes = 0;

  static async open(dovecot: Dovecot, account: string): Promise<MultiAppender> {
    const appender = new MultiAppender(connect(dovecot.imapPort, dovecot.address));
    await appender.#command(`LOGIN ${quoted(dovecot.masterLogin(account))} ${quoted(dovecot.masterSecret)}`);
    return appender;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#receive(chunk.toString('latin1')));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the server closed the connection')));
  }

  async mailbox(name: string, subscribed: boolean): Promise<void> {
    await this.#flush();
    this.#mailbox = quoted(encodeMailboxName(name));
    if (name !== 'INBOX') await this.#command(`CREATE ${this.#mailbox}`);
    if (subscribed) await this.#command(`SUBSCRIBE ${this.#mailbox}`);
  }

  async message({ raw, flags, internalDate }: StoredMessage): Promise<void> {
    const head = ` (${flags.join(' ')}) "${imapDate(internalDate)}" {${raw.length}+}\r\n`;
    this.#batch.push(Buffer.from(head, 'latin1'), raw);
    this.#batchMessages += 1;
    this.#batchBytes += raw.length;
    if (this.#batchBytes >= batchBytesMax || this.#batchMessages >= batchMessagesMax) await this.#flush();
  }

  async end(): Promise<void> {
    await this.#flush();
    await this.#command('LOGOUT');
    this.#socket.destroy();
  }

  async #flush(): Promise<void> {
    if (this.#batchMessages === 0) return;
    const content = Buffer.concat(this.#batch);
    this.#batch = [];
    this.#batchMessages = 0;
    this.#batchBytes = 0;
    await this.#command(`APPEND ${this.#mailbox}`, content);
  }

  #command(text: string, rest: Buffer = Buffer.alloc(0)): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#tag += 1;
      const tag = `f${this.#tag}`;
      this.#waiting = {
        tag,
        done: resolve,
        fail: (error) => reject(new Error(`${text}: ${error.message}`)),
      };
      this.#socket.write(Buffer.concat([Buffer.from(`${tag} ${text}`, 'latin1'), rest, Buffer.from('\r\n')]));
    });
  }

  #receive(text: string): void {
    const lines = (this.#received + text).split('\r\n');
    this.#received = lines.pop() ?? '';
    for (const line of lines) {
      const waiting = this.#waiting;
      if (!waiting || !line.startsWith(`${waiting.tag} `)) continue;
      this.#waiting = undefined;
      if (line.startsWith(`${waiting.tag} OK`)) waiting.done();
      else waiting.fail(new Error(line));
    }
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#waiting?.fail(this.#ended);
    this.#waiting = undefined;
    this.#socket.destroy();
  }
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** RFC 9051, date-time, in UTC. */
function imapDate(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(date.getUTCDate())}-${months[date.getUTCMonth()]}-${date.getUTCFullYear()} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
