/**
 * IDLE and NOTIFY connections on the accounts that changed last: the server tells when to look, where nothing
 * pushes. One connection each; when there are more active accounts than connections, the one silent longest goes.
 * An account whose changes are pushed needs none: with more of those than connections, each change would cost the
 * server a log-in to watch what it tells anyway.
 */
import { type Clock, messageOf } from '../../../lib/index.ts';
import type { ImapConnection } from '../imap/index.ts';
import type { Follower } from './follower.ts';

/** An account that pushed no longer ago than this is not watched; a push that has ceased is noticed after it. */
const PUSHES_FOR_MS = 5 * 60_000;

export class Watchers {
  readonly #follower: Follower;
  readonly #clock: Clock;
  readonly #most: number;
  readonly #pushedAtMs = new Map<string, number>();
  /** Longest silent first. */
  readonly #watched = new Map<string, AbortController>();
  #stopped = false;

  constructor(follower: Follower, most: number) {
    this.#follower = follower;
    this.#clock = follower.context.deps.clock;
    this.#most = most;
  }

  /** The server told of a change of the account by itself. */
  pushed(account: string): void {
    this.#pushedAtMs.set(account, this.#clock.monotonicMs());
    this.#watched.get(account)?.abort();
    this.#watched.delete(account);
  }

  /** The account changed just now: it is the likeliest to change again. */
  active(account: string): void {
    if (this.#stopped || this.#most === 0 || this.#pushes(account)) return;
    const watched = this.#watched.get(account);
    if (watched) {
      this.#watched.delete(account);
      this.#watched.set(account, watched);
      return;
    }
    const ending = new AbortController();
    this.#watched.set(account, ending);
    void this.#watch(account, ending.signal);
    if (this.#watched.size <= this.#most) return;
    const [silent, controller] = this.#watched.entries().next().value as [string, AbortController];
    this.#watched.delete(silent);
    controller.abort();
  }

  stop(): void {
    this.#stopped = true;
    for (const controller of this.#watched.values()) controller.abort();
    this.#watched.clear();
  }

  #pushes(account: string): boolean {
    const atMs = this.#pushedAtMs.get(account);
    return atMs !== undefined && this.#clock.monotonicMs() - atMs < PUSHES_FOR_MS;
  }

  /** Until told to end, or until the connection fails: the next change of the account, seen by a sweep, begins anew. */
  async #watch(account: string, signal: AbortSignal): Promise<void> {
    const { pool, deps } = this.#follower.context;
    let connection: ImapConnection | undefined;
    try {
      connection = await pool.connect(account);
      const ended = connection.closed;
      signal.addEventListener('abort', () => connection?.close(), { once: true });
      if (signal.aborted) connection.close();
      connection.onEvent = (event) => {
        if (event.type !== 'alert') void this.#follower.look(account, 'account', 'now');
      };
      // Dovecot tells of changed flags only who has asked for mod-sequences (RFC 5465 section 5.3).
      await connection.enable('CONDSTORE');
      if (connection.has('NOTIFY')) await connection.notifyPersonal();
      else await connection.examine('INBOX');
      const idle = await connection.idle();
      // What changed before the watching began was not told.
      void this.#follower.look(account, 'account', 'soon');
      await Promise.race([ended, idle.ended]);
    } catch (error) {
      if (!signal.aborted)
        deps.log.debug({ account, err: messageOf(error) }, 'an account is not watched any more');
    } finally {
      connection?.close();
      if (!signal.aborted) this.#watched.delete(account);
    }
  }
}
