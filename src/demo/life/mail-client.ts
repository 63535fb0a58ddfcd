/**
 * The people of the demonstration at their mail programs: one account after the other they read what is new, flag
 * it, and file some of it. They touch only mail that came after they began.
 */
import { type Clock, messageOf, Random } from '../../lib/index.ts';
import { ImapConnection } from '../../workloads/mail/imap/index.ts';
import type { Dovecot } from '../dovecot/index.ts';

const EVERY_MS = 150;
const FILE_INTO = 'Archive';

export interface ClientCounts {
  readonly read: number;
  readonly flagged: number;
  readonly filed: number;
  /** Things that went wrong, with the last one's words; the next try connects anew. */
  readonly interrupted: number;
  readonly lastInterruption: string | undefined;
}

export class MailClient {
  readonly #dovecot: Dovecot;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #connections = new Map<string, ImapConnection>();
  readonly #firstNewUid = new Map<string, number>();
  readonly #left = new Set<string>();
  readonly #stopping = new AbortController();
  readonly #counts = { read: 0, flagged: 0, filed: 0, interrupted: 0 };
  #lastInterruption: string | undefined;
  #acting: Promise<void> = Promise.resolve();
  #loop: Promise<void> = Promise.resolve();

  static async start(dovecot: Dovecot, seed: string, clock: Clock): Promise<MailClient> {
    const client = new MailClient(dovecot, seed, clock);
    for (const account of dovecot.accounts) {
      const status = await (await client.connection(account)).status('INBOX');
      client.#firstNewUid.set(account, status?.uidNext ?? 1);
    }
    client.#loop = client.#run();
    return client;
  }

  private constructor(dovecot: Dovecot, seed: string, clock: Clock) {
    this.#dovecot = dovecot;
    this.#clock = clock;
    this.#random = new Random(`mail client ${seed}`);
  }

  get counts(): ClientCounts {
    return { ...this.#counts, lastInterruption: this.#lastInterruption };
  }

  /** UID of the first message of INBOX that came after the client began. */
  firstNewUid(account: string): number {
    return this.#firstNewUid.get(account) ?? 1;
  }

  /** Logged in with the account's own password. For what somebody does by hand, after `leave`. */
  async connection(account: string): Promise<ImapConnection> {
    const known = this.#connections.get(account);
    if (known && !known.failure) return known;
    const connection = await ImapConnection.connect({
      host: this.#dovecot.address,
      port: this.#dovecot.imapPort,
      security: 'none',
      auth: { account, secret: this.#dovecot.accountPassword(account) },
      clock: this.#clock,
    });
    this.#connections.set(account, connection);
    return connection;
  }

  /** Does nothing in the account until `goOn`; resolves when what is being done there is done. */
  async leave(account: string): Promise<void> {
    this.#left.add(account);
    await this.#acting;
    await this.#close(account);
  }

  async goOn(account: string): Promise<void> {
    await this.#close(account);
    this.#left.delete(account);
  }

  /** May be repeated. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    for (const account of [...this.#connections.keys()]) await this.#close(account);
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const account = this.#random.shuffled(this.#dovecot.accounts).find((name) => !this.#left.has(name));
      if (account !== undefined) {
        this.#acting = this.#act(account).catch((error: unknown) => {
          this.#counts.interrupted += 1;
          this.#lastInterruption = `${account}: ${messageOf(error)}`;
          this.#connections.get(account)?.close();
        });
        await this.#acting;
      }
      await this.#clock.sleep(EVERY_MS, this.#stopping.signal).catch(() => {
        // Stopped: the condition sees it.
      });
    }
  }

  /** Opens INBOX, reads the oldest new message, and does something with it. */
  async #act(account: string): Promise<void> {
    const connection = await this.connection(account);
    await connection.select('INBOX');
    const first = this.firstNewUid(account);
    const [oldest] = (await connection.search(`UID ${first}:* UNSEEN`)).filter(({ to }) => to >= first);
    if (!oldest) return;
    const message = [{ from: oldest.from, to: oldest.from }];
    await connection.fetch(message, { flags: true, body: true }, () => {});
    await connection.store(message, 'add', ['\\Seen']);
    this.#counts.read += 1;
    const flag = this.#random.pick([undefined, undefined, '\\Flagged', '\\Answered', '$Forwarded']);
    if (flag !== undefined) {
      await connection.store(message, 'add', [flag]);
      this.#counts.flagged += 1;
    }
    if (this.#random.chance(0.4)) {
      await connection.move(message, FILE_INTO);
      this.#counts.filed += 1;
    }
  }

  async #close(account: string): Promise<void> {
    const connection = this.#connections.get(account);
    this.#connections.delete(account);
    await connection?.logout();
  }
}
