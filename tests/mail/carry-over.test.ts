/**
 * Goal: what reached the old server after its accounts had moved comes to the new one, also into mailboxes that are there, and twice is once. Method: two
 * real Dovecots, of which the new one names and separates mailboxes in its own way.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CarryOverReport, carryOver, laterThan } from '../../src/workloads/mail/carry-over/index.ts';
import { act, mail } from './restore-world.ts';
import { StandbyWorld } from './standby-world.ts';
import { serversMissing } from './support.ts';

const PREFIXED = 'namespace inbox {\n  prefix = INBOX.\n  separator = .\n}';

describe('mail that came late', { skip: serversMissing }, () => {
  for (const [target, standbyConfig] of [
    ['a server with the same names', ''],
    ['a server with a personal namespace', PREFIXED],
  ] as const) {
    it(`reaches mailboxes that are there, with its flags, on ${target}`, async (t) => {
      const world = await StandbyWorld.start(t, { format: 'maildir', accounts: 1, standbyConfig });
      const [account] = world.lab.dovecot.accounts as [string];
      const onLive = (work: Parameters<typeof act>[2]) => act(world.lab, account, work);
      await onLive(async (client) => {
        await client.create('Work');
        await client.create('Work/Deep');
        await client.append('INBOX', mail('before@x'));
        await client.append('Work/Deep', mail('flagged@x'));
      });
      await world.lab.shadow();
      await world.bringUpWell();
      const since = (await world.lab.vault()).catalog.appliedLsn;

      await onLive(async (client) => {
        await client.append('INBOX', mail('straggler@x'), { flags: ['\\Seen'] });
        await client.append('Work/Deep', mail('deep@x'));
        await client.create('New');
        await client.append('New', mail('new@x'));
        await client.select('Work/Deep');
        await client.store('1', '+FLAGS', ['\\Flagged']);
      });
      await world.lab.shadow();
      const carry = (): Promise<CarryOverReport> =>
        world.withDeps(async (deps) => carryOver(deps, await laterThan(deps.reader, since), since));
      const first = await carry();
      assert.deepEqual(first.problems, []);
      assert.deepEqual(
        first.messages.map(({ mailbox, messageId, result }) => [mailbox, messageId, result]).sort(),
        [
          ['INBOX', '<straggler@x>', 'appended'],
          ['New', '<new@x>', 'appended'],
          ['Work/Deep', '<deep@x>', 'appended'],
        ],
      );
      assert.equal(first.flagsSet, 1);
      const again = await carry();
      assert.deepEqual(
        again.messages.map(({ result }) => result),
        ['there', 'there', 'there'],
      );

      const named = (name: string) => (standbyConfig === '' ? name : `INBOX.${name.replaceAll('/', '.')}`);
      const state = await world.standbyState(account);
      const flagsIn = (name: string) => (state.get(name)?.messages ?? []).map(({ flags }) => flags.join(' '));
      assert.deepEqual(flagsIn('INBOX'), ['', '\\Seen']);
      assert.deepEqual(flagsIn(named('Work/Deep')), ['\\Flagged', '']);
      assert.deepEqual(flagsIn(named('New')), ['']);
    });
  }
});
