/**
 * IDLE and NOTIFY connections on the accounts that changed last: the server tells when to look, where nothing
 * pushes. One connection each; when there are more active accounts than connections, the one silent longest goes.
 */
import { messageOf } from '../../../lib/index.ts';
import type { ImapConnection } from '../imap/index.ts';
import type { Follower } from './follower.ts';

export class Watchers {
  readonly #follower: Follower;
  readonly #most: number;
  /** Longest silent first. */
  readonly #watched = new Map<string, AbortController>();
  #stopped = false;

  constructor(follower: Follower, most: number) {
    this.#follower = follower;
    this.#most = most;
  }

  /** The account changed just now: it is the likeliest to change again. */
  active(account: string): void {
    if (this.#stopped || this.#most === 0) return;
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
