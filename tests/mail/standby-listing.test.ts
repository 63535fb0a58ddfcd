/**
 * Goal: the parent of a mailbox that Dovecot's index names as if it were a mailbox itself is none too many on a standby. Method: a real Dovecot
 * without a doveadm API, behind a proxy that takes the mark off the parent in what is listed.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { bringUp, quickCompare, type StandbyDeps } from '../../src/workloads/mail/standby/index.ts';
import { startFaultyProxy } from '../lab/faulty-proxy.ts';
import { act, mail } from './restore-world.ts';
import { StandbyWorld } from './standby-world.ts';
import { serversMissing } from './support.ts';

it('a parent that is listed as a mailbox and is none is no mailbox too many', {
  skip: serversMissing,
}, async (t) => {
  const world = await StandbyWorld.start(t, { format: 'maildir', accounts: 1, standbyDoveadm: false });
  const [account] = world.lab.dovecot.accounts as [string];
  await act(world.lab, account, async (client) => {
    await client.create('Parent/Child');
    await client.append('Parent/Child', mail('a@x'));
  });
  await world.lab.shadow();
  await world.bringUpWell();
  const { address: host, imapPort: port } = world.standby;
  const rewrites = [{ from: '(\\NonExistent)', to: '(\\HasTheMarks)' }];
  const proxy = await startFaultyProxy({ host, port }, { rewrites });
  t.after(() => proxy.close());
  const through = (deps: StandbyDeps): StandbyDeps => {
    const imap = { ...deps.config.imap, port: proxy.port };
    return { ...deps, config: { ...deps.config, host: proxy.host, imap } };
  };
  await world.withDeps(async (deps) => {
    assert.deepEqual((await quickCompare(through(deps))).differences, []);
    for (const dryRun of [true, false]) {
      const { repaired, problems } = await bringUp(through(deps), { dryRun });
      assert.deepEqual([repaired, problems], [[], []]);
    }
  });
  assert.ok(proxy.struck >= 3, `${proxy.struck}`);
});
