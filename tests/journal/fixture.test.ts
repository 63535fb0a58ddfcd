/** Goal: journals written by every released format stay readable and writable. Method: each fixture is read, verified and gone on with. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { JournalReader, loadKeyFile, verifyJournal } from '../../src/journal/index.ts';
import { summaryOf } from './fixture-summary.ts';
import { appendStep, openWriter } from './support.ts';

const root = mkdtempSync(join(tmpdir(), 'understudy-fixture-'));
after(() => rmSync(root, { recursive: true }));

for (const version of ['v1']) {
  const fixture = fileURLToPath(new URL(`../fixtures/journal-${version}/`, import.meta.url));
  for (const name of ['plain', 'encrypted']) {
    describe(`journal of format ${version}, ${name}`, () => {
      const storage = join(fixture, name);

      async function options() {
        if (name === 'plain') return {};
        const path = join(root, 'test.key');
        copyFileSync(join(fixture, 'test.key'), path);
        chmodSync(path, 0o600);
        return { key: await loadKeyFile(path) };
      }

      it('is read as it was written', async () => {
        const reader = await JournalReader.open({ storage, ...(await options()) });
        const expected = JSON.parse(readFileSync(join(fixture, `${name}.json`), 'utf8'));
        assert.deepEqual(JSON.parse(JSON.stringify(await summaryOf(reader))), expected);
        assert.ok((await reader.info()).segments.length >= 3);
        await reader.close();
        const report = await verifyJournal({ storage, ...(await options()) });
        assert.deepEqual([report.faults, report.torn], [[], undefined]);
        assert.equal(report.committedLsn, expected.committedLsn);
      });

      it('is gone on with', async () => {
        const copy = join(root, name);
        cpSync(storage, copy, { recursive: true });
        const writer = await openWriter(copy, await options());
        assert.equal(writer.recovery.cutBytes, 0);
        const { lsn } = await appendStep(writer, { bodies: [], records: [{ t: 'account', account: 'new' }] });
        await writer.close();
        const report = await verifyJournal({ storage: copy, ...(await options()) });
        assert.deepEqual([report.faults, report.committedLsn], [[], lsn]);
      });
    });
  }
}
