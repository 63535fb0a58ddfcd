/** A process that fills a vault, or rebuilds its catalog, until it is killed; each commit that resolved is a line on stdout. */
import { writeSync } from 'node:fs';
import { rebuildCatalog, Vault } from '../../src/catalog/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';

const [mode, dir = ''] = process.argv.slice(2);
const clock = systemClock;

if (mode === 'rebuild') {
  await rebuildCatalog({ dir, clock });
} else {
  const vault = await Vault.open({ dir, clock, log: silentLog, frameBytes: 4000, segmentBytes: 200_000 });
  const account = `account${vault.committedLsn}`;
  const id = vault.nextMailboxId();
  const record = {
    id,
    account,
    name: 'INBOX',
    delimiter: '/',
    uidValidity: id,
    specialUse: [],
    subscribed: true,
  };
  await vault.commit([
    { t: 'account', account },
    { t: 'mailbox', ...record },
  ]);
  let uid = 0;
  // Eight steps under way at once, so that a kill hits some in every stage.
  const worker = async () => {
    for (;;) {
      uid += 1;
      const mine = uid;
      const { hash, size } = vault.putBody(
        Buffer.from(`Subject: ${id} ${mine}\r\n\r\n${'x'.repeat((mine * 37) % 3000)}`),
      );
      const date = '17-Jul-2026 02:44:25 +0200';
      const step = [{ t: 'message', id, uid: mine, hash, size, flags: [], date, guid: `g${mine}` } as const];
      await vault.commit(mine % 5 === 4 ? [...step, { t: 'vanished', id, uids: `${mine - 3}` }] : step);
      writeSync(1, `${id} ${mine}\n`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}
