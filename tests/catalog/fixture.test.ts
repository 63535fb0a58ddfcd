/**
 * Goal: of a journal written by any release a catalog is built that answers as that release's did, with every body. Method: each fixture is
 * rebuilt, read and gone on with; what it must answer, at each of its commits, was written down by the release that wrote it.
 */
import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { rebuildCatalog, Vault, VaultReader, vaultFiles, verifyVault } from '../../src/catalog/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { summaryOf } from './fixture-summary.ts';

const clock = systemClock;

for (const version of ['v1']) {
  const fixture = fileURLToPath(new URL(`../fixtures/vault-${version}/`, import.meta.url));
  const expected = JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8'));

  /** A vault that has this journal and nothing else. */
  function vaultOf(t: TestContext): string {
    const dir = join(temporaryDirectory('vault-fixture', t).path, 'mail-a');
    cpSync(join(fixture, 'journal'), vaultFiles(dir).journal, { recursive: true });
    return dir;
  }

  async function assertAsExpected(dir: string): Promise<void> {
    const reader = await VaultReader.open({ dir, clock });
    try {
      const { catalog, journal } = reader;
      const summary = await summaryOf({ catalog, journal, body: (lsn) => reader.body(lsn) });
      assert.deepEqual(JSON.parse(JSON.stringify(summary)), expected);
    } finally {
      await reader.close();
    }
  }

  describe(`a vault of format ${version}`, () => {
    it('is rebuilt, and answers as when it was written', async (t) => {
      const dir = vaultOf(t);
      await rebuildCatalog({ dir, clock });
      await assertAsExpected(dir);
      assert.deepEqual((await verifyVault({ journal: vaultFiles(dir).journal })).faults, []);
    });

    it('has in its bodies what its messages say', () => {
      const bodies = new Map<number, { size: number; sha256: string }>(
        expected.bodies.map((body: { lsn: number }) => [body.lsn, body]),
      );
      let count = 0;
      for (const { changed } of expected.states) {
        for (const { mailboxes } of changed) {
          for (const { messages } of mailboxes) {
            for (const { bodyLsn, hash, size } of messages) {
              count += 1;
              assert.deepEqual(bodies.get(bodyLsn), { lsn: bodyLsn, size, sha256: hash });
            }
          }
        }
      }
      assert.ok(count > 20, `${count} messages over all states`);
    });

    it('is opened for writing and gone on with', async (t) => {
      const dir = vaultOf(t);
      const vault = await Vault.open({ dir, clock, log: silentLog });
      assert.equal(vault.recovery.cutBytes, 0);
      for (const { sha256 } of expected.bodies) {
        assert.ok(vault.hasBody(Buffer.from(sha256, 'hex')), 'a body that is held is not fetched again');
      }
      const ids = expected.mailboxHistory.map(({ id }: { id: number }) => id);
      assert.ok(vault.nextMailboxId() > Math.max(...ids), 'ids are never given twice');
      await vault.commit([{ t: 'account', account: 'new' }]);
      assert.deepEqual(vault.catalog.accountNames(), [...expected.states.at(-1).accounts, 'new']);
      await vault.close();
      assert.deepEqual((await verifyVault({ journal: vaultFiles(dir).journal })).faults, []);
    });
  });
}
