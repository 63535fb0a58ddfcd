/**
 * What any directory adapter must do, run against a real directory. The world behind it is read and changed by tools that are
 * not ours.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Directory, RebindOutcome } from '../../src/directory/index.ts';

export const LIVE = 'Mail-A.example.org';
export const STANDBY = '10.0.0.2';
const OTHER = 'mail-c.example.org';

export interface World {
  /** All of them on `LIVE` at first; more than 1,000. */
  readonly accounts: readonly string[];
  /** `impatient`: gives up after a second. */
  directory(how?: { impatient?: boolean }): Directory;
  /** What an independent reader finds. */
  read(account: string): readonly string[];
  /** Somebody else changes the entry. */
  set(account: string, values: readonly string[]): void;
  /** Somebody removes the entry, or puts it back as it was. */
  remove(account: string): void;
  putBack(account: string): void;
  /** Ends the directory at once, as a crash does. */
  crash(): Promise<void>;
  restart(): Promise<void>;
  end(): Promise<void>;
}

export function directoryContract(name: string, start: () => Promise<World>): void {
  describe(`the directory contract, ${name}`, () => {
    let world: World;
    let directory: Directory;
    before(async () => {
      world = await start();
      directory = world.directory();
    });
    after(() => world?.end());

    /** Changes of all accounts, from what is there. */
    const changes = async (to: readonly string[], accounts?: readonly string[]) =>
      (await directory.bindings(accounts)).map(({ account, dn, values }) => ({
        account,
        dn,
        from: values,
        to,
      }));
    const count = (outcomes: readonly RebindOutcome[]) => {
      const counts: Record<string, number> = {};
      for (const { result } of outcomes) counts[result] = (counts[result] ?? 0) + 1;
      return counts;
    };
    const swapped = <T extends { from: readonly string[]; to: readonly string[] }>(list: readonly T[]) =>
      list.map((change) => ({ ...change, from: change.to, to: change.from }));
    const [first = '', second = '', third = ''] = ['u00000', 'u00001', 'u00002'];

    test('bindings are told by server, by account, by both, or all', async () => {
      const all = await directory.bindings();
      assert.deepEqual(
        all.map(({ account }) => account),
        world.accounts,
      );
      assert.deepEqual(await directory.bindings(undefined, LIVE.toUpperCase()), all);
      assert.deepEqual(await directory.bindings(undefined, STANDBY), []);
      const some = await directory.bindings([second.toUpperCase(), first, 'nobody', 'x)(uid=*']);
      assert.deepEqual(
        some.map(({ account, values }) => [account, values]),
        [
          [second.toUpperCase(), [LIVE]],
          [first, [LIVE]],
        ],
      );
      assert.deepEqual(await directory.bindings([first], STANDBY), []);
      assert.equal((await directory.bindings([first], LIVE)).length, 1);
      assert.deepEqual(await directory.listAccounts(LIVE), world.accounts);
    });

    test('all accounts are rebound, once, with progress; undone they are as they were', async () => {
      const wishes = await changes([STANDBY]);
      const seen: number[] = [];
      const outcomes = await directory.rebind(wishes, {
        progress: ({ accountsDone = 0, accountsTotal }) => {
          assert.equal(accountsTotal, wishes.length);
          seen.push(accountsDone);
        },
      });
      assert.deepEqual(count(outcomes), { changed: wishes.length });
      assert.deepEqual(
        outcomes.map(({ dn }) => dn),
        wishes.map(({ dn }) => dn),
      );
      assert.deepEqual(
        seen,
        [...seen].sort((one, other) => one - other),
      );
      assert.equal(seen.at(-1), wishes.length);
      assert.deepEqual(world.read(first), [STANDBY]);
      assert.deepEqual(world.read(world.accounts.at(-1) ?? ''), [STANDBY]);
      assert.deepEqual(count(await directory.rebind(wishes)), { already: wishes.length });
      assert.deepEqual(count(await directory.rebind(swapped(wishes))), { changed: wishes.length });
      assert.deepEqual(world.read(first), [LIVE]);
      assert.equal((await directory.bindings(undefined, LIVE)).length, wishes.length);
    });

    test('accounts are unbound and bound again', async () => {
      const unbind = await changes([]);
      assert.deepEqual(count(await directory.rebind(unbind)), { changed: unbind.length });
      assert.deepEqual(world.read(first), []);
      assert.deepEqual(
        (await directory.bindings([first])).map(({ values }) => values),
        [[]],
      );
      assert.deepEqual(count(await directory.rebind(unbind)), { already: unbind.length });
      assert.deepEqual(count(await directory.rebind(swapped(unbind))), { changed: unbind.length });
      assert.deepEqual(world.read(first), [LIVE]);
    });

    test('nothing to do is nothing done', async () => {
      assert.deepEqual(await directory.rebind([]), []);
      const still = await changes([LIVE.toLowerCase()], [first]);
      assert.deepEqual(count(await directory.rebind(still)), { already: 1 });
      assert.deepEqual(world.read(first), [LIVE]);
    });

    test('what somebody else wrote before is left as it is, whatever its case', async () => {
      const wishes = await changes([STANDBY], [first, second, third]);
      world.set(first, [OTHER]);
      world.set(second, [LIVE.toUpperCase()]);
      world.set(third, []);
      const outcomes = await directory.rebind(wishes);
      assert.deepEqual(
        outcomes.map(({ result, found, code }) => [result, found, code]),
        [
          ['conflict', [OTHER], 'DIRECTORY_CHANGED_MEANWHILE'],
          ['changed', [STANDBY], undefined],
          ['conflict', [], 'DIRECTORY_CHANGED_MEANWHILE'],
        ],
      );
      assert.deepEqual(world.read(first), [OTHER]);
      assert.deepEqual(world.read(third), []);
      for (const account of [first, second, third]) world.set(account, [LIVE]);
    });

    test('what somebody else writes in the very moment is not overwritten, and costs no other account', async () => {
      const wishes = await changes([STANDBY]);
      let meddled = false;
      const outcomes = await directory.rebind(wishes, {
        // Called between the look and the first change.
        progress: () => {
          if (meddled) return;
          meddled = true;
          world.set(second, [OTHER]);
          world.set(third, []);
        },
      });
      assert.deepEqual(count(outcomes), { changed: wishes.length - 2, conflict: 2 });
      assert.deepEqual([world.read(second), world.read(third)], [[OTHER], []]);
      assert.deepEqual(count(await directory.rebind(swapped(wishes))), {
        changed: wishes.length - 2,
        conflict: 2,
      });
      world.set(second, [LIVE]);
      world.set(third, [LIVE]);
    });

    test('an unbound account that somebody else binds in the very moment stays theirs', async () => {
      world.set(first, []);
      const wishes = await changes([STANDBY], [first, second]);
      let meddled = false;
      const outcomes = await directory.rebind(wishes, {
        progress: () => {
          if (!meddled) world.set(first, [OTHER]);
          meddled = true;
        },
      });
      assert.deepEqual(
        outcomes.map(({ result }) => result),
        ['conflict', 'changed'],
      );
      assert.deepEqual(world.read(first), [OTHER]);
      for (const account of [first, second]) world.set(account, [LIVE]);
    });

    test('an entry that is gone fails alone', async () => {
      const wishes = await changes([STANDBY]);
      world.remove(second);
      const outcomes = await directory.rebind(wishes);
      assert.deepEqual(count(outcomes), { changed: wishes.length - 1, failed: 1 });
      const failed = outcomes.find(({ result }) => result === 'failed');
      assert.equal(failed?.account, second);
      assert.equal(failed?.code, 'DIRECTORY_ENTRY_GONE');
      assert.ok(failed?.remedy);
      world.putBack(second);
      await directory.rebind(swapped(wishes));
    });

    test('two different wishes for one entry are refused before anything is changed', async () => {
      const [one] = await changes([STANDBY], [first]);
      assert.ok(one);
      await assert.rejects(directory.rebind([one, { ...one, to: [OTHER] }]), /two different changes/);
      assert.deepEqual(world.read(first), [LIVE]);
      assert.deepEqual(count(await directory.rebind([one, { ...one, account: 'an alias' }])), { changed: 2 });
      world.set(first, [LIVE]);
    });

    test('an abort ends it, nothing moves afterwards, and repeating finishes it', async () => {
      const wishes = await changes([STANDBY]);
      const stop = new AbortController();
      let told = 0;
      await assert.rejects(
        directory.rebind(wishes, {
          signal: stop.signal,
          progress: () => {
            told += 1;
            if (told === 2) stop.abort(new Error('enough'));
          },
        }),
        /enough/,
      );
      const moved = (await directory.bindings(undefined, STANDBY)).length;
      assert.ok(moved > 0 && moved < wishes.length, `${moved} moved`);
      await delay(200);
      assert.equal((await directory.bindings(undefined, STANDBY)).length, moved);
      assert.deepEqual(count(await directory.rebind(wishes)), {
        already: moved,
        changed: wishes.length - moved,
      });
      await directory.rebind(swapped(wishes));
    });

    test('a directory that dies in the middle and comes back is gone on with', async () => {
      const wishes = await changes([STANDBY]);
      let crash: Promise<void> | undefined;
      const outcomes = await directory.rebind(wishes, {
        progress: ({ accountsDone = 0 }) => {
          if (accountsDone > 0)
            crash ??= world
              .crash()
              .then(() => delay(300))
              .then(() => world.restart());
        },
      });
      assert.ok(crash, 'it did not die');
      await crash;
      assert.deepEqual(count(outcomes), { changed: wishes.length });
      assert.equal((await directory.bindings(undefined, STANDBY)).length, wishes.length);
      await directory.rebind(swapped(wishes));
    });

    test('a directory that dies for good leaves an outcome for every account; repeating finishes it', async () => {
      const wishes = await changes([STANDBY]);
      let crash: Promise<void> | undefined;
      const outcomes = await world.directory({ impatient: true }).rebind(wishes, {
        progress: ({ accountsDone = 0 }) => {
          if (accountsDone > 0) crash ??= world.crash();
        },
      });
      await crash;
      assert.equal(outcomes.length, wishes.length);
      const lost = outcomes.filter(({ code }) => code === 'DIRECTORY_UNREACHABLE');
      assert.ok(lost.length > 0);
      assert.ok(lost.every(({ result, remedy }) => result === 'failed' && remedy));
      await assert.rejects(directory.rebind(wishes), { code: 'DIRECTORY_UNREACHABLE' });
      await world.restart();
      const again = count(await directory.rebind(wishes));
      assert.equal((again['changed'] ?? 0) + (again['already'] ?? 0), wishes.length);
      assert.deepEqual(count(await directory.rebind(swapped(wishes))), { changed: wishes.length });
    });

    test('the right to write is proved without a change that anybody reads', async () => {
      const before = await directory.bindings();
      await directory.tryWrite();
      await directory.tryWrite();
      assert.deepEqual(await directory.bindings(), before);
      await directory.rebind(await changes([]));
      await directory.tryWrite();
      assert.ok((await directory.bindings()).every(({ values }) => values.length === 0));
      await directory.rebind(await changes([LIVE]));
    });
  });
}
