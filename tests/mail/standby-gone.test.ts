/**
 * Goal: an account that the live server has no more stays on the standby, mail and all, and is named there; a mailbox that is gone, of an account
 * that is not, goes. Method: real Dovecots, with the doveadm API of the standby and without.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { shadowOnce } from '../../src/workloads/mail/index.ts';
import { verifyAgainst } from '../../src/workloads/mail/standby/index.ts';
import { act, mail } from './restore-world.ts';
import { StandbyWorld } from './standby-world.ts';
import { serversMissing } from './support.ts';

describe('an account that is gone from the live server', { skip: serversMissing }, () => {
  for (const standbyDoveadm of [true, false]) {
    it(`stays and is named, ${standbyDoveadm ? 'with' : 'without'} a doveadm API`, async (t) => {
      const world = await StandbyWorld.start(t, { format: 'mdbox', accounts: 3, standbyDoveadm });
      const [stays, goes, empty] = world.lab.dovecot.accounts as [string, string, string];
      for (const account of [stays, goes]) {
        await act(world.lab, account, async (client) => {
          await client.create('Work');
          await client.append('INBOX', mail('one'));
          await client.append('Work', mail('two'));
        });
      }
      await world.lab.shadow();
      assert.deepEqual((await world.bringUpWell()).onlyThere, []);
      const before = await world.standbyState(goes);

      await act(world.lab, stays, (client) => client.delete('Work'));
      const deps = await world.lab.deps();
      const { accounts } = deps.config;
      assert.ok(accounts !== undefined);
      const list = accounts.list.filter(({ name }) => name === stays);
      await shadowOnce({ ...deps, config: { ...deps.config, accounts: { ...accounts, list } } });

      const named = [{ account: goes, messages: 2 }];
      const report = await world.bringUpWell();
      assert.deepEqual(report.onlyThere, named, `${empty} has nothing to lose`);
      assert.equal(report.accounts, 1);
      assert.deepEqual(await world.standbyState(goes), before);
      assert.ok(!(await world.standbyState(stays)).has('Work'), 'a mailbox that is gone goes');
      const certificate = await world.withDeps((standby) => verifyAgainst(standby, { bodies: 'all' }));
      assert.deepEqual(certificate.onlyThere, named);
      if (standbyDoveadm) assert.equal(certificate.equal, true);
      assert.deepEqual((await world.bringUpWell({ accounts: [stays] })).onlyThere, []);
    });
  }
});
