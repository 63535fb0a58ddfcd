/**
 * A person's mail program with its cache: connected all the time, it reads what is new, flags it, files some of it, and connects again when
 * it is cut off. It remembers UIDs as programs do, and notes when a server broke what it remembers.
 *
 *     connecting ──logged in──► checking the cache ──► acting ⇄ pausing
 *         ▲                            │                  │
 *         └───────── pause ◄───────────┴── connection lost ┘
 *
 * Several programs may share an account. Each flags and files only the messages that are its own (by their Message-ID): an OK to a
 * change of a message that another has just moved would promise nothing.
 */
import { createHash } from 'node:crypto';
import { type Clock, hasCode, Random } from '../../lib/index.ts';
import { ImapConnection } from '../../workloads/mail/imap/index.ts';
import type { Ledger } from './ledger.ts';
import { messageIdOf } from './message-id.ts';
import { Diary, Pauses, pause } from './reconnecting.ts';
import type { LoadOptions, Surprise } from './types.ts';

/** So many of the newest remembered UIDs are read again after each connect. */
const CACHE_CHECKED = 20;
const CONNECT_MOST_MS = 2_000;
const FLAGS = [undefined, undefined, '\\Flagged', '\\Answered', '$Forwarded'];

export interface ProgramPlace {
  readonly name: string;
  readonly account: string;
  /** Which of the programs of this account it is, of how many. */
  readonly share: { readonly index: number; readonly of: number };
}

interface Cache {
  uidValidity: number;
  uidNext: number;
  readonly messageIds: Map<number, string>;
}

export class MailProgram {
  readonly diary: Diary;
  readonly name: string;
  readonly surprises: Surprise[] = [];
  readonly counts = { read: 0, flagged: 0, filed: 0 };
  readonly #options: LoadOptions;
  readonly #place: ProgramPlace;
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #pauses: Pauses;
  readonly #stopping = new AbortController();
  readonly #seen = new Map<string, number>();
  #cache: Cache | undefined;
  #connection: ImapConnection | undefined;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: LoadOptions, place: ProgramPlace, ledger: Ledger, clock: Clock) {
    this.#options = options;
    this.#place = place;
    this.#ledger = ledger;
    this.#clock = clock;
    this.name = place.name;
    this.diary = new Diary(clock);
    this.#random = new Random(`${options.seed ?? 'load'} ${place.name}`);
    this.#pauses = new Pauses(options.retryMs ?? 50);
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** May be repeated. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    await this.#connection?.logout(500);
    this.#connection = undefined;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let restMs = this.#options.everyMs ?? 100;
      try {
        const connection = await this.#connected();
        await this.#act(connection);
        this.#pauses.reset();
      } catch (error) {
        if (signal.aborted) return;
        this.diary.failed(error);
        // A refused command leaves the connection as it was; a program gives up on neither, but begins anew to be sure.
        this.#connection?.close();
        this.#connection = undefined;
        restMs = this.#pauses.next();
      }
      await pause(this.#clock, restMs, signal);
    }
  }

  async #connected(): Promise<ImapConnection> {
    if (this.#connection && !this.#connection.failure) return this.#connection;
    const { imap, passwordOf, patienceMs = 10_000 } = this.#options;
    const connection = await ImapConnection.connect({
      ...imap,
      security: 'none',
      auth: { account: this.#place.account, secret: passwordOf(this.#place.account) },
      timeouts: {
        connectMs: Math.min(patienceMs, CONNECT_MOST_MS),
        greetingMs: patienceMs,
        idleMs: patienceMs,
      },
      clock: this.#clock,
      signal: this.#stopping.signal,
    });
    this.#connection = connection;
    if (this.#cache) this.diary.reconnected();
    await this.#checkCache(connection);
    this.diary.succeeded();
    return connection;
  }

  /** What a caching client does after a connect: is this the mailbox that I know? */
  async #checkCache(connection: ImapConnection): Promise<void> {
    const inbox = await connection.select('INBOX');
    const uidNext = inbox.uidNext ?? 1;
    const cache = this.#cache;
    if (!cache) {
      this.#cache = { uidValidity: inbox.uidValidity, uidNext, messageIds: new Map() };
      return;
    }
    if (inbox.uidValidity !== cache.uidValidity) {
      this.#surprise('uidvalidity', `${cache.uidValidity} became ${inbox.uidValidity}`);
      this.#cache = { uidValidity: inbox.uidValidity, uidNext, messageIds: new Map() };
      return;
    }
    if (uidNext < cache.uidNext) {
      // Read on from there: what comes under these UIDs now is other mail.
      this.#surprise('backwards', `UIDNEXT ${cache.uidNext} became ${uidNext}`);
      cache.uidNext = uidNext;
    }
    const known = [...cache.messageIds.keys()].slice(-CACHE_CHECKED);
    await connection.fetch(
      known.map((uid) => ({ from: uid, to: uid })),
      { body: true },
      ({ uid, body }) => {
        const found = body ? messageIdOf(body) : undefined;
        const expected = cache.messageIds.get(uid);
        if (found !== expected) {
          this.#surprise('changed-uid', `UID ${uid} was ${expected} and is ${found}`);
          if (found) cache.messageIds.set(uid, found);
        }
      },
    );
  }

  /** Looks for what is new, reads it, and does something with what is its own. */
  async #act(connection: ImapConnection): Promise<void> {
    const cache = this.#cache as Cache;
    const fresh = (await connection.search(`UID ${cache.uidNext}:*`)).filter(({ to }) => to >= cache.uidNext);
    this.diary.succeeded();
    const [first] = fresh;
    if (!first) return;
    // One at a time: a person reads.
    const uid = Math.max(first.from, cache.uidNext);
    let messageId: string | undefined;
    await connection.fetch([{ from: uid, to: uid }], { body: true }, ({ body }) => {
      messageId = body ? messageIdOf(body) : undefined;
    });
    this.diary.succeeded();
    cache.uidNext = uid + 1;
    if (messageId === undefined) return;
    this.#remember(cache, uid, messageId);
    this.counts.read += 1;
    // Only what this load delivered is touched; the rest of the mailbox is somebody's.
    if (!this.#isMine(messageId) || this.#ledger.delivery(messageId) === undefined) return;
    const message = [{ from: uid, to: uid }];
    for (const flag of ['\\Seen', this.#random.pick(FLAGS)]) {
      if (flag === undefined) continue;
      await this.#change(messageId, 'flag', flag, () => connection.store(message, 'add', [flag]));
      this.counts.flagged += 1;
    }
    if (this.#random.chance(0.3)) {
      const into = this.#options.fileInto ?? 'Archive';
      await this.#change(messageId, 'file', into, async () => {
        await this.#fileInto(connection, message, into);
      });
      cache.messageIds.delete(uid);
      this.counts.filed += 1;
    }
  }

  async #fileInto(
    connection: ImapConnection,
    message: { from: number; to: number }[],
    into: string,
  ): Promise<void> {
    try {
      await connection.move(message, into);
    } catch (error) {
      if (!hasCode(error, 'MAIL_MAILBOX_ABSENT')) throw error;
      await connection.create(into);
      await connection.move(message, into);
    }
  }

  /** In the ledger with its OK, or as uncertain when no answer came. A refusal promises nothing, and is not in it. */
  async #change(
    messageId: string,
    what: 'flag' | 'file',
    value: string,
    work: () => Promise<void>,
  ): Promise<void> {
    const note = (uncertain: boolean) =>
      this.#ledger.change({
        account: this.#place.account,
        messageId,
        what,
        value,
        acknowledgedAtMs: this.#clock.monotonicMs(),
        uncertain,
      });
    try {
      await work();
    } catch (error) {
      if (this.#connection?.failure) note(true);
      throw error;
    }
    note(false);
    this.diary.succeeded();
  }

  #remember(cache: Cache, uid: number, messageId: string): void {
    const before = this.#seen.get(messageId);
    if (before !== undefined && before !== uid) {
      this.#surprise('again', `${messageId} was UID ${before} and came again as ${uid}`);
    }
    this.#seen.set(messageId, uid);
    cache.messageIds.set(uid, messageId);
  }

  #isMine(messageId: string): boolean {
    const { index, of } = this.#place.share;
    return (createHash('sha256').update(messageId).digest()[0] as number) % of === index;
  }

  #surprise(what: Surprise['what'], detail: string): void {
    this.surprises.push({
      client: this.name,
      account: this.#place.account,
      atMs: this.#clock.monotonicMs(),
      what,
      detail,
    });
  }
}
