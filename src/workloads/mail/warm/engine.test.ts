/**
 * Goal: whatever becomes of single accounts, and whenever the journal grows, every change of the others reaches the standby, and who waits for the
 * standby waits for no account that cannot be served. Method: a journal in memory, and comparisons that the test answers.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { temporaryDirectory } from '../../../../tests/lab/temp.ts';
import type { Lsn } from '../../../journal/index.ts';
import { silentLog, systemClock } from '../../../lib/index.ts';
import type { BringUpReport, BringUpRequest } from '../standby/index.ts';
import { startWarm, type WarmDeps } from './engine.ts';
import { heldBursts, type WarmPlace } from './held.ts';
import { WarmMemory } from './memory.ts';

const WITHIN_MS = 5_000;

/** The journal of a live server with these accounts, each with one mailbox. */
class World {
  readonly accounts: readonly string[];
  readonly memoryFile: string;
  /** Between two records that are read. */
  gapMs = 0;
  /** Accounts whose mailbox the journal does not hold as a whole. */
  readonly incomplete = new Set<string>();
  /** Of each comparison: who, and as of when. */
  readonly compared: (BringUpRequest & { readonly accounts: readonly string[] })[] = [];
  /** From where the journal was read. */
  readonly read: number[] = [];
  /** Accounts in which the journal marks a burst, by the commit before it. */
  readonly bursts: {
    readonly account: string;
    readonly lsn: Lsn;
    readonly time: number;
    readonly cause: 'burst';
  }[] = [];
  /** Accounts that lost all of their mail since any burst of theirs. */
  readonly emptied = new Set<string>();
  /** How a comparison of an account fails, by its code. */
  readonly failing = new Map<string, string>();
  compareMs = 1;
  readonly #entries: { lsn: number; record: object }[] = [];
  readonly #t: TestContext;

  constructor(t: TestContext, accounts: readonly string[]) {
    this.#t = t;
    this.accounts = accounts;
    this.memoryFile = join(temporaryDirectory('warm', t).path, 'warm.sqlite');
  }

  get lsn(): Lsn {
    return (this.#entries.length + 1) as Lsn;
  }

  /** One change in each of these accounts; the LSN of the last one. */
  change(...accounts: readonly string[]): Lsn {
    for (const account of accounts) {
      const record = { t: 'flags', id: this.accounts.indexOf(account) + 1, uid: 1, flags: [] };
      this.#entries.push({ lsn: this.lsn + 1, record });
    }
    return this.lsn;
  }

  /** A burst of removals, as the journal marks it. */
  burst(account: string): Lsn {
    const at = this.lsn;
    this.bursts.push({ account, lsn: at, time: Date.now(), cause: 'burst' });
    this.#entries.push({ lsn: at + 1, record: { t: 'checkpoint', cause: 'burst', account } });
    this.change(account);
    return at;
  }

  start() {
    const engine = startWarm(this.deps());
    this.#t.after(() => engine.stop());
    return engine;
  }

  place(): WarmPlace {
    return this.deps();
  }

  deps(): WarmDeps {
    const world = this;
    const catalog = {
      journalId: 'j',
      get appliedLsn() {
        return world.lsn;
      },
      accountNames: () => this.accounts,
      account: (account: string) => ({ account }),
      checkpoints: () => this.bursts,
      mailboxByName: () => undefined,
      lastCommit: () => ({ lsn: this.lsn, time: Date.now() }),
      commitAtOrAfter: (lsn: Lsn) => (lsn <= this.lsn ? { lsn, time: Date.now() } : undefined),
      mailboxes: (account: string) => [
        { id: this.accounts.indexOf(account) + 1, complete: !this.incomplete.has(account) },
      ],
      *iterateMessages(id: number, at?: Lsn) {
        if (at === undefined && world.emptied.has(world.accounts[id - 1] ?? '')) return;
        for (let bodyLsn = 1; bodyLsn <= 200; bodyLsn += 1) yield { bodyLsn };
      },
      accountOfMailbox: (id: number) => this.accounts[id - 1],
    };
    const reader = {
      catalog,
      journal: { committedLsn: 0, refresh: async () => {} },
      async *entriesSince(since: Lsn, until: Lsn) {
        world.read.push(since);
        for (const entry of world.#entries) {
          if (entry.lsn <= since || entry.lsn > until) continue;
          yield entry;
          if (world.gapMs > 0) await delay(world.gapMs);
        }
      },
    };
    const config = {
      host: '127.0.0.1',
      imap: {
        port: 1,
        security: 'none',
        timeout: 1_000,
        insecureSkipVerify: false,
        masterUser: 'm',
        masterSecret: { reveal: () => 'x' },
      },
      shadow: { connections: 4, keepWarm: 0 },
    };
    return {
      pair: 'site',
      source: 'mail-a',
      target: 'mail-b',
      reader,
      config,
      clock: systemClock,
      log: silentLog,
      memoryFile: this.memoryFile,
      burst: { share: 0.3, least: 50 },
      bringUp: (_: unknown, request: BringUpRequest) => this.#compare(request),
    } as unknown as WarmDeps;
  }

  async #compare(request: BringUpRequest): Promise<BringUpReport> {
    const { accounts = [] } = request;
    this.compared.push({ ...request, accounts });
    await delay(this.compareMs);
    const problems = accounts.flatMap((account) => {
      const code = this.failing.get(account);
      return code === undefined ? [] : [{ account, code, message: 'broken', remedy: 'mend it' }];
    });
    return { messagesRestored: 0, flagsSet: 0, problems } as unknown as BringUpReport;
  }

  /** Up to which LSN the account was compared. */
  reached(account: string): number {
    const mine = this.compared.filter(({ accounts }) => accounts.includes(account));
    return Math.max(0, ...mine.map(({ at = 0 }) => at));
  }
}

const soon = () => AbortSignal.timeout(WITHIN_MS);

describe('a warm standby', () => {
  it('is brought to each change, also when an account is done while the journal is being read', async (t) => {
    const world = new World(t, ['a', 'b', 'c']);
    const engine = world.start();
    await engine.caughtUp(world.lsn, soon());
    world.compareMs = 130;
    world.change('a');
    await delay(80);
    world.gapMs = 60;
    const lsn = world.change('b', 'c', 'c');
    await engine.caughtUp(lsn, soon());
    assert.ok(world.reached('b') >= lsn - 2, `b changed at ${lsn - 2} and is as of ${world.reached('b')}`);
    assert.equal(world.reached('c'), lsn);
  });

  for (const code of ['MAIL_COMMAND_REFUSED', 'MAIL_CONNECTION_LOST', 'MAIL_UNAVAILABLE']) {
    it(`is filled but for a broken account, which is named, and follows the others: ${code}`, async (t) => {
      const world = new World(t, ['a', 'b', 'c']);
      world.failing.set('b', code);
      const engine = world.start();
      await engine.caughtUp(world.lsn, soon());
      const { phase, appliedLsn, problems } = engine.status();
      assert.deepEqual([phase, appliedLsn], ['following', world.lsn]);
      assert.deepEqual(
        problems.map((problem) => [problem.account, problem.code]),
        [['b', code]],
      );

      const tries = () => world.compared.filter(({ accounts }) => accounts.includes('b')).length;
      const before = tries();
      for (let change = 0; change < 5; change += 1) {
        const lsn = world.change('c');
        await engine.caughtUp(lsn, AbortSignal.timeout(500));
        assert.equal(world.reached('c'), lsn);
      }
      assert.ok(tries() - before <= 2, 'the pauses of the broken account are its own');

      world.failing.clear();
      const lsn = world.change('b');
      while (engine.status().problems.length > 0) await delay(20);
      assert.equal(world.reached('b'), lsn);
    });
  }

  it('forgets a burst that lost nothing, also while another account fails for weeks', async (t) => {
    const world = new World(t, ['a', 'b', 'c']);
    const engine = world.start();
    await engine.caughtUp(world.lsn, soon());
    world.failing.set('b', 'MAIL_COMMAND_REFUSED');
    world.change('b');
    while (engine.status().problems.length === 0) await delay(20);
    // Moved to Trash; when that is over, Trash is purged.
    const at = world.burst('c');
    while (world.reached('c') <= at) await delay(20);
    await delay(1_200);
    world.emptied.add('c');
    await engine.caughtUp(world.change('c'), soon());
    assert.deepEqual(await heldBursts(world.place()), [], 'by a takeover');
    await engine.stop();
    assert.deepEqual(await heldBursts(world.place()), [], 'by a takeover while nothing keeps it warm');

    world.compared.length = 0;
    world.read.length = 0;
    const again = world.start();
    await again.caughtUp(world.change('a'), soon());
    assert.deepEqual(again.status().held, []);
    assert.equal(again.status().problems[0]?.account, 'b', 'who was left out is tried again');
    assert.ok(
      world.read.every((since) => since > at),
      `the journal was read from ${world.read}`,
    );
    assert.deepEqual(
      world.compared.flatMap(({ accounts, since }) => (since === undefined ? accounts : [])),
      ['b'],
      'it alone is compared as a whole',
    );
    world.failing.clear();
    while (again.status().problems.length > 0) await delay(20);
    assert.equal(world.reached('b'), world.lsn);
  });

  it('asks the standby about bursts of an account that was never compared, and of no other that fails', async (t) => {
    const world = new World(t, ['a', 'b', 'c']);
    world.burst('b');
    world.emptied.add('b');
    const remember = (filled: boolean) => {
      const memory = WarmMemory.open(world.memoryFile, { journalId: 'j', target: 'mail-b 127.0.0.1:1' });
      memory.applied(world.lsn, [{ account: 'b', filled }]);
      memory.close();
    };
    remember(true);
    assert.deepEqual(await heldBursts(world.place()), []);
    remember(false);
    // Nobody listens there.
    await assert.rejects(heldBursts(world.place()), { code: 'MAIL_UNREACHABLE' });
  });

  it('does not hold a burst again that lost nothing, where the standby fails before it arrived', async (t) => {
    const world = new World(t, ['a', 'c']);
    const engine = world.start();
    await engine.caughtUp(world.lsn, soon());
    await delay(1_200);
    for (const account of world.accounts) world.failing.set(account, 'MAIL_UNREACHABLE');
    world.change('a');
    const at = world.burst('c');
    while (engine.status().phase !== 'stalled') await delay(20);
    // Decided, and on its way.
    await delay(3_500);
    world.emptied.add('c');
    assert.deepEqual(await heldBursts(world.place()), []);
    await engine.stop();
    world.failing.clear();
    const again = world.start();
    await again.caughtUp(world.change('c'), soon());
    assert.deepEqual(again.status().held, []);
    assert.ok(world.reached('c') > at);
  });

  it('compares an account again at the next start that the first comparison left out, and nobody else', async (t) => {
    const world = new World(t, ['a', 'b', 'c']);
    world.failing.set('b', 'MAIL_COMMAND_REFUSED');
    const engine = world.start();
    await engine.caughtUp(world.lsn, soon());
    await delay(1_200);
    await engine.stop();
    world.failing.clear();
    world.compared.length = 0;
    const again = world.start();
    await again.caughtUp(world.lsn, soon());
    assert.deepEqual(
      world.compared.map(({ accounts }) => accounts),
      [['b']],
    );
    assert.equal(again.status().phase, 'following');
  });

  it('does not wait for a mailbox of which the journal has a part: its account is named', async (t) => {
    const world = new World(t, ['a', 'b', 'c']);
    world.incomplete.add('b');
    const engine = world.start();
    const lsn = world.change('b', 'c');
    await engine.caughtUp(lsn, soon());
    assert.equal(world.reached('b'), 0);
    assert.deepEqual(engine.status().incomplete, ['b']);
    assert.equal(engine.status().phase, 'following');
    world.incomplete.clear();
    while (engine.status().incomplete.length > 0) await delay(20);
    assert.equal(world.reached('b'), lsn);
  });

  it('is stalled when several accounts in a row lose their connections, and goes on when one is well', async (t) => {
    const world = new World(t, ['a', 'b', 'c', 'd']);
    const engine = world.start();
    await engine.caughtUp(world.lsn, soon());
    for (const account of world.accounts) world.failing.set(account, 'MAIL_CONNECTION_LOST');
    const lsn = world.change(...world.accounts);
    while (engine.status().phase !== 'stalled') await delay(10);
    assert.ok(engine.status().appliedLsn < lsn);
    world.failing.clear();
    await engine.caughtUp(lsn, soon());
    assert.equal(engine.status().phase, 'following');
    for (const account of world.accounts) assert.equal(world.reached(account), lsn);
  });

  it('reads the journal once for all accounts that are released', async (t) => {
    const world = new World(t, ['a', 'b', 'c']);
    const held = (account: string) => ({
      account,
      removed: 60,
      of: 60,
      before: 'lsn:1',
      at: 1 as Lsn,
      since: 0,
    });
    world.change('a', 'b', 'c');
    const memory = WarmMemory.open(world.memoryFile, { journalId: 'j', target: 'mail-b 127.0.0.1:1' });
    memory.applied(world.lsn);
    for (const account of world.accounts) {
      memory.hold(held(account));
      memory.release(account, 1 as Lsn);
    }
    memory.close();
    const engine = world.start();
    await engine.caughtUp(world.lsn, soon());
    assert.deepEqual(world.read, [1]);
    for (const account of world.accounts) assert.equal(world.reached(account), world.lsn);
  });

  it('is filled with the accounts first whose mail is the newest', async (t) => {
    const names = Array.from({ length: 45 }, (_, index) => `user${String(index).padStart(2, '0')}`);
    const world = new World(t, names);
    const deps = world.deps();
    const { catalog } = deps.reader as unknown as { catalog: Record<string, unknown> };
    catalog['mailboxByName'] = (account: string) => ({ id: names.indexOf(account), uidNext: 2 });
    // The last by name got mail last.
    catalog['messages'] = (id: number) => [
      { date: `01-Jan-2026 00:00:${String(id).padStart(2, '0')} +0000` },
    ];
    const engine = startWarm(deps);
    t.after(() => engine.stop());
    await engine.caughtUp(world.lsn, soon());
    const first = world.compared[0]?.accounts ?? [];
    assert.ok(first.includes('user44') && !first.includes('user00'), first.join(' '));
  });
});
