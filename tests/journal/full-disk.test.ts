/** Goal: a file system that really is full stops the writer with a clear error and loses nothing; with space it goes on. Method: a tmpfs of 1 MiB. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { JournalReader, verifyJournal } from '../../src/journal/index.ts';
import { appendStep, contentOf, contentOfSteps, openWriter, type Step } from './support.ts';

describe('journal on a full file system', () => {
  it('keeps every commit, says what is wrong, and goes on when there is space', async (context) => {
    const mountPoint = mkdtempSync(join(tmpdir(), 'understudy-full-'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', mountPoint]);
    if (mounted.status !== 0) {
      rmdirSync(mountPoint);
      context.skip(`cannot mount a tmpfs: ${String(mounted.stderr || mounted.error).trim()}`);
      return;
    }
    try {
      const ballast = join(mountPoint, 'ballast');
      writeFileSync(ballast, Buffer.alloc(500 << 10));
      const storage = join(mountPoint, 'journal');
      const kept: Step[] = [];
      const next = (): Step => ({ bodies: [randomBytes(30_000)], records: [] });

      const writer = await openWriter(storage, { segmentBytes: 100 << 10 });
      await assert.rejects(
        async () => {
          for (;;) {
            const step = next();
            await appendStep(writer, step);
            kept.push(step);
          }
        },
        { code: 'JOURNAL_STORAGE_FULL' },
      );
      await writer.close();
      assert.ok(kept.length >= 10);

      rmSync(ballast);
      const again = await openWriter(storage, { segmentBytes: 100 << 10 });
      for (let count = 0; count < 5; count++) {
        const step = next();
        await appendStep(again, step);
        kept.push(step);
      }
      await again.close();
      const reader = await JournalReader.open({ storage });
      assert.deepEqual(await contentOf(reader), contentOfSteps(kept));
      await reader.close();
      assert.deepEqual((await verifyJournal({ storage })).faults, []);
    } finally {
      const unmounted = spawnSync('umount', [mountPoint]);
      assert.equal(unmounted.status, 0, 'no handle is left open');
      rmdirSync(mountPoint);
    }
  });
});
