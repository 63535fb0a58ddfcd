/**
 * Tells from outside when a change has become durable: it reads a vault's catalog as any other process may, and the
 * catalog is told of a step only after the journal's fdatasync. So what is seen here is committed; the moment seen is
 * late by the catalog's own transaction and by the interval of looking (2 ms).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Catalog, type MessageSummary, vaultFiles } from '../../src/catalog/index.ts';

export type Change =
  | { readonly kind: 'delivery'; readonly account: string; readonly messageId: string }
  | { readonly kind: 'flags'; readonly account: string; readonly uid: number; readonly flag: string }
  | { readonly kind: 'expunge'; readonly account: string; readonly uid: number };

interface Expected {
  readonly change: Change;
  /** Moment of the acknowledgement; undefined while the server has not answered. */
  acknowledgedMs: number | undefined;
  seenMs: number | undefined;
  /** UIDNEXT of the mailbox when it was last looked through in vain. */
  uidNext?: number;
}

const LOOKS_EVERY_MS_MOST = 50;

export class CatalogWatch {
  readonly #catalog: Catalog;
  readonly #everyMs: number;
  readonly #pending = new Set<Expected>();
  readonly #lags = new Map<Change['kind'], number[]>();
  readonly #mailboxes = new Map<string, MessageSummary['mailboxId']>();
  #lsn = -1;
  #stopped = false;
  readonly #loop: Promise<void>;

  constructor(vaultDir: string, everyMs = 2) {
    this.#catalog = Catalog.open(vaultFiles(vaultDir).catalog, { readOnly: true });
    this.#everyMs = everyMs;
    this.#loop = this.#run();
  }

  /** Announces a change of an INBOX; call the result when the server has acknowledged it. */
  expect(change: Change): () => void {
    const expected: Expected = { change, acknowledgedMs: undefined, seenMs: undefined };
    this.#pending.add(expected);
    return () => {
      expected.acknowledgedMs = performance.now();
      this.#settle(expected);
    };
  }

  /** Milliseconds from acknowledgement to commit, of all that were seen; below 0 when committed before. */
  lags(kind: Change['kind']): readonly number[] {
    return this.#lags.get(kind) ?? [];
  }

  /** Acknowledged and not yet seen. */
  get missing(): readonly Change[] {
    return [...this.#pending]
      .filter(({ acknowledgedMs, seenMs }) => acknowledgedMs !== undefined && seenMs === undefined)
      .map(({ change }) => change);
  }

  /** Waits until everything acknowledged was seen, at most so long; gives what was not. */
  async drain(withinMs: number): Promise<readonly Change[]> {
    const start = performance.now();
    while (this.missing.length > 0 && performance.now() - start < withinMs) await delay(10);
    return this.missing;
  }

  /** Nothing announced so far is waited for any more. */
  forget(): void {
    this.#pending.clear();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
    this.#catalog.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const start = performance.now();
      const lsn = this.#catalog.appliedLsn;
      if (lsn !== this.#lsn) {
        this.#lsn = lsn;
        this.#look();
      }
      // With very many changes outstanding a look takes long; it must not become the load that is measured, nor the lag.
      await delay(Math.max(this.#everyMs, Math.min((performance.now() - start) * 10, LOOKS_EVERY_MS_MOST)));
    }
  }

  #look(): void {
    const now = performance.now();
    for (const expected of this.#pending) {
      if (expected.seenMs !== undefined || !this.#holds(expected)) continue;
      expected.seenMs = now;
      this.#settle(expected);
    }
  }

  #settle(expected: Expected): void {
    const { change, acknowledgedMs, seenMs } = expected;
    if (acknowledgedMs === undefined || seenMs === undefined) return;
    this.#pending.delete(expected);
    const lags = this.#lags.get(change.kind) ?? [];
    lags.push(seenMs - acknowledgedMs);
    this.#lags.set(change.kind, lags);
  }

  #holds(expected: Expected): boolean {
    const { change } = expected;
    const id = this.#inbox(change.account);
    if (id === undefined) return false;
    if (change.kind === 'delivery') {
      const { uidNext } = this.#catalog.mailboxById(id) ?? { uidNext: 1 };
      if (uidNext === expected.uidNext) return false;
      expected.uidNext = uidNext;
      // The newest ones are enough: an account gets a message every few seconds.
      const newest = this.#catalog.summaries(id, { afterUid: Math.max(0, uidNext - 50), limit: 100 });
      return newest.some(({ messageId }) => messageId === change.messageId);
    }
    const message = this.#catalog.messages(id, { afterUid: change.uid - 1, limit: 1 })[0];
    const isThere = message?.uid === change.uid;
    return change.kind === 'expunge' ? !isThere : isThere && message.flags.includes(change.flag);
  }

  #inbox(account: string): MessageSummary['mailboxId'] | undefined {
    const known = this.#mailboxes.get(account) ?? this.#catalog.mailboxByName(account, 'INBOX')?.id;
    if (known !== undefined) this.#mailboxes.set(account, known);
    return known;
  }
}
