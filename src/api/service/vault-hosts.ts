/** The threads that follow servers, brought in line with who acts. */
import { isDeepStrictEqual } from 'node:util';
import type { Followed } from '../followed.ts';
import type { ThreadHost } from './thread-host.ts';

export class VaultHosts {
  /** By server; changes while the service runs. */
  readonly threads = new Map<string, ThreadHost>();
  readonly #start: (followed: Followed) => Promise<ThreadHost>;
  readonly #followed = new Map<string, Followed>();
  /** One change after the other. */
  #changing: Promise<void> = Promise.resolve();

  constructor(start: (followed: Followed) => Promise<ThreadHost>) {
    this.#start = start;
  }

  /** Follows exactly these: others are let go of after their commits, and one with other accounts begins anew. May be repeated. */
  follow(wanted: readonly Followed[]): Promise<void> {
    const mine = this.#changing.then(() => this.#follow(wanted));
    this.#changing = mine.catch(() => {
      // Told to whoever asked; the next change begins from what is there.
    });
    return mine;
  }

  async #follow(wanted: readonly Followed[]): Promise<void> {
    for (const [server, known] of [...this.#followed]) {
      if (wanted.some((one) => isDeepStrictEqual(one, known))) continue;
      const thread = this.threads.get(server);
      this.threads.delete(server);
      this.#followed.delete(server);
      await thread?.stop();
    }
    for (const one of wanted) {
      if (this.#followed.has(one.server)) continue;
      this.threads.set(one.server, await this.#start(one));
      this.#followed.set(one.server, one);
    }
  }
}
