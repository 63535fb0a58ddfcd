/**
 * New mail, some every second, all the time: delivered over LMTP as a mail transfer agent does, which tries again
 * what was put off. The server's 250 is the promise that is held up to the end.
 */
import { type Clock, messageOf, Random } from '../../lib/index.ts';
import { connectLmtp, type Dovecot, type LmtpClient } from '../dovecot/index.ts';
import { createMailGenerator, type GeneratedMessage } from '../mail-generator/index.ts';

const EVERY_MS = 120;
const TRIES_MOST = 5;
const TRY_AGAIN_AFTER_MS = 300;
const CONNECTIONS = 4;

export interface Delivered {
  readonly account: string;
  readonly messageId: string;
  /** From the first byte of the envelope to the 250, which waits for the journal. */
  readonly tookMs: number;
}

export class Deliveries {
  readonly #dovecot: Dovecot;
  readonly #clock: Clock;
  readonly #lmtp: LmtpClient;
  readonly #random: Random;
  readonly #generator;
  readonly #stopping = new AbortController();
  readonly #held = new Set<string>();
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #sent: { readonly account: string; readonly messageId: string }[] = [];
  readonly #acknowledged: Delivered[] = [];
  readonly #refused: string[] = [];
  #loop: Promise<void> = Promise.resolve();

  static async start(dovecot: Dovecot, seed: string, clock: Clock): Promise<Deliveries> {
    const lmtp = await connectLmtp({
      host: dovecot.address,
      port: dovecot.lmtpPort,
      connections: CONNECTIONS,
    });
    const deliveries = new Deliveries(dovecot, lmtp, seed, clock);
    deliveries.#loop = deliveries.#run();
    return deliveries;
  }

  private constructor(dovecot: Dovecot, lmtp: LmtpClient, seed: string, clock: Clock) {
    this.#dovecot = dovecot;
    this.#lmtp = lmtp;
    this.#clock = clock;
    this.#random = new Random(`deliveries ${seed}`);
    this.#generator = createMailGenerator(`new mail ${seed}`);
  }

  /** Mail that the server took, in the order of its 250. */
  get acknowledged(): readonly Delivered[] {
    return this.#acknowledged;
  }

  /** Mail that the server would not take after all; none, when all is well. */
  get refused(): readonly string[] {
    return this.#refused;
  }

  /** Message-IDs of what was sent to the account, acknowledged or not. */
  sentTo(account: string): Set<string> {
    return idsTo(account, this.#sent);
  }

  acknowledgedTo(account: string): Set<string> {
    return idsTo(account, this.#acknowledged);
  }

  /** Sends nothing to the account until `release`; resolves when nothing is on its way to it. */
  async hold(account: string): Promise<void> {
    this.#held.add(account);
    await this.#underWay.get(account);
  }

  release(account: string): void {
    this.#held.delete(account);
  }

  /** Resolves when all that is on its way has its answer. May be repeated. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    await Promise.all(this.#underWay.values());
    await this.#lmtp.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      // One at a time for each account; the others do not wait for a slow one.
      const account = this.#random
        .shuffled(this.#dovecot.accounts)
        .find((name) => !this.#held.has(name) && !this.#underWay.has(name));
      if (account !== undefined) this.#begin(account);
      await this.#clock.sleep(EVERY_MS, this.#stopping.signal).catch(() => {
        // Stopped: the condition sees it.
      });
    }
  }

  #begin(account: string): void {
    const delivery = this.#deliver(account).finally(() => this.#underWay.delete(account));
    this.#underWay.set(account, delivery);
  }

  async #deliver(account: string): Promise<void> {
    const message = this.#generator.message({
      to: `${account}@example.org`,
      date: new Date(this.#clock.wallMs()),
    });
    const { messageId } = message;
    this.#sent.push({ account, messageId });
    const began = this.#clock.monotonicMs();
    for (let tries = 1; ; tries += 1) {
      try {
        await this.#lmtp.deliver(message.raw, [account], message.from);
        this.#acknowledged.push({ account, messageId, tookMs: this.#clock.monotonicMs() - began });
        return;
      } catch (error) {
        if (tries === TRIES_MOST) {
          this.#refused.push(`${describe(message)} to ${account}: ${messageOf(error)}`);
          return;
        }
        await this.#clock.sleep(TRY_AGAIN_AFTER_MS);
      }
    }
  }
}

function describe({ messageId, raw }: GeneratedMessage): string {
  return `${messageId} (${raw.length} bytes)`;
}

function idsTo(account: string, list: readonly { account: string; messageId: string }[]): Set<string> {
  return new Set(list.filter((entry) => entry.account === account).map(({ messageId }) => messageId));
}
