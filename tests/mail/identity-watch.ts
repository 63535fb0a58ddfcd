/**
 * What a mail client that keeps a cache relies on: a message known by mailbox, UIDVALIDITY and UID never has other bytes.
 * The watch learns what there is, and then looks on while something is done to the server.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Dovecot } from '../lab/dovecot.ts';
import { ImapClient } from './imap-client.ts';

export class IdentityWatch {
  #client: ImapClient;
  readonly #reopen: () => Promise<ImapClient>;
  readonly #mailbox: string;
  readonly #known = new Map<string, string>();
  readonly #violations: string[] = [];
  #looks = 0;
  #ending = false;
  #watching: Promise<void> = Promise.resolve();

  /**
   * Learns what the mailbox holds, and logs out: a Dovecot session that is open while its files are destroyed
   * damages those made anew. Messages must have different Message-IDs.
   */
  static async open(dovecot: Dovecot, account: string, mailbox: string): Promise<IdentityWatch> {
    const reopen = () => ImapClient.open(dovecot, account);
    const watch = new IdentityWatch(await reopen(), reopen, mailbox);
    await watch.look();
    await watch.#client.close();
    return watch;
  }

  private constructor(client: ImapClient, reopen: () => Promise<ImapClient>, mailbox: string) {
    this.#client = client;
    this.#reopen = reopen;
    this.#mailbox = mailbox;
  }

  /** Looks again and again until `end`. */
  begin(): void {
    this.#watching = (async () => {
      while (!this.#ending) {
        await this.look();
        await delay(5);
      }
    })();
  }

  /** Ends with a last look; gives every violation seen, and how often it looked. */
  async end(): Promise<{ violations: readonly string[]; looks: number }> {
    this.#ending = true;
    await this.#watching;
    await this.look();
    await this.#client.close();
    return { violations: this.#violations, looks: this.#looks };
  }

  /** Dovecot hangs up on a client whose mailbox was renamed or got another UIDVALIDITY. */
  async look(): Promise<void> {
    try {
      if (this.#client.ended) this.#client = await this.#reopen();
      await this.#lookNow();
    } catch (error) {
      if (!this.#client.ended) throw error;
    }
  }

  async #lookNow(): Promise<void> {
    const opened = await this.#client.select(this.#mailbox);
    this.#looks += 1;
    const validity = /\[UIDVALIDITY (\d+)\]/.exec(opened.untagged.join('\n'))?.[1];
    if (!opened.ok || validity === undefined) return;
    const answer = await this.#client.command('UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]');
    for (const line of answer.untagged) {
      const [, uid, id] = /UID (\d+) BODY\[.*Message-ID: (\S+)/is.exec(line) ?? [];
      if (uid === undefined || id === undefined) continue;
      const key = `UIDVALIDITY ${validity} UID ${uid}`;
      const before = this.#known.get(key);
      if (before !== undefined && before !== id) this.#violations.push(`${key}: ${before}, now ${id}`);
      this.#known.set(key, id);
    }
    await this.#client.command('UNSELECT');
  }
}
