/**
 * Goal: people who keep their mail on their own machines notice nothing of a failover. Method: real programs that had synchronised with the
 * live server go on through the front door.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { connectImap } from '../lab/imap-check.ts';
import { requirePackages } from '../lab/packages.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { filesBelow, synchronisers, workOffline } from '../mail/synchronisers.ts';
import { deliver, messageOf, missing, PAIR, World } from './pair-world.ts';

for (const program of synchronisers) {
  const skip = missing || (requirePackages([program.packageName]) ?? false);
  test(`${program.name} goes on after a failover with what it has`, { skip }, async (t) => {
    const world = await World.start(t, { accounts: 1 });
    const [account] = world.accounts as [string];
    const folder = temporaryDirectory(program.name, t).path;
    program.synchronise(folder, world.live, account);
    const before = filesBelow(folder);
    assert.ok(before.length > 20, `${before.length} messages`);

    await world.shadow();
    await world.live.kill9();
    await world.json(0, 'failover', PAIR, '--yes');

    // It was worked on while the server was gone.
    workOffline(folder, messageOf('filed-offline'));
    const offline = filesBelow(folder);
    const { host, port } = world.door.imap;
    const door = { address: host, imapPort: port, accountPassword: world.live.accountPassword };
    const said = program.synchronise(folder, door, account);
    assert.doesNotMatch(said, /UIDVALIDITY/i);
    const after = new Set(filesBelow(folder));
    // The program names the one that it has uploaded after its UID.
    const gone = offline.filter((name) => !after.has(name) && !name.includes('.here'));
    assert.deepEqual(gone, [], 'nothing went');
    assert.equal(after.size, offline.length, 'nothing came');

    const client = await connectImap(world.doorLogin(account));
    await client.mailboxOpen('INBOX');
    const filed = await client.search({ subject: 'filed-offline' }, { uid: true });
    assert.equal((filed || []).length, 1, 'what was filed offline is on the standby');
    await client.logout();

    await deliver(world.door.lmtp, account, 'after-failover');
    program.synchronise(folder, door, account);
    assert.equal(
      filesBelow(folder).length,
      offline.length + 1,
      'what comes now is downloaded, and nothing else',
    );
  });
}
