/** What the server has promised to the load: deliveries with their 250, changes with their OK. */
import type { LedgerChange, LedgerDelivery } from './types.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export class Ledger {
  readonly #deliveries = new Map<string, Writable<LedgerDelivery>>();
  readonly #changes: LedgerChange[] = [];

  get deliveries(): readonly LedgerDelivery[] {
    return [...this.#deliveries.values()];
  }

  get changes(): readonly LedgerChange[] {
    return this.#changes;
  }

  get acknowledged(): readonly LedgerDelivery[] {
    return this.deliveries.filter(({ acknowledgedAtMs }) => acknowledgedAtMs !== undefined);
  }

  delivery(messageId: string): LedgerDelivery | undefined {
    return this.#deliveries.get(messageId);
  }

  sent(account: string, messageId: string, sentAtMs: number): void {
    this.#deliveries.set(messageId, { account, messageId, sentAtMs, uncertain: 0 });
  }

  /** May be called once more than promised; the first 250 counts. */
  acknowledge(messageId: string, atMs: number): void {
    const delivery = this.#of(messageId);
    delivery.acknowledgedAtMs ??= atMs;
  }

  uncertain(messageId: string): void {
    this.#of(messageId).uncertain += 1;
  }

  refused(messageId: string, words: string): void {
    this.#of(messageId).refused = words;
  }

  change(change: LedgerChange): void {
    this.#changes.push(change);
  }

  #of(messageId: string): Writable<LedgerDelivery> {
    const delivery = this.#deliveries.get(messageId);
    if (!delivery) throw new Error(`${messageId} was never sent`);
    return delivery;
  }
}
