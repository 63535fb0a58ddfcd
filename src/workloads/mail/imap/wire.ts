/**
 * One IMAP connection at the level of commands and responses: tags, pipelining, literals, back-pressure, and the
 * one place where a failure ends everything that waits.
 *
 * A command is written when those before it are written; it does not wait for their answers. Untagged responses
 * go to the oldest command that takes them (servers answer in order), else they are events.
 */
import type { Socket } from 'node:net';
import {
  type Clock,
  type Log,
  messageOf,
  silentLog,
  systemClock,
  type UnderstudyError,
} from '../../../lib/index.ts';
import { mailErrors } from '../errors.ts';
import type { ByteBudget } from './byte-budget.ts';
import { GatheredWrites } from './gathered-writes.ts';
import type { Throttle } from './options.ts';
import { MalformedResponse, ResponseDecoder } from './response-decoder.ts';
import { type ImapResponse, ResponseParser, type StatusResponse } from './responses.ts';
import type { ReadTarget } from './socket.ts';

/**
 * Text is sent as it is; bytes are a literal. `wait` = send nothing more before the server's `+`; `after` = before it resolves, and when
 * it rejects the command cannot be ended: the connection is.
 */
export type CommandPart =
  | string
  | { readonly literal: Uint8Array }
  | { readonly after: Promise<unknown> }
  | 'wait';
export type CommandParts = Iterable<CommandPart> | AsyncIterable<CommandPart>;

/** True = taken. A promise = taken, and nothing more is read until it settles. */
export type Take = (response: ImapResponse) => boolean | Promise<void>;

export interface CommandOptions {
  readonly take?: Take;
  /** Takes responses although an older command waits. */
  readonly outOfOrder?: boolean;
  /** Called at the server's `+` when nothing is being written: IDLE. */
  readonly onContinue?: () => void;
}

interface Pending {
  readonly tag: string;
  readonly name: string;
  readonly options: CommandOptions;
  resolve(status: StatusResponse): void;
  reject(error: unknown): void;
}

/** Above this a literal is counted in the server's byte budget while it is held. */
const BUDGET_FROM_BYTES = 1 << 20;

/** Sent at once where the sending is throttled. */
const THROTTLED_BYTES = 16 << 10;

export interface WireOptions {
  readonly place: string;
  readonly idleMs: number;
  readonly log?: Log;
  readonly clock?: Clock;
  readonly budget?: ByteBudget;
  readonly throttle?: Throttle;
}

export class Wire implements ReadTarget {
  readonly place: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Every response that no command took. */
  onEvent: (response: ImapResponse) => void = () => {};
  /** The last BYE of the server. */
  bye: StatusResponse | undefined;
  /** No byte is expected for long: IDLE. */
  quiet = false;
  #capabilities: ReadonlySet<string> = new Set();
  readonly #decoder = new ResponseDecoder();
  readonly #parser = new ResponseParser();
  readonly #options: WireOptions;
  #socket: Socket | undefined;
  #failure: UnderstudyError | undefined;
  readonly #closed = Promise.withResolvers<UnderstudyError>();
  readonly #pending: Pending[] = [];
  #tagNumber = 0;
  #writes: Promise<void> = Promise.resolve();
  #continuation: { tag: string; resolve: () => void; reject: (error: unknown) => void } | undefined;
  #greeting: { resolve: (status: StatusResponse) => void; reject: (error: unknown) => void } | undefined;
  #holding = false;
  /** The server has nothing to answer before we go on. */
  #waiting = false;
  #heldBudget = 0;

  constructor(options: WireOptions) {
    this.#options = options;
    this.place = options.place;
    this.clock = options.clock ?? systemClock;
    this.log = options.log ?? silentLog;
  }

  /** Upper case; the last that the server said. */
  get capabilities(): ReadonlySet<string> {
    return this.#capabilities;
  }

  /** Why the connection is of no more use; undefined while it is. */
  get failure(): UnderstudyError | undefined {
    return this.#failure;
  }

  /** Resolves when the connection has ended, with the reason. */
  get closed(): Promise<UnderstudyError> {
    return this.#closed.promise;
  }

  has(capability: string): boolean {
    return this.#capabilities.has(capability);
  }

  /** `direct`: bytes arrive by `ReadTarget` and not by `data` events. */
  attach(socket: Socket, direct: boolean): void {
    this.#socket = socket;
    if (!direct) {
      socket.on('data', (chunk: Buffer) => {
        this.#decoder.push(chunk);
        if (!this.#received(chunk.length)) socket.pause();
      });
    }
    socket.on('error', (error) => this.fail(this.#lost(error.message, error)));
    socket.on('close', () => this.fail(this.#lost('the server closed it')));
    socket.on('timeout', () => {
      const awaited = this.#pending[0]?.name ?? (this.#greeting ? 'greeting' : undefined);
      // While we hold the reading back, silence is our own doing.
      if (awaited === undefined || this.quiet || this.#holding || this.#waiting) {
        socket.setTimeout(this.#options.idleMs);
        return;
      }
      this.fail(
        mailErrors.make(
          'MAIL_NO_ANSWER',
          `${this.place} sent nothing for ${this.#options.idleMs} ms (awaited: ${awaited})`,
          { details: { place: this.place, command: awaited } },
        ),
      );
    });
    socket.setTimeout(this.#options.idleMs);
  }

  /** Takes the socket away for TLS. What the server sent before must not count after (RFC 9051 section 11.1). */
  detach(): Socket {
    const socket = this.#socket as Socket;
    if (this.#decoder.midResponse) throw this.#protocolError('bytes after the answer to STARTTLS', '');
    socket.removeAllListeners('data');
    socket.removeAllListeners('error');
    socket.removeAllListeners('close');
    socket.removeAllListeners('timeout');
    socket.setTimeout(0);
    this.#socket = undefined;
    return socket;
  }

  greeting(withinMs: number): Promise<StatusResponse> {
    const abort = new AbortController();
    const awaited = new Promise<StatusResponse>((resolve, reject) => {
      if (this.#failure) reject(this.#failure);
      this.#greeting = { resolve, reject };
    });
    this.clock.sleep(withinMs, abort.signal).then(
      () =>
        this.fail(
          mailErrors.make('MAIL_NO_ANSWER', `${this.place} sent no greeting within ${withinMs} ms`, {
            details: { place: this.place },
          }),
        ),
      () => {},
    );
    return awaited.finally(() => abort.abort());
  }

  // --- sending

  /**
   * Sends a command and resolves with its tagged status, whatever that is; rejects when the connection fails or
   * `take` throws. Commands are written in the order of the calls.
   */
  command(name: string, parts: CommandParts, options: CommandOptions = {}): Promise<StatusResponse> {
    return new Promise((resolve, reject) => {
      this.#tagNumber += 1;
      const pending: Pending = {
        tag: `U${this.#tagNumber}`,
        name,
        options,
        resolve,
        reject,
      };
      this.#writes = this.#writes.then(() => this.#write(pending, parts));
    });
  }

  /** Like `command`, but a status other than OK is an error with its code. */
  async ok(name: string, parts: CommandParts, options: CommandOptions = {}): Promise<StatusResponse> {
    const status = await this.command(name, parts, options);
    if (status.status !== 'OK') throw refusal(this.place, name, status);
    return status;
  }

  /** DONE, which ends IDLE and is no command of its own; its answer is awaited in the usual time. */
  endIdle(): void {
    this.#socket?.setTimeout(this.#options.idleMs);
    this.#socket?.write('DONE\r\n', 'latin1');
  }

  async #write(pending: Pending, parts: CommandParts): Promise<void> {
    try {
      if (!this.#failure) await this.#options.throttle?.beforeCommand(pending.name);
      if (this.#failure) {
        pending.reject(this.#failure);
        return;
      }
      const socket = this.#socket as Socket;
      // An idle socket's clock has run on; the wait for this answer starts now.
      if (this.#pending.length === 0) socket.setTimeout(this.#options.idleMs);
      this.#pending.push(pending);
      let text = `${pending.tag} `;
      let gathered: GatheredWrites | undefined;
      for await (const part of parts) {
        if (this.#failure) return;
        if (!this.#pending.includes(pending)) {
          // Answered before it was whole: what the server makes of the rest is unknown, so there is no rest.
          this.fail(this.#lost(`${pending.name} was answered halfway`));
          return;
        }
        if (part === 'wait') {
          gathered?.flush();
          await this.#awaitContinuation(pending.tag, socket, `${text}\r\n`);
          text = '';
        } else if (typeof part === 'string') text += part;
        else if ('after' in part) {
          gathered?.flush();
          await this.#waitHere(part.after, socket);
        } else {
          const free = this.#needsNoContinuation(part.literal.length);
          const announced = `${text}{${part.literal.length}${free ? '+' : ''}}\r\n`;
          text = '';
          gathered ??= new GatheredWrites(socket);
          if (free) gathered.text(announced);
          else {
            gathered.flush();
            await this.#awaitContinuation(pending.tag, socket, announced);
          }
          const { throttle } = this.#options;
          if (throttle) await this.#sendSlowly(part.literal, gathered, socket, throttle);
          else if (!gathered.bytes(part.literal)) await this.#drained(socket);
        }
      }
      if (this.#failure) return;
      if (gathered) {
        gathered.text(`${text}\r\n`);
        gathered.flush();
      } else socket.write(`${text}\r\n`, 'latin1');
    } catch (error) {
      pending.reject(error);
      // A command that was begun cannot be taken back.
      if (error !== REFUSED_EARLY)
        this.fail(this.#lost(`sending ${pending.name} failed: ${messageOf(error)}`, error));
    }
  }

  /** In pieces: no pause between them is so long that the connection looks dead. */
  async #sendSlowly(
    literal: Uint8Array,
    gathered: GatheredWrites,
    socket: Socket,
    throttle: Throttle,
  ): Promise<void> {
    for (let at = 0; at < literal.length && !this.#failure; at += THROTTLED_BYTES) {
      const piece = literal.subarray(at, at + THROTTLED_BYTES);
      if (!gathered.bytes(piece)) await this.#drained(socket);
      const wait = throttle.sent(piece.length);
      if (!wait) continue;
      gathered.flush();
      await wait;
    }
  }

  #needsNoContinuation(bytes: number): boolean {
    // RFC 7888: LITERAL- allows it up to 4096 bytes.
    return this.has('LITERAL+') || (this.has('LITERAL-') && bytes <= 4096);
  }

  async #waitHere(until: Promise<unknown>, socket: Socket): Promise<void> {
    this.#waiting = true;
    try {
      await until;
    } finally {
      this.#waiting = false;
      socket.setTimeout(this.#options.idleMs);
    }
  }

  #awaitContinuation(tag: string, socket: Socket, line: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#continuation = { tag, resolve, reject };
      socket.write(line, 'latin1');
    });
  }

  #drained(socket: Socket): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        socket.off('drain', done);
        socket.off('close', done);
        resolve();
      };
      socket.once('drain', done);
      socket.once('close', done);
    });
  }

  // --- receiving

  target(): Buffer {
    return this.#decoder.target(this.#holding);
  }

  wrote(buffer: Uint8Array, count: number): boolean {
    this.#decoder.wrote(buffer, count);
    return this.#received(count);
  }

  /** False = read no more for now. */
  #received(bytes: number): boolean {
    if (this.#holding || this.#failure) return false;
    const wait = this.#options.throttle?.received(bytes);
    if (wait) {
      this.#hold(wait);
      return false;
    }
    return this.#dispatchAll();
  }

  /** Hands out every whole response; false when something must be awaited first. */
  #dispatchAll(): boolean {
    try {
      for (;;) {
        const raw = this.#decoder.next();
        if (!raw) {
          const wanted = this.#decoder.literalWanted;
          if (wanted === 0) return !this.#failure;
          const granted = this.#acquire(wanted);
          if (granted) {
            this.#hold(granted.then(() => this.#decoder.acceptLiteral()));
            return false;
          }
          this.#decoder.acceptLiteral();
          continue;
        }
        const wait = this.#dispatch(this.#parser.parse(raw));
        if (this.#failure) return false;
        if (wait) {
          this.#hold(wait.finally(() => this.#handled()));
          return false;
        }
        this.#handled();
      }
    } catch (error) {
      if (!(error instanceof MalformedResponse)) throw error;
      this.fail(
        error.tooLarge
          ? mailErrors.make('MAIL_LITERAL_TOO_LARGE', `${this.place} sent ${error.message}`, { cause: error })
          : this.#protocolError(error.message, error.excerpt, error),
      );
      return false;
    }
  }

  #hold(until: Promise<void>): void {
    this.#holding = true;
    this.#socket?.pause();
    until.then(
      () => {
        this.#holding = false;
        if (this.#failure) return;
        if (this.#dispatchAll()) this.#socket?.resume();
      },
      (error) => this.fail(this.#lost(messageOf(error), error)),
    );
  }

  #acquire(bytes: number): Promise<void> | undefined {
    const budget = this.#options.budget;
    if (!budget || bytes <= BUDGET_FROM_BYTES) return undefined;
    if (this.#heldBudget > 0) {
      budget.force(bytes);
      this.#heldBudget += bytes;
      return undefined;
    }
    const granted = budget.acquire(bytes);
    if (!granted) {
      this.#heldBudget += bytes;
      return undefined;
    }
    return granted.then(() => {
      // The connection may have ended meanwhile, and then gives back at once what nobody will use.
      if (this.#failure) budget.release(bytes);
      else this.#heldBudget += bytes;
    });
  }

  /** Gives back the memory of busy times; nothing is awaited now. */
  rest(): void {
    this.#decoder.rest();
  }

  #handled(): void {
    this.#decoder.handled();
    this.#releaseBudget();
  }

  #releaseBudget(): void {
    if (this.#heldBudget === 0) return;
    this.#options.budget?.release(this.#heldBudget);
    this.#heldBudget = 0;
  }

  #dispatch(response: ImapResponse): Promise<void> | undefined {
    switch (response.type) {
      case 'continue':
        this.#continued();
        return undefined;
      case 'capability':
        this.#capabilities = new Set(response.names);
        return undefined;
      case 'status':
        if (response.code?.name === 'CAPABILITY') {
          this.#capabilities = new Set(response.code.value.toUpperCase().split(' '));
        }
        if (response.tag !== undefined) {
          this.#completed(response.tag, response);
          return undefined;
        }
        if (response.status === 'BYE') this.bye = response;
        if (this.#greeting) {
          this.#greeting.resolve(response);
          this.#greeting = undefined;
          return undefined;
        }
    }
    for (let index = 0; index < this.#pending.length; index++) {
      const pending = this.#pending[index] as Pending;
      if (index > 0 && !pending.options.outOfOrder) continue;
      const { take } = pending.options;
      if (!take) continue;
      try {
        const taken = take(response);
        if (taken === true) return undefined;
        if (taken !== false) return taken.catch((error) => pending.reject(error));
      } catch (error) {
        pending.reject(error);
        return undefined;
      }
    }
    this.onEvent(response);
    return undefined;
  }

  #continued(): void {
    if (this.#continuation) {
      this.#continuation.resolve();
      this.#continuation = undefined;
    } else this.#pending.find((pending) => pending.options.onContinue)?.options.onContinue?.();
  }

  #completed(tag: string, status: StatusResponse): void {
    const index = this.#pending.findIndex((pending) => pending.tag === tag);
    const [pending] = index < 0 ? [] : this.#pending.splice(index, 1);
    if (!pending) throw new MalformedResponse('an answer to no command', `${tag} ${status.status}`);
    if (this.#continuation?.tag === tag) {
      this.#continuation.reject(REFUSED_EARLY);
      this.#continuation = undefined;
    }
    pending.resolve(status);
  }

  // --- ending

  /** Ends the connection at once with this reason; later calls change nothing. */
  fail(error: UnderstudyError): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#socket?.destroy();
    this.#greeting?.reject(error);
    this.#continuation?.reject(REFUSED_EARLY);
    this.#continuation = undefined;
    for (const pending of this.#pending.splice(0)) pending.reject(error);
    this.#releaseBudget();
    this.log.debug({ place: this.place, code: error.code, reason: error.message }, 'imap connection ended');
    this.#closed.resolve(error);
  }

  #lost(reason: string, cause?: unknown): UnderstudyError {
    if (this.bye) {
      return mailErrors.make('MAIL_UNAVAILABLE', `${this.place} said goodbye: ${this.bye.text}`, {
        details: { place: this.place, text: this.bye.text },
      });
    }
    const cut = this.#decoder.midResponse ? ' in the middle of a response' : '';
    const awaited = this.#pending[0] ? `, awaited: ${this.#pending[0].name}` : '';
    return mailErrors.make(
      'MAIL_CONNECTION_LOST',
      `the connection to ${this.place} ended${cut}: ${reason}${awaited}`,
      { cause, details: { place: this.place } },
    );
  }

  #protocolError(message: string, excerpt: string, cause?: unknown): UnderstudyError {
    return mailErrors.make(
      'MAIL_PROTOCOL_ERROR',
      `${this.place} does not speak IMAP as we know it: ${message}`,
      {
        cause,
        details: { place: this.place, excerpt },
      },
    );
  }
}

/** The server answered a command with NO before all of it was sent; the command itself tells why. */
const REFUSED_EARLY = new Error('refused before it was whole');

/** The error for a tagged NO or BAD (RFC 5530 response codes). */
export function refusal(place: string, command: string, status: StatusResponse): UnderstudyError {
  const code = status.code?.name ?? '';
  const said = `${status.status}${code === '' ? '' : ` [${code}]`} ${status.text}`;
  return mailErrors.make(REFUSALS[code] ?? 'MAIL_COMMAND_REFUSED', `${place} answers ${command}: ${said}`, {
    details: { place, command, status: status.status, code, text: status.text },
  });
}

const REFUSALS: Readonly<Record<string, keyof typeof mailErrors.declarations>> = {
  UNAVAILABLE: 'MAIL_UNAVAILABLE',
  SERVERBUG: 'MAIL_UNAVAILABLE',
  INUSE: 'MAIL_UNAVAILABLE',
  NONEXISTENT: 'MAIL_MAILBOX_ABSENT',
  TRYCREATE: 'MAIL_MAILBOX_ABSENT',
  NOPERM: 'MAIL_NO_PERMISSION',
  'READ-ONLY': 'MAIL_NO_PERMISSION',
  OVERQUOTA: 'MAIL_OVER_QUOTA',
  TOOBIG: 'MAIL_OVER_QUOTA',
  LIMIT: 'MAIL_OVER_QUOTA',
  PRIVACYREQUIRED: 'MAIL_LOGIN_DISABLED',
};
