/** Goal: the same moment in another time zone is no difference. Method: two real Dovecots in different time zones. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { verifyAgainst } from '../../src/workloads/mail/standby/index.ts';
import { act, mail } from './restore-world.ts';
import { StandbyWorld } from './standby-world.ts';
import { serversMissing } from './support.ts';

it('a standby in another time zone is equal', { skip: serversMissing }, async (t) => {
  const standbyConfig = 'import_environment = TZ=Asia/Tokyo';
  const world = await StandbyWorld.start(t, { format: 'maildir', accounts: 1, standbyConfig });
  const [account] = world.lab.dovecot.accounts as [string];
  await act(world.lab, account, async (client) => {
    for (const id of ['a@x', 'b@x']) await client.append('INBOX', mail(id));
  });
  await world.lab.shadow();
  await world.bringUpWell();
  const [first] = (await world.standbyState(account)).get('INBOX')?.messages ?? [];
  assert.match(first?.internalDate ?? '', /\+0900$/, 'the standby is in another time zone');
  const certificate = await world.withDeps((deps) => verifyAgainst(deps, { bodies: 'all' }));
  assert.deepEqual(certificate.differences, []);
  assert.equal(certificate.equal, true);
  assert.equal((await world.bringUpWell()).messagesRestored, 0);
});
