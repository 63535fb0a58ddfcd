/** Goal: what the writer promises about order, grouping, times, and about disks that are full or fail. Method: storage in memory with planned faults. */
import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  appendStep,
  arbitrarySteps,
  contentOf,
  contentOfSteps,
  openWriter,
  runProperty,
  type Step,
} from '../../tests/journal/support.ts';
import { silentLog, TestClock } from '../lib/index.ts';
import { bodyPieces } from './body-pieces.ts';
import { FaultyStorage } from './faulty-storage.ts';
import { MemoryStorage } from './memory-storage.ts';
import { JournalReader } from './reader.ts';
import { BODY_PIECE_BYTES, type Lsn } from './records.ts';
import { type FrameLocation, JournalWriter } from './writer.ts';

const step = (account: string, bodies: Uint8Array[] = []): Step => ({
  bodies,
  records: [{ t: 'account', account }],
});

/** Counts the syncs. */
class CountingStorage extends MemoryStorage {
  syncs = 0;
  override async sync(name: string): Promise<void> {
    this.syncs += 1;
    await new Promise((resolve) => setImmediate(resolve));
    await super.sync(name);
  }
}

describe('journal writer', () => {
  it('gives LSNs without gap and resolves commits in order, many with one sync', async () => {
    const storage = new CountingStorage();
    const writer = await openWriter(storage, { frameBytes: 1 << 20, segmentBytes: 1 << 30 });
    const order: number[] = [];
    const commits = [...Array(100).keys()].map((index) =>
      appendStep(writer, step(`a${index}`)).then(({ lsn }) => order.push(lsn)),
    );
    assert.equal(writer.lastLsn, 200);
    assert.equal(writer.committedLsn, 0);
    await Promise.all(commits);
    assert.deepEqual(
      order,
      [...Array(100).keys()].map((index) => (index + 1) * 2),
    );
    assert.equal(storage.syncs, 1);
    assert.equal(writer.committedLsn, 200);
    await writer.close();
  });

  it('reports each committed frame once, in order, before its commits resolve', async () => {
    const storage = new MemoryStorage();
    const writer = await openWriter(storage);
    const frames: FrameLocation[] = [];
    writer.onFrame = (frame) => frames.push(frame);
    for (let index = 0; index < 30; index++) {
      const { lsn } = await appendStep(writer, step(`a${index}`, [randomBytes(500), randomBytes(900)]));
      assert.equal(frames.at(-1)?.lastLsn, lsn);
    }
    await writer.close();
    let next = 1;
    for (const { firstLsn, lastLsn } of frames) {
      assert.equal(firstLsn, next);
      next = lastLsn + 1;
    }
    const reader = await JournalReader.open({ storage });
    for (const { firstLsn, segment, offset, length } of frames) {
      const found = await reader.locate(firstLsn);
      assert.deepEqual([found.segment, found.offset, found.length], [segment, offset, length]);
    }
  });

  it('never lets commit times go back, across clock jumps and restarts', async () => {
    const storage = new MemoryStorage();
    const clock = new TestClock(5_000_000_000_000);
    const first = await openWriter(storage, { clock, segmentBytes: 300 });
    assert.equal((await appendStep(first, step('a'))).time, 5_000_000_000_000);
    clock.jumpWall(1000);
    assert.equal((await appendStep(first, step('b'))).time, 5_000_000_000_000);
    await first.close();
    const second = await openWriter(storage, { clock });
    assert.equal((await appendStep(second, step('c'))).time, 5_000_000_000_000);
    clock.jumpWall(5_000_000_000_777);
    assert.equal((await appendStep(second, step('d'))).time, 5_000_000_000_777);
    await second.close();
  });

  it('makes its caller wait while much is gathered, and bounds frames whatever the bodies', async () => {
    const storage = new MemoryStorage();
    const writer = await JournalWriter.open({ storage, clock: new TestClock(), log: silentLog });
    const frames: FrameLocation[] = [];
    writer.onFrame = (frame) => frames.push(frame);
    await writer.ready();
    const body = randomBytes(20 << 20);
    for (const piece of bodyPieces(hash('sha256', body, 'buffer'), body)) writer.append(piece);
    assert.ok(writer.bufferedBytes > 16 << 20);
    await writer.ready();
    assert.ok(writer.bufferedBytes <= 16 << 20);
    await writer.commit();
    assert.ok(frames.every((frame) => frame.length < BODY_PIECE_BYTES * 2.2));
    const reader = await JournalReader.open({ storage });
    assert.ok((await reader.body(1 as Lsn)).equals(body));
    assert.ok((await reader.body(1 as Lsn, frames[0])).equals(body));
    await writer.close();
  });

  it('stops at misuse of pieces and at use after close', async () => {
    const writer = await openWriter(new MemoryStorage());
    const piece = { t: 'body', hash: Buffer.alloc(32), size: 10, at: 0, data: Buffer.alloc(4) } as const;
    assert.throws(() => writer.append({ ...piece, at: 4 }), /begins with its first piece/);
    writer.append(piece);
    assert.throws(() => writer.append({ t: 'account', account: 'a' }), /complete before/);
    await assert.rejects(writer.commit(), /complete before/);
    writer.append({ ...piece, at: 4, data: Buffer.alloc(6) });
    await writer.commit();
    await writer.close();
    await writer.close();
    assert.throws(() => writer.append({ t: 'account', account: 'a' }), { code: 'JOURNAL_CLOSED' });
    await assert.rejects(writer.commit(), { code: 'JOURNAL_CLOSED' });
    await assert.rejects(writer.ready(), { code: 'JOURNAL_CLOSED' });
  });

  it('finishes the commits under way when it is closed', async () => {
    const storage = new MemoryStorage();
    const writer = await openWriter(storage);
    const commit = appendStep(writer, step('a', [randomBytes(5000)]));
    writer.append({ t: 'account', account: 'not committed' });
    await writer.close();
    assert.equal((await commit).lsn, 3);
    const again = await openWriter(storage);
    assert.equal(again.recovery.cutBytes, 0);
    assert.equal(again.committedLsn, 3);
    await again.close();
  });

  for (const [name, fault, code] of [
    ['full before the first byte', { operation: 'append', code: 'ENOSPC' }, 'JOURNAL_STORAGE_FULL'],
    [
      'full within a frame',
      { operation: 'append', code: 'ENOSPC', partialBytes: 70 },
      'JOURNAL_STORAGE_FULL',
    ],
    ['over its quota', { operation: 'append', code: 'EDQUOT', partialBytes: 500 }, 'JOURNAL_STORAGE_FULL'],
    ['failing a write', { operation: 'append', code: 'EIO' }, 'JOURNAL_STORAGE_FAILED'],
    ['failing a sync', { operation: 'sync', code: 'EIO' }, 'JOURNAL_STORAGE_FAILED'],
    ['full at a sync', { operation: 'sync', code: 'ENOSPC' }, 'JOURNAL_STORAGE_FULL'],
  ] as const) {
    it(`keeps what was committed and goes on after close and open: a disk ${name}`, async () => {
      const storage = new FaultyStorage(new MemoryStorage());
      const writer = await openWriter(storage);
      await appendStep(writer, step('kept'));
      storage.plan(fault);
      const failing = appendStep(writer, step('rejected', [randomBytes(700)]));
      const alsoFailing = appendStep(writer, step('rejected too'));
      await assert.rejects(failing, { code, retry: 'later' });
      await assert.rejects(alsoFailing, { code });
      assert.throws(() => writer.append({ t: 'account', account: 'x' }), { code });
      await assert.rejects(writer.ready(), { code });
      await assert.rejects(writer.commit(), { code });
      assert.equal(writer.committedLsn, 2);
      await writer.close();
      assert.deepEqual(storage.planned, []);

      const again = await openWriter(storage);
      assert.equal(again.recovery.cutBytes, 0, 'it was cut when it failed');
      assert.equal((await appendStep(again, step('after'))).lsn, 4);
      await again.close();
      const reader = await JournalReader.open({ storage });
      assert.deepEqual(await contentOf(reader), contentOfSteps([step('kept'), step('after')]));
    });
  }

  it('recovers at the next open when even the cut fails', async () => {
    const storage = new FaultyStorage(new MemoryStorage());
    const writer = await openWriter(storage);
    await appendStep(writer, step('kept'));
    storage.plan({ operation: 'append', code: 'EIO', partialBytes: 100 });
    storage.plan({ operation: 'truncate', code: 'EIO' });
    await assert.rejects(appendStep(writer, step('rejected', [randomBytes(700)])), {
      code: 'JOURNAL_STORAGE_FAILED',
    });
    await writer.close();
    const again = await openWriter(storage);
    assert.equal(again.recovery.cutBytes, 100);
    assert.equal(again.committedLsn, 2);
    assert.deepEqual(storage.planned, []);
    await again.close();
  });

  it('keeps the commit that filled a segment when the next segment cannot be made', async () => {
    for (const operation of ['seal', 'create'] as const) {
      const storage = new FaultyStorage(new MemoryStorage());
      const writer = await openWriter(storage, { segmentBytes: 1000 });
      const one = step('one', [randomBytes(900)]);
      await appendStep(writer, one);
      storage.plan({ operation, code: 'ENOSPC', times: 2 });
      await appendStep(writer, step('two'));
      await assert.rejects(
        async () => {
          for (;;) await appendStep(writer, step('three'));
        },
        { code: 'JOURNAL_STORAGE_FULL' },
      );
      await writer.close();
      if (operation === 'create') {
        await assert.rejects(openWriter(storage, { segmentBytes: 1000 }), { code: 'JOURNAL_STORAGE_FULL' });
      } else {
        storage.planned.length = 0;
      }
      const again = await openWriter(storage, { segmentBytes: 1000 });
      await appendStep(again, step('four'));
      await again.close();
      assert.deepEqual(storage.planned, []);
      const reader = await JournalReader.open({ storage });
      assert.deepEqual(await contentOf(reader), contentOfSteps([one, step('two'), step('four')]));
      assert.deepEqual((await reader.verify()).faults, []);
    }
  });

  it('keeps every acknowledged commit, and only whole steps, whatever fails when', () =>
    runProperty(
      fc.asyncProperty(
        arbitrarySteps,
        fc.array(
          fc.record({
            operation: fc.constantFrom('append', 'sync', 'create', 'seal', 'truncate'),
            code: fc.constantFrom('ENOSPC', 'EIO'),
            after: fc.nat({ max: 5 }),
            partialBytes: fc.nat({ max: 2000 }),
          }),
          { maxLength: 4 },
        ),
        async (steps, faults) => {
          const storage = new FaultyStorage(new MemoryStorage());
          const acknowledged: Step[] = [];
          let writer = await openWriter(storage);
          for (const fault of faults) storage.plan(fault as never);
          for (const one of steps) {
            try {
              await appendStep(writer, one);
              acknowledged.push(one);
            } catch {
              // What failed is given again to a new writer, as the shadow does; opening may meet a fault too.
              const before = writer.committedLsn;
              await writer.close();
              writer = await reopen(storage);
              // Where a sync and then the cut failed, the step may be there after all, as after a crash.
              if (writer.committedLsn > before) acknowledged.push(one);
            }
          }
          await writer.close();
          const reader = await JournalReader.open({ storage });
          assert.deepEqual(await contentOf(reader), contentOfSteps(acknowledged));
          assert.deepEqual((await reader.verify()).faults, []);
        },
      ),
    ));
});

async function reopen(storage: FaultyStorage): Promise<JournalWriter> {
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      return await openWriter(storage);
    } catch {
      // The planned faults run out.
    }
  }
  return openWriter(storage);
}
