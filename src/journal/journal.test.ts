/**
 * Goal: what was committed is read back, whatever happens to the bytes, or the damage is named; other data is never given.
 * Method: random steps written to storage in memory with small frames and segments, then altered at random. Seeds are printed.
 */
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
  recordsOf,
  runProperty,
  type Step,
} from '../../tests/journal/support.ts';
import { UnderstudyError } from '../lib/index.ts';
import { encodeFrame, FRAME_HEADER_BYTES } from './frame.ts';
import { MemoryStorage } from './memory-storage.ts';
import { JournalReader } from './reader.ts';
import { encodeRecord } from './record-codec.ts';
import type { Lsn } from './records.ts';
import { findTail } from './scan.ts';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { commonJournalId, loadSegments, type Segment } from './segments.ts';
import { verifyJournal } from './verify.ts';

const KEY = randomBytes(32);
const keys = fc.constantFrom(undefined, KEY);

async function write(steps: readonly Step[], key?: Uint8Array, storage = new MemoryStorage()) {
  const writer = await openWriter(storage, key ? { key } : {});
  const commits = [];
  for (const step of steps) {
    const commit = appendStep(writer, step);
    // Some commits share a sync, some have their own.
    if (step.records.length % 2 === 1) await commit;
    commits.push(commit);
  }
  await Promise.all(commits);
  return { storage, writer };
}

async function read(storage: MemoryStorage, key?: Uint8Array): Promise<unknown[]> {
  const reader = await JournalReader.open({ storage, ...(key ? { key } : {}) });
  const content = await contentOf(reader);
  assert.equal(content.length, reader.committedLsn);
  return content;
}

/** The content if it can be read, or the code of the error. */
async function outcome(act: () => Promise<unknown[]>): Promise<unknown[] | string> {
  try {
    return await act();
  } catch (error) {
    assert.ok(error instanceof UnderstudyError, String(error));
    return error.code;
  }
}

/** The contents after 0, 1, 2 … steps. */
function prefixes(steps: readonly Step[]): string[] {
  return [...Array(steps.length + 1).keys()].map((count) =>
    JSON.stringify(contentOfSteps(steps.slice(0, count))),
  );
}

describe('journal', () => {
  it('gives back random steps in order, across closing, reopening and segments, plain and encrypted', () =>
    runProperty(
      fc.asyncProperty(arbitrarySteps, arbitrarySteps, keys, async (first, second, key) => {
        const { storage, writer } = await write(first, key);
        await writer.close();
        const again = await write(second, key, storage);
        assert.equal(again.writer.recovery.cutBytes, 0);
        await again.writer.close();
        assert.deepEqual(await read(storage, key), contentOfSteps([...first, ...second]));
        const report = await verifyJournal({ storage, ...(key ? { key } : {}) });
        assert.deepEqual(report.faults, []);
        assert.equal(report.torn, undefined);
      }),
    ));

  it('shows a prefix of the committed steps when the last segment is cut anywhere, and goes on from there', () =>
    runProperty(
      fc.asyncProperty(arbitrarySteps, arbitrarySteps, keys, fc.nat(), async (steps, more, key, cut) => {
        const { storage: running } = await write(steps, key);
        // The writer may be about to begin the next segment: it is left behind, as by a crash.
        const storage = running.copy();
        const { name, size } = (await storage.list()).at(-1) as { name: string; size: number };
        const length = SEGMENT_HEADER_BYTES + (cut % (size - SEGMENT_HEADER_BYTES + 1));
        await storage.truncate(name, length);
        const before = await read(storage, key);
        const count = prefixes(steps).indexOf(JSON.stringify(before));
        assert.ok(count >= 0, 'content is that after some step');
        const again = await write(more, key, storage);
        assert.deepEqual(await read(storage, key), contentOfSteps([...steps.slice(0, count), ...more]));
        assert.ok(again.writer.recovery.cutBytes < size);
        await again.writer.close();
        const third = await openWriter(storage, key ? { key } : {});
        assert.equal(third.recovery.cutBytes, 0, 'a second opening has nothing to cut');
      }),
    ));

  it('names a segment whose header is cut', async () => {
    const { storage } = await write([{ bodies: [], records: [{ t: 'account', account: 'a' }] }]);
    const [segment] = await storage.list();
    for (const length of [0, 5, 100, SEGMENT_HEADER_BYTES - 1]) {
      const cut = storage.copy();
      await cut.truncate(segment?.name as string, length);
      await assert.rejects(openWriter(cut), { code: 'JOURNAL_DAMAGED' });
    }
  });

  it('keeps every acknowledged commit through a power cut at any moment', () =>
    runProperty(
      fc.asyncProperty(
        arbitrarySteps,
        keys,
        fc.nat({ max: 30 }),
        fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
        async (steps, key, turns, dice) => {
          const storage = new MemoryStorage();
          const writer = await openWriter(storage, key ? { key } : {});
          let acknowledged = 0;
          const commits = steps.map((step) => appendStep(writer, step).then(() => (acknowledged += 1)));
          for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
          const kept = acknowledged;
          const after = storage.afterPowerCut(() => dice.next().value as number);
          await Promise.all(commits);
          const recovered = await openWriter(after, key ? { key } : {});
          const count = prefixes(steps).indexOf(JSON.stringify(await read(after, key)));
          assert.ok(count >= kept, `${kept} commits were acknowledged, content is that of ${count}`);
          await recovered.close();
        },
      ),
    ));

  it('finds and names a flipped bit anywhere in a closed journal, and never gives other data', () =>
    runProperty(
      fc.asyncProperty(
        arbitrarySteps.filter((steps) => steps.length > 0),
        keys,
        fc.nat(),
        fc.nat({ max: 7 }),
        async (steps, key, place, bit) => {
          const { storage, writer } = await write(steps, key);
          await writer.close();
          const files = await storage.list();
          const lastFile = files.at(-1) as { name: string; size: number };
          // The mark of the closing holds no records, and nothing after it vouches for it.
          const markAt = lastFile.size - FRAME_HEADER_BYTES;
          const hasMark = markAt > SEGMENT_HEADER_BYTES;
          let offset = place % files.reduce((sum, file) => sum + file.size, 0);
          const hit = files.find((file) => {
            if (offset < file.size) return true;
            offset -= file.size;
            return false;
          }) as { name: string };
          const bytes = storage.segments.get(hit.name)?.bytes as Buffer;
          bytes[offset] = (bytes[offset] as number) ^ (1 << bit);

          const full = contentOfSteps(steps);
          const seen = await outcome(() => read(storage, key));
          if (hasMark && hit.name === lastFile.name && offset >= markAt) {
            assert.deepEqual(seen, full);
            return;
          }
          const isVersion = offset === 8 || offset === 9;
          assert.equal(seen, isVersion ? 'JOURNAL_VERSION_UNKNOWN' : 'JOURNAL_DAMAGED');
          if (isVersion) return;
          const report = await verifyJournal({ storage, ...(key ? { key } : {}) });
          assert.ok(
            report.faults.some((fault) => fault.segment === hit.name && fault.offset <= offset),
            `fault in ${hit.name} at ${offset}, found: ${JSON.stringify(report.faults)}`,
          );
          const before = storage.copy();
          await outcome(async () => {
            await openWriter(storage, key ? { key } : {});
            return [];
          });
          assert.deepEqual(
            storage.segments.get(hit.name)?.bytes,
            before.segments.get(hit.name)?.bytes,
            'nothing was cut',
          );
        },
      ),
      300,
    ));

  it('names segments that are removed, swapped, duplicated, or of another journal', () =>
    runProperty(
      fc.asyncProperty(
        fc.nat(),
        fc.nat(),
        fc.constantFrom('remove', 'swap', 'duplicate', 'foreign'),
        async (one, two, act) => {
          const storage = await manySegments();
          const names = (await storage.list()).map((segment) => segment.name);
          assert.ok(names.length >= 4);
          const name = names[one % (names.length - 1)] as string;
          const other = names[two % names.length] as string;
          const get = (key: string) => storage.segments.get(key) as never;
          if (act === 'remove') {
            storage.segments.delete(name);
          } else if (act === 'swap') {
            if (name === other) return;
            const kept = get(name);
            storage.segments.set(name, get(other));
            storage.segments.set(other, kept);
          } else if (act === 'duplicate') {
            storage.segments.set('00000000000000ff.seg', get(name));
          } else {
            storage.segments.set(name, (await manySegments()).segments.get(name) as never);
          }
          const code = {
            remove: 'JOURNAL_SEGMENT_MISSING',
            swap: 'JOURNAL_SEGMENT_MISPLACED',
            duplicate: 'JOURNAL_SEGMENT_MISPLACED',
            foreign: 'JOURNAL_SEGMENT_FOREIGN',
          }[act];
          await assert.rejects(JournalReader.open({ storage }), { code });
          await assert.rejects(openWriter(storage), { code });
          const { faults } = await verifyJournal({ storage });
          assert.ok(
            faults.some((fault) => fault.code === code),
            JSON.stringify(faults),
          );
        },
      ),
    ));

  it('finds frames that were taken out, repeated or reordered inside the durable part', async () => {
    const { storage, writer } = await write(manySteps(3));
    await writer.close();
    const [segment] = await storage.list();
    const bytes = storage.segments.get(segment?.name as string)?.bytes as Buffer;
    const starts: number[] = [];
    for (let at = bytes.indexOf('UFRM'); at >= 0; at = bytes.indexOf('UFRM', at + 1)) starts.push(at);
    const frame = (index: number) => bytes.subarray(starts[index], starts[index + 1]);
    const head = bytes.subarray(0, starts[0]);
    const rest = bytes.subarray(starts[2]);
    for (const altered of [
      [head, frame(1), rest],
      [head, frame(0), frame(0), frame(1), rest],
      [head, frame(1), frame(0), rest],
    ]) {
      const copy = storage.copy();
      copy.segments.set(segment?.name as string, {
        bytes: Buffer.concat(altered),
        synced: Buffer.alloc(0),
        sealed: false,
      });
      assert.equal(await outcome(() => read(copy)), 'JOURNAL_DAMAGED');
      await assert.rejects(openWriter(copy), { code: 'JOURNAL_DAMAGED' });
      assert.ok((await verifyJournal({ storage: copy })).faults.length > 0);
    }
  });

  it('names a sealed segment that was cut, also exactly between two frames', async () => {
    const storage = await manySegments();
    const [first] = await storage.list();
    const { bytes } = storage.segments.get(first?.name as string) as { bytes: Buffer };
    for (const length of [bytes.length - 1, bytes.lastIndexOf('UFRM')]) {
      const copy = storage.copy();
      copy.segments.set(first?.name as string, {
        bytes: bytes.subarray(0, length),
        synced: bytes,
        sealed: true,
      });
      assert.equal(await outcome(() => read(copy)), 'JOURNAL_DAMAGED');
      assert.ok(
        (await verifyJournal({ storage: copy })).faults.some((fault) => fault.segment === first?.name),
      );
    }
  });

  it('cuts garbage after the last commit, also garbage made of its own frames', () =>
    runProperty(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 3000 }),
        fc.boolean(),
        async (noise, ownFrame) => {
          const { storage, writer } = await write(manySteps(3));
          await writer.close();
          const last = (await storage.list()).at(-1) as { name: string; size: number };
          const segment = storage.segments.get(last.name) as { bytes: Buffer };
          const first = segment.bytes.subarray(
            SEGMENT_HEADER_BYTES,
            segment.bytes.indexOf('UFRM', SEGMENT_HEADER_BYTES + 1),
          );
          const garbage = ownFrame ? Buffer.concat([first, noise]) : Buffer.from(noise);
          segment.bytes = Buffer.concat([segment.bytes, garbage]);
          assert.deepEqual(await read(storage), contentOfSteps(manySteps(3)));
          assert.equal((await verifyJournal({ storage })).torn?.bytes, garbage.length);
          const again = await openWriter(storage);
          assert.equal(again.recovery.cutBytes, garbage.length);
          assert.equal((await storage.list()).at(-1)?.size, last.size);
        },
      ),
    ));

  it('refuses a wrong, missing or superfluous key', async () => {
    const encrypted = (await write(manySteps(2), KEY)).storage;
    const open = (key?: Uint8Array) => JournalReader.open({ storage: encrypted, ...(key ? { key } : {}) });
    await assert.rejects(open(), { code: 'JOURNAL_KEY_MISSING' });
    await assert.rejects(open(randomBytes(32)), { code: 'JOURNAL_KEY_WRONG' });
    await assert.rejects(open(randomBytes(16)), { code: 'JOURNAL_KEY_FILE_INVALID' });
    await assert.rejects(openWriter(encrypted), { code: 'JOURNAL_KEY_MISSING' });
    await assert.rejects(openWriter(encrypted, { key: randomBytes(32) }), { code: 'JOURNAL_KEY_WRONG' });
    await assert.rejects(verifyJournal({ storage: encrypted }), { code: 'JOURNAL_KEY_MISSING' });
    const { storage } = await write(manySteps(1));
    await assert.rejects(openWriter(storage, { key: KEY }), { code: 'JOURNAL_NOT_ENCRYPTED' });
  });

  it('stores nothing readable in an encrypted journal, and no nonce twice', async () => {
    const { storage } = await write(manySteps(30), KEY);
    const nonces = new Set<string>();
    let frames = 0;
    for (const { bytes } of storage.segments.values()) {
      assert.equal(bytes.indexOf('account'), -1);
      for (let at = bytes.indexOf('UFRM'); at >= 0; at = bytes.indexOf('UFRM', at + 1)) {
        frames += 1;
        nonces.add(bytes.subarray(at + 56, at + 68).toString('hex'));
      }
    }
    assert.equal(nonces.size, frames);
  });

  it('refuses a frame without encryption in an encrypted journal, as it is', async () => {
    const { storage, writer } = await write([{ bodies: [], records: [{ t: 'account', account: 'a' }] }], KEY);
    await writer.close();
    const { segments } = await loadSegments(storage, KEY);
    const last = segments.at(-1) as Segment;
    const journalId = commonJournalId(segments);
    const { committed, committedTime } = await findTail(storage, journalId, last);
    const payload = Buffer.alloc(200);
    let length = encodeRecord({ t: 'account', account: 'forged' }, payload, 0);
    length = encodeRecord({ t: 'commit', time: committedTime }, payload, length);
    const commitLsn = (committed.nextLsn + 1) as Lsn;
    const frame = {
      firstLsn: committed.nextLsn,
      recordCount: 2,
      rawBytes: length,
      durableLsn: commitLsn,
      commitLsn,
      commitTime: committedTime,
      previousHash: committed.previousHash,
      payload: payload.subarray(0, length),
      zstd: false,
    };
    await storage.append(last.name, last.size, encodeFrame(journalId, frame, undefined).parts);
    const before = storage.segments.get(last.name)?.bytes;
    await assert.rejects(openWriter(storage, { key: KEY }), {
      code: 'JOURNAL_DAMAGED',
      message: /not encrypted/,
    });
    await assert.rejects(read(storage, KEY), { code: 'JOURNAL_DAMAGED', message: /not encrypted/ });
    assert.deepEqual(storage.segments.get(last.name)?.bytes, before);
    const { faults } = await verifyJournal({ storage, key: KEY });
    assert.match(faults[0]?.what ?? '', /not encrypted/);
  });

  it('refuses a segment without encryption among encrypted ones', async () => {
    const steps = [...Array(8).keys()].map(
      (n) => ({ bodies: [randomBytes(900)], records: [{ t: 'account', account: `a${n}` }] }) as Step,
    );
    const { storage, writer } = await write(steps, KEY);
    await writer.close();
    const [first, second] = (await loadSegments(storage, KEY)).segments as [Segment, Segment];
    const { encryption: _, ...header } = second.header;
    const segment = storage.segments.get(second.name);
    assert.ok(segment && first.header.encryption);
    encodeSegmentHeader(header).copy(segment.bytes);
    await assert.rejects(openWriter(storage, { key: KEY }), {
      code: 'JOURNAL_DAMAGED',
      message: /it is not encrypted/,
    });
    await assert.rejects(read(storage, KEY), { code: 'JOURNAL_DAMAGED', message: /it is not encrypted/ });
  });

  it('says that a segment is of a later version also when its header is longer', async () => {
    const { storage, writer } = await write([{ bodies: [], records: [{ t: 'account', account: 'a' }] }]);
    await writer.close();
    const [segment] = storage.segments.values();
    assert.ok(segment);
    const header = Buffer.alloc(400, 7);
    segment.bytes.copy(header, 0, 0, 12);
    header.writeUInt16BE(2, 8);
    header.writeUInt16BE(400, 10);
    hash('sha256', header.subarray(0, 368), 'buffer').copy(header, 368);
    segment.bytes = Buffer.concat([header, segment.bytes.subarray(SEGMENT_HEADER_BYTES)]);
    for (const act of [openWriter(storage), read(storage), verifyJournal({ storage })]) {
      await assert.rejects(act, { code: 'JOURNAL_VERSION_UNKNOWN', message: /format 2/ });
    }
    segment.bytes = segment.bytes.subarray(0, 399);
    await assert.rejects(read(storage), { code: 'JOURNAL_DAMAGED' });
  });

  it('says that a segment is of another version, and does not touch it', async () => {
    const { storage, writer } = await write(manySteps(1));
    await writer.close();
    const [segment] = storage.segments.values();
    const { bytes } = segment as { bytes: Buffer };
    bytes.writeUInt16BE(2, 8);
    await assert.rejects(
      openWriter(storage),
      { code: 'JOURNAL_VERSION_UNKNOWN' },
      'the field alone was changed',
    );
    bytes[20] = (bytes[20] as number) ^ 1;
    await assert.rejects(openWriter(storage), { code: 'JOURNAL_DAMAGED' }, 'more than the field was changed');
    hash('sha256', bytes.subarray(0, 128), 'buffer').copy(bytes, 128);
    await assert.rejects(openWriter(storage), { code: 'JOURNAL_VERSION_UNKNOWN' });
    await assert.rejects(JournalReader.open({ storage }), { code: 'JOURNAL_VERSION_UNKNOWN' });
  });

  it('never lets records that were appended but not committed become visible', async () => {
    const storage = new MemoryStorage();
    const first = await openWriter(storage);
    await appendStep(first, { bodies: [], records: [{ t: 'account', account: 'a' }] });
    for (const record of recordsOf({
      bodies: [randomBytes(3000)],
      records: [{ t: 'account', account: 'lost' }],
    }))
      first.append(record);
    // Long enough for the frames to be written; the writer is then left as a crash leaves it.
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
    const second = await openWriter(storage);
    assert.ok(second.recovery.cutBytes > 3000);
    assert.equal(second.recovery.cutRecords, 1, 'the frame of the body; the rest was never written');
    await appendStep(second, { bodies: [], records: [{ t: 'account', account: 'b' }] });
    const accounts = (await read(storage)).filter((record) => record !== 'commit');
    assert.deepEqual(accounts, [
      { t: 'account', account: 'a' },
      { t: 'account', account: 'b' },
    ]);
  });
});

function manySteps(count: number): Step[] {
  return [...Array(count).keys()].map((index) => ({
    bodies: [Buffer.from(`account ${index} `.repeat(20)), randomLike(index)],
    records: [{ t: 'account', account: `account ${index}` }],
  }));
}

/** Bytes that do not compress, the same for the same number. */
function randomLike(number: number): Buffer {
  const bytes = Buffer.alloc(400);
  let state = number + 1;
  for (let index = 0; index < bytes.length; index++) {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    bytes[index] = state >> 16;
  }
  return bytes;
}

async function manySegments(): Promise<MemoryStorage> {
  const { storage, writer } = await write(manySteps(40));
  await writer.close();
  return storage;
}
