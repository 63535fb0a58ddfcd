/**
 * A dozen real clients on one address: see `types.ts`. For tests of takeovers, benches and the demo: what do the people who use the server notice,
 * and does it keep what it promised them?
 */
import { type Clock, systemClock } from '../../lib/index.ts';
import { DeliveryAgent } from './delivery-agent.ts';
import { Ledger } from './ledger.ts';
import { MailProgram } from './mail-program.ts';
import { type StartingPoint, startingPoint } from './starting-point.ts';
import type { ClientOutage, LoadCounts, LoadOptions, Surprise } from './types.ts';

const FIRST_SUCCESS_WITHIN_MS = 20_000;

export class ClientLoad {
  readonly options: LoadOptions;
  readonly ledger = new Ledger();
  /** Where each account's mailboxes stood before. */
  readonly startedAt: ReadonlyMap<string, StartingPoint>;
  readonly #clock: Clock;
  readonly #programs: readonly MailProgram[];
  readonly #agent: DeliveryAgent | undefined;

  /** Resolves when every client is at work. Rejects with its words when one does not get that far. */
  static async start(options: LoadOptions, clock: Clock = systemClock): Promise<ClientLoad> {
    const clients = options.clients ?? 12;
    const accounts = options.accounts.slice(0, clients);
    const startedAt = new Map<string, StartingPoint>();
    for (const account of accounts) {
      startedAt.set(account, await startingPoint(options, account, clock));
    }
    const load = new ClientLoad(options, accounts, clients, startedAt, clock);
    const began = load.nowMs();
    try {
      for (const program of load.#programs) program.start();
      load.#agent?.start();
      await load.settled(began, { withinMs: FIRST_SUCCESS_WITHIN_MS });
    } catch (error) {
      await load.stop({ drainMs: 0 });
      throw error;
    }
    return load;
  }

  private constructor(
    options: LoadOptions,
    accounts: readonly string[],
    clients: number,
    startedAt: ReadonlyMap<string, StartingPoint>,
    clock: Clock,
  ) {
    this.options = options;
    this.startedAt = startedAt;
    this.#clock = clock;
    this.#programs = Array.from({ length: clients }, (_, index) => {
      const at = index % accounts.length;
      const account = accounts[at] as string;
      const of = Math.floor((clients - 1 - at) / accounts.length) + 1;
      const name = `imap ${String(index + 1).padStart(2, '0')} ${account}`;
      const share = { index: Math.floor(index / accounts.length), of };
      return new MailProgram(options, { name, account, share }, this.ledger, clock);
    });
    this.#agent =
      options.lmtp === undefined
        ? undefined
        : new DeliveryAgent(options, options.lmtp, accounts, this.ledger, clock);
  }

  /** The clock of all times here. Take it just before an event, for `outages`. */
  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  get counts(): LoadCounts {
    const sum = (of: (program: MailProgram) => number) =>
      this.#programs.reduce((total, program) => total + of(program), 0);
    const diaries = this.#diaries().map(({ diary }) => diary);
    return {
      delivered: this.ledger.acknowledged.length,
      read: sum(({ counts }) => counts.read),
      flagged: sum(({ counts }) => counts.flagged),
      filed: sum(({ counts }) => counts.filed),
      reconnects: diaries.reduce((total, diary) => total + diary.count('reconnect'), 0),
      interrupted: diaries.reduce((total, diary) => total + diary.count('error'), 0),
    };
  }

  /** Per client, the longest time without a success around what happened between the two moments (default: until now). */
  outages(sinceMs: number, untilMs = this.nowMs()): ClientOutage[] {
    return this.#diaries().map(({ name, diary }) => ({
      client: name,
      protocol: name.startsWith('imap') ? 'imap' : 'lmtp',
      ...diary.between(sinceMs, untilMs),
    }));
  }

  /** What clients with caches suffered. A message that a server may rightly have twice is none: its MTA had no answer. */
  get surprises(): readonly Surprise[] {
    return this.#programs
      .flatMap(({ surprises }) => surprises)
      .filter(({ what, detail }) => {
        const messageId = /<[^>]*>/.exec(detail)?.[0];
        const delivery = messageId === undefined ? undefined : this.ledger.delivery(messageId);
        return what !== 'again' || (delivery?.uncertain ?? 0) === 0;
      });
  }

  /** Resolves when every client has had a success after `sinceMs`. Rejects after `withinMs`, naming those that have not. */
  async settled(sinceMs: number, options: { withinMs?: number; signal?: AbortSignal } = {}): Promise<void> {
    const { withinMs = 30_000, signal } = options;
    const began = this.nowMs();
    for (;;) {
      const waiting = this.#diaries().filter(({ diary }) => (diary.lastSuccessMs ?? -1) < sinceMs);
      if (waiting.length === 0) return;
      if (this.nowMs() - began > withinMs) {
        const words = waiting.map(({ name, diary }) => {
          return `${name} (${diary.between(sinceMs, Infinity).lastError ?? 'no answer'})`;
        });
        throw new Error(`without a success after ${withinMs} ms: ${words.join(', ')}`);
      }
      await this.#clock.sleep(10, signal);
    }
  }

  /** First the MTA, which empties its queue for up to `drainMs` (default 10,000), then the clients. May be repeated. */
  async stop(options: { drainMs?: number } = {}): Promise<void> {
    await this.#agent?.stop(options.drainMs ?? 10_000);
    await Promise.all(this.#programs.map((program) => program.stop()));
  }

  #diaries(): (MailProgram | DeliveryAgent)[] {
    return [...this.#programs, ...(this.#agent ? [this.#agent] : [])];
  }
}
