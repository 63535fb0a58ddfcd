/**
 * A mail transfer agent: mail comes in at a steady rate and is queued; a few workers deliver it over LMTP, each over its own connection, and
 * keep what was put off until it is taken. The oldest goes first.
 */
import { type Clock, hasCode, messageOf, Random, UnderstudyError } from '../../lib/index.ts';
import { connectLmtp, type LmtpClient } from '../../workloads/mail/lmtp/index.ts';
import { createMailGenerator } from '../mail-generator/index.ts';
import type { Ledger } from './ledger.ts';
import { Diary, Pauses, pause } from './reconnecting.ts';
import type { LoadOptions, Place } from './types.ts';

const WORKERS = 4;
/** Refusals for good (5xx) after which a message is given up. */
const REFUSALS_MOST = 5;
/** Synchronous protection may hold an answer back. */
const PATIENCE_LEAST_MS = 30_000;

interface Queued {
  readonly account: string;
  readonly messageId: string;
  readonly raw: Uint8Array;
  readonly from: string;
  refusals: number;
}

export class DeliveryAgent {
  readonly name = 'lmtp';
  readonly diary: Diary;
  readonly #options: LoadOptions;
  readonly #to: Place;
  readonly #accounts: readonly string[];
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #generator;
  readonly #queue: Queued[] = [];
  /** No more mail comes in. */
  readonly #ending = new AbortController();
  /** Nothing is tried again. */
  readonly #stopping = new AbortController();
  #underWay = 0;
  #incoming: Promise<void> = Promise.resolve();
  #workers: Promise<void>[] = [];

  constructor(options: LoadOptions, to: Place, accounts: readonly string[], ledger: Ledger, clock: Clock) {
    this.#options = options;
    this.#to = to;
    this.#accounts = accounts;
    this.#ledger = ledger;
    this.#clock = clock;
    this.diary = new Diary(clock);
    const seed = options.seed ?? 'load';
    this.#random = new Random(`${seed} deliveries`);
    this.#generator = createMailGenerator(`${seed} new mail`);
  }

  start(): void {
    this.#incoming = this.#receive();
    this.#workers = Array.from({ length: WORKERS }, () => this.#work());
  }

  /** Takes no more mail, and waits up to `drainMs` until what is queued is delivered. May be repeated. */
  async stop(drainMs: number): Promise<void> {
    this.#ending.abort();
    await this.#incoming;
    const began = this.#clock.monotonicMs();
    while (this.#queue.length + this.#underWay > 0 && this.#clock.monotonicMs() - began < drainMs) {
      await pause(this.#clock, 20, this.#stopping.signal);
    }
    this.#stopping.abort();
    await Promise.all(this.#workers);
  }

  async #receive(): Promise<void> {
    const everyMs = 1000 / (this.#options.deliveriesPerSecond ?? 10);
    let dueMs = this.#clock.monotonicMs();
    while (!this.#ending.signal.aborted) {
      const account = this.#random.pick(this.#accounts);
      const { raw, messageId, from } = this.#generator.message({
        to: `${account}@example.org`,
        date: new Date(this.#clock.wallMs()),
        approxBytes: this.#random.integer(1_500, 6_000),
      });
      this.#ledger.sent(account, messageId, this.#clock.monotonicMs());
      this.#queue.push({ account, messageId, raw, from, refusals: 0 });
      dueMs += everyMs;
      await pause(this.#clock, Math.max(0, dueMs - this.#clock.monotonicMs()), this.#ending.signal);
    }
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopping;
    const pauses = new Pauses(this.#options.retryMs ?? 50);
    let lmtp: LmtpClient | undefined;
    let wasConnected = false;
    while (!signal.aborted) {
      const mail = this.#queue.shift();
      if (!mail) {
        await pause(this.#clock, 5, signal);
        continue;
      }
      this.#underWay += 1;
      try {
        if (!lmtp) {
          lmtp = await connectLmtp({
            ...this.#to,
            timeoutMs: Math.max(PATIENCE_LEAST_MS, this.#options.patienceMs ?? 0),
          });
          if (wasConnected) this.diary.reconnected();
          wasConnected = true;
        }
        await lmtp.deliver(mail.raw, [mail.account], mail.from);
        this.#ledger.acknowledge(mail.messageId, this.#clock.monotonicMs());
        this.diary.succeeded();
        pauses.reset();
      } catch (error) {
        this.diary.failed(error);
        if (hasCode(error, 'MAIL_DELIVERY_UNCERTAIN')) this.#ledger.uncertain(mail.messageId);
        if (this.#isForGood(error)) mail.refusals += 1;
        if (mail.refusals < REFUSALS_MOST) this.#queue.unshift(mail);
        else this.#ledger.refused(mail.messageId, messageOf(error));
        // After any failure anew: an MTA does not go on with a connection that has failed.
        const failed = lmtp;
        lmtp = undefined;
        if (hasCode(error, 'MAIL_DELIVERY_REFUSED')) await failed?.close();
        await pause(this.#clock, pauses.next(), signal);
      } finally {
        this.#underWay -= 1;
      }
    }
    await lmtp?.close();
  }

  #isForGood(error: unknown): boolean {
    return error instanceof UnderstudyError && Number(error.details['code']) >= 500;
  }
}
