/**
 * What every way to move clients must do, whatever it is made of. The world is asked by the test itself, never through
 * the adapter.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/lib/index.ts';
import type { DoorState, Rehome } from '../../src/rehome/index.ts';

export interface ContractWorld {
  /** A new adapter, as a process that was just started makes one. */
  rehome(): Rehome;
  /** Which server clients reach now: `a` or `b`; nothing when none. */
  leadsTo(): Promise<string | undefined>;
  /** Leads clients to a server behind the adapter's back. */
  meddle(server: string): Promise<void>;
  /** For `run-child.ts`: configuration, pair, index of the adapter. */
  readonly childArguments: readonly string[];
}

const open = (server: string): DoorState => ({ mode: 'open', server });

export function rehomeContract(name: string, world: () => ContractWorld): void {
  describe(`${name} keeps the contract of rehoming`, () => {
    it('leads clients to the wanted server; may be repeated', async () => {
      for (const server of ['b', 'b', 'a', 'b']) {
        await world().rehome().run(open(server));
        assert.equal(await world().leadsTo(), server);
        assert.equal(await world().rehome().isDone(open(server)), true);
      }
    });

    it('asks the world what is done, and changes nothing by asking', async () => {
      await world().rehome().run(open('a'));
      assert.equal(await world().rehome().isDone(open('b')), false);
      assert.equal(await world().leadsTo(), 'a');
      await world().meddle('b');
      assert.equal(await world().rehome().isDone(open('b')), true);
      assert.equal(await world().rehome().isDone(open('a')), false);
    });

    it('is taken back; may be repeated', async () => {
      await world().rehome().run(open('a'));
      await world().rehome().run(open('b'));
      for (let time = 0; time < 2; time += 1) {
        await world().rehome().undo(open('a'));
        assert.equal(await world().leadsTo(), 'a');
      }
    });

    it('holds and closes where it can; else that counts as done', async () => {
      await world().rehome().run(open('a'));
      const states: DoorState[] = [{ mode: 'hold', server: 'b' }, { mode: 'closed' }, { mode: 'closed' }];
      for (const state of states) {
        const outcome = await world().rehome().run(state);
        assert.equal(await world().rehome().isDone(state), true);
        assert.equal(await world().leadsTo(), world().rehome().holds ? undefined : 'a');
        assert.ok(outcome.elapsedMs >= 0);
      }
      await world().rehome().run(open('b'));
      assert.equal(await world().leadsTo(), 'b');
    });

    it('killed in the middle and run again, ends right', async () => {
      for (const [index, delayMs] of [0, 1, 3, 10, 30].entries()) {
        const server = index % 2 === 0 ? 'a' : 'b';
        const child = spawn(
          process.execPath,
          [
            join(import.meta.dirname, 'run-child.ts'),
            ...world().childArguments,
            JSON.stringify(open(server)),
          ],
          { stdio: ['ignore', 'pipe', 'inherit'] },
        );
        await once(child.stdout, 'data');
        await systemClock.sleep(delayMs);
        child.kill('SIGKILL');
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
        if (!(await world().rehome().isDone(open(server)))) await world().rehome().run(open(server));
        assert.equal(await world().rehome().isDone(open(server)), true);
        assert.equal(await world().leadsTo(), server);
      }
    });
  });
}
