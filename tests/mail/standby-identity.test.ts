/** Clients that knew the live server find on the standby what they know: nothing is fetched again. UIDs far apart are kept. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { quickCompare, verifyAgainst } from '../../src/workloads/mail/standby/index.ts';
import type { Dovecot } from '../lab/dovecot.ts';
import { requirePackages } from '../lab/packages.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { ImapClient } from './imap-client.ts';
import { fillAccount, mail } from './restore-world.ts';
import { StandbyWorld } from './standby-world.ts';
import { serversMissing } from './support.ts';

const mbsyncMissing = serversMissing || requirePackages(['isync']) || false;

describe('the identity of a standby', { skip: serversMissing }, () => {
  for (const format of ['maildir', 'mdbox'] as const) {
    it(`is that of the live server to mbsync: ${format}`, { skip: mbsyncMissing }, async (t) => {
      const world = await StandbyWorld.start(t, { format, accounts: 1 });
      const [account] = world.lab.dovecot.accounts as [string];
      await fillAccount(world.lab, account);
      const folder = temporaryDirectory('mbsync', t).path;
      synchronise(folder, world.lab.dovecot, account);
      const before = filesBelow(folder);
      assert.ok(before.length > 30);

      await world.lab.shadow();
      await world.bringUpWell();
      const said = synchronise(folder, world.standby, account);
      assert.doesNotMatch(said, /UIDVALIDITY/i);
      assert.deepEqual(filesBelow(folder), before, 'nothing came, nothing went');
      await world.assertSame();
    });
  }

  it('is kept where UIDs are far apart', async (t) => {
    const world = await StandbyWorld.start(t, { format: 'mdbox', accounts: 1 });
    const [account] = world.lab.dovecot.accounts as [string];
    const client = await ImapClient.open(world.lab.dovecot, account);
    for (let number = 0; number < 1_000; number += 1) {
      // Fours, far apart.
      if (number % 4 === 0) await world.pinLive(account, 'INBOX', 1 + number * 50);
      await client.append('INBOX', mail(`sparse-${number}`));
    }
    await client.close();
    await world.lab.shadow();
    const report = await world.bringUpWell();
    assert.equal(report.messagesRestored, 1_000);
    t.diagnostic(`1,000 messages over 50,000 UIDs in ${Math.round(report.elapsedMs)} ms`);
    await world.assertSame();
  });

  it('is compared by STATUS and in depth', async (t) => {
    const world = await StandbyWorld.start(t, { format: 'maildir', accounts: 2 });
    const [account] = world.lab.dovecot.accounts as [string];
    for (const one of world.lab.dovecot.accounts) await fillAccount(world.lab, one);
    await world.lab.shadow();
    await world.bringUpWell();
    await world.withDeps(async (deps) => {
      assert.deepEqual((await quickCompare(deps)).differences, []);
      const verified = await verifyAgainst(deps, { bodies: 'all' });
      assert.deepEqual(verified.differences, []);
      assert.equal(verified.equal, true);
    });
    await world.onStandby(account, (client) => client.append('Work', mail('too many')));
    await world.withDeps(async (deps) => {
      const { differences, equal } = await quickCompare(deps);
      assert.equal(equal, false);
      assert.deepEqual(differences.map(({ what }) => what).sort(), ['message-extra', 'uidnext']);
      assert.deepEqual((await quickCompare(deps, { accounts: [account] })).accounts, 1);
      assert.ok(
        (await verifyAgainst(deps, { bodies: 'all' })).differences.some(
          ({ what }) => what === 'message-extra',
        ),
      );
    });
  });
});

/** Pulls everything into a Maildir, remembering what it has; gives what mbsync said. */
function synchronise(folder: string, dovecot: Dovecot, account: string): string {
  const configFile = join(folder, 'mbsyncrc');
  writeFileSync(
    configFile,
    `IMAPAccount there
Host ${dovecot.address}
Port ${dovecot.imapPort}
User ${account}
Pass ${dovecot.accountPassword(account)}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account there

MaildirStore near
Path ${folder}/
Inbox ${folder}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Expunge Near
Sync Pull
SyncState *
`,
  );
  return execFileSync('mbsync', ['--config', configFile, '--all', '--verbose'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Messages, by the names that mbsync gave them: flags are part of those. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\/(cur|new)\/./.test(name))
    .sort();
}
