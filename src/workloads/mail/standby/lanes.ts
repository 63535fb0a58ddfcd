/**
 * Further connections of one account, while nobody else needs them: a large mailbox is sent over several, so that the target reads,
 * checks and syncs messages of one batch while it takes those of another.
 */

import type { Log } from '../../../lib/index.ts';
import { messageOf } from '../../../lib/index.ts';
import type { ImapConnection } from '../imap/index.ts';

/** More do not help one mailbox: what ends a batch is done one after the other. */
const LANES_MOST = 4;

/** How many connections may work at once on a target, and how many do. */
export class Connections {
  #free: number;

  constructor(most: number) {
    this.#free = most;
  }

  /** True = taken. */
  take(): boolean {
    if (this.#free === 0) return false;
    this.#free -= 1;
    return true;
  }

  giveBack(): void {
    this.#free += 1;
  }
}

export interface LaneDeps {
  readonly connections: Connections;
  connect(): Promise<ImapConnection>;
  readonly log: Log;
}

/** The connections of one account: its own, and what can be borrowed. */
export class Lanes {
  readonly #deps: LaneDeps;
  readonly #lanes: ImapConnection[];
  #opening: Promise<void> | undefined;
  #isRefused = false;

  constructor(deps: LaneDeps, own: ImapConnection) {
    this.#deps = deps;
    this.#lanes = [own];
  }

  /** Those that are there now, the account's own first. */
  get open(): readonly ImapConnection[] {
    return this.#lanes;
  }

  /** Opens one more where there may be one; `open` tells when it is there. */
  grow(): void {
    const { connections, connect, log } = this.#deps;
    if (this.#opening || this.#isRefused || this.#lanes.length >= LANES_MOST || !connections.take()) return;
    this.#opening = connect()
      .then(
        (connection) => {
          this.#lanes.push(connection);
        },
        (error: unknown) => {
          // As many as the target lets an account have; the work goes on over those.
          log.debug({ err: error }, `no further connection: ${messageOf(error)}`);
          this.#isRefused = true;
          connections.giveBack();
        },
      )
      .finally(() => {
        this.#opening = undefined;
      });
  }

  /** Gives back what was borrowed; nothing may be under way over it. */
  async shrink(): Promise<void> {
    await this.#opening;
    for (const connection of this.#lanes.splice(1)) {
      connection.close();
      this.#deps.connections.giveBack();
    }
  }
}
