/**
 * Goal: what the service was not to forget is remembered by every later release: who acts, which accounts have moved, and each plan as it was
 * left. Method: each fixture is read and gone on with; what it says was written down by the release that wrote it.
 */
import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ControlJournal, ControlReader, type ControlView, setRoles } from '../../src/control/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { summaryOf } from './fixture-summary.ts';

for (const version of ['v1']) {
  const fixture = fileURLToPath(new URL(`../fixtures/control-${version}/`, import.meta.url));
  const expected = JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8'));
  const said = (view: ControlView) => JSON.parse(JSON.stringify(summaryOf(view)));

  function folderOf(t: TestContext): string {
    const dir = join(temporaryDirectory('control-fixture', t).path, 'control');
    cpSync(join(fixture, 'journal'), join(dir, 'journal'), { recursive: true });
    return dir;
  }

  describe(`a control journal of format ${version}`, () => {
    it('says what it said when it was written', async (t) => {
      const reader = await ControlReader.open({ dir: folderOf(t) });
      t.after(() => reader.close());
      assert.deepEqual(said(reader), expected);
      assert.deepEqual(
        expected.plans.map(({ state }: { state: string }) => state),
        ['committed', 'rolled-back', 'failed'],
      );
    });

    it('is opened for writing and gone on with', async (t) => {
      const dir = folderOf(t);
      const journal = await ControlJournal.open({ dir, clock: systemClock, log: silentLog });
      assert.deepEqual(said(journal), expected);
      const back = { pair: 'mail', acting: 'mail-a', former: 'mail-b', since: 1, plan: 'p' };
      await setRoles(journal, back);
      await journal.close();
      const reader = await ControlReader.open({ dir });
      t.after(() => reader.close());
      const now = said(reader);
      assert.deepEqual([now.roles[0], now.plans], [back, expected.plans]);
    });
  });
}
