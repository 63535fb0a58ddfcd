/** Goal: records and bodies are found from any LSN, while another writes. Method: a journal of many small frames and segments. */
import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { appendStep, contentOf, openWriter, plain } from '../../tests/journal/support.ts';
import { bodyPieces } from './body-pieces.ts';
import { MemoryStorage } from './memory-storage.ts';
import { JournalReader } from './reader.ts';
import { BODY_PIECE_BYTES, type Lsn } from './records.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import type { SegmentStorage } from './storage.ts';
import type { FrameLocation } from './writer.ts';

async function journal(segmentBytes = 4_000) {
  const storage = new MemoryStorage();
  const writer = await openWriter(storage, { segmentBytes });
  const frames: FrameLocation[] = [];
  writer.onFrame = (frame) => frames.push(frame);
  const bodies = new Map<Lsn, Buffer>();
  for (let index = 0; index < 40; index++) {
    const body = index === 20 ? randomBytes(BODY_PIECE_BYTES * 2 + 7) : randomBytes(index * 37);
    const lsns = [...bodyPieces(hash('sha256', body, 'buffer'), body)].map((piece) => writer.append(piece));
    bodies.set(lsns[0] as Lsn, body);
    await appendStep(writer, { bodies: [], records: [{ t: 'account', account: `a${index}` }] });
  }
  return { storage, writer, frames, bodies };
}

describe('journal reader', () => {
  it('makes durable what a killed writer left in the page cache alone, before anything is built on it', async () => {
    const { storage } = await journal();
    const killed = storage.copy();
    // Written, and killed before the sync.
    for (const segment of killed.segments.values())
      if (!segment.sealed) segment.synced = segment.synced.subarray(0, SEGMENT_HEADER_BYTES);
    const before = (await killed.list()).map(({ name, size }) => ({ name, size }));
    const reader = await JournalReader.open({ storage: killed });
    const { committedLsn } = reader;
    assert.notEqual(
      (await JournalReader.open({ storage: killed.afterPowerCut(() => 0) })).committedLsn,
      committedLsn,
    );
    const rewritten: number[] = [];
    const rewrite = killed.rewrite.bind(killed);
    killed.rewrite = (name, offset, bytes) => {
      rewritten.push(bytes.length);
      return rewrite(name, offset, bytes);
    };
    await reader.makeDurable();
    assert.ok(rewritten.length > 0, 'after a failed sync the page cache looks clean and is not');
    assert.equal(
      (await JournalReader.open({ storage: killed.afterPowerCut(() => 0) })).committedLsn,
      committedLsn,
    );
    assert.deepEqual(
      (await killed.list()).map(({ name, size }) => ({ name, size })),
      before,
    );
  });

  it('gives each body by its LSN, with a hint, without, and with wrong ones', async () => {
    const { storage, writer, frames, bodies } = await journal();
    const reader = await JournalReader.open({ storage });
    const readerOfHints = await JournalReader.open({ storage });
    for (const [lsn, body] of [...bodies].reverse()) {
      assert.ok((await reader.body(lsn)).equals(body));
      const hint = frames.find((frame) => frame.firstLsn <= lsn && frame.lastLsn >= lsn);
      assert.ok((await readerOfHints.body(lsn, hint)).equals(body));
      for (const wrong of [
        frames[0],
        { segment: 'gone.seg', offset: 5 },
        { segment: frames[0]?.segment ?? '', offset: 3 },
      ]) {
        assert.ok((await readerOfHints.body(lsn, wrong)).equals(body));
      }
    }
    await writer.close();
  });

  it('finds the end from any frame that it is told of, and reads only what follows', async () => {
    const { storage, writer, frames } = await journal(1 << 30);
    const { committedLsn, committedTime } = await JournalReader.open({ storage });
    let first = Number.POSITIVE_INFINITY;
    const watched: SegmentStorage = Object.assign(Object.create(storage), {
      read(name: string, offset: number, length: number) {
        if (offset > 0) first = Math.min(first, offset);
        return storage.read(name, offset, length);
      },
    });
    const last = frames.at(-1) as FrameLocation;
    const wrong = [
      { segment: 'gone.seg', offset: 5 },
      { segment: last.segment, offset: 3 },
    ];
    for (const near of [...wrong, ...frames]) {
      first = Number.POSITIVE_INFINITY;
      const reader = await JournalReader.open({ storage: watched, near });
      const found = [reader.committedLsn, reader.committedTime];
      assert.deepEqual(found, [committedLsn, committedTime], JSON.stringify(near));
    }
    assert.equal(first, last.offset);
    await appendStep(writer, { bodies: [], records: [{ t: 'account', account: 'later' }] });
    assert.equal((await JournalReader.open({ storage, near: last })).committedLsn, writer.committedLsn);
    await writer.close();
  });

  it('gives entries from any LSN to any other', async () => {
    const { storage, writer } = await journal();
    const reader = await JournalReader.open({ storage });
    const all = await contentOf(reader);
    for (let from = 1; from <= all.length; from += 3) {
      assert.deepEqual(await contentOf(reader, from), all.slice(from - 1));
      const some = [];
      for await (const { lsn } of reader.entries(from as Lsn, (from + 4) as Lsn)) some.push(lsn);
      assert.deepEqual(
        some,
        [0, 1, 2, 3, 4].map((more) => from + more).filter((lsn) => lsn <= all.length),
      );
    }
    const beyond = [];
    for await (const entry of reader.entries((all.length + 1) as Lsn)) beyond.push(plain(entry));
    assert.deepEqual(beyond, []);
    await writer.close();
  });

  it('gives the frames that the writer reported, with their entries', async () => {
    const { storage, writer, frames } = await journal();
    await writer.close();
    const reader = await JournalReader.open({ storage });
    const read = [];
    for await (const { entries, ...location } of reader.frames(1 as Lsn)) {
      assert.equal(entries[0]?.lsn, location.firstLsn);
      assert.equal(entries.at(-1)?.lsn, location.lastLsn);
      read.push(location);
    }
    assert.deepEqual(read, frames);
    const info = await reader.info();
    assert.equal(info.lastLsn, writer.committedLsn);
    assert.ok(info.segments.length > 3);
    assert.deepEqual(info.segments.map((segment) => segment.sealed).indexOf(false), info.segments.length - 1);
  });

  it('sees what another commits when it is refreshed, across new segments, and never what is not committed', async () => {
    const storage = new MemoryStorage();
    const writer = await openWriter(storage);
    const reader = await JournalReader.open({ storage });
    assert.equal(reader.committedLsn, 0);
    for (let index = 0; index < 60; index++) {
      const { lsn } = await appendStep(writer, { bodies: [randomBytes(200)], records: [] });
      writer.append({ t: 'body', hash: Buffer.alloc(32), size: 2000, at: 0, data: Buffer.alloc(2000) });
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(await reader.refresh(), lsn);
      await writer.commit();
    }
    await reader.refresh();
    assert.equal((await contentOf(reader)).length, writer.committedLsn);
    await writer.close();
    await reader.refresh();
    assert.equal(reader.committedLsn, writer.committedLsn);
  });

  it('follows a journal whose end was cut and written anew', async () => {
    const storage = new MemoryStorage();
    const writer = await openWriter(storage, { segmentBytes: 1 << 20 });
    await appendStep(writer, { bodies: [], records: [{ t: 'account', account: 'kept' }] });
    const cutAt = (await storage.list())[0]?.size as number;
    await appendStep(writer, { bodies: [], records: [{ t: 'account', account: 'seen, then lost' }] });
    const reader = await JournalReader.open({ storage });
    assert.equal(reader.committedLsn, 4);
    assert.equal((await contentOf(reader)).length, 4);
    await storage.truncate('0000000000000001.seg', cutAt);
    assert.equal(await reader.refresh(), 2);
    const again = await openWriter(storage);
    await appendStep(again, {
      bodies: [],
      records: [
        { t: 'account', account: 'x' },
        { t: 'account', account: 'y' },
      ],
    });
    assert.equal(await reader.refresh(), 5);
    assert.deepEqual((await contentOf(reader)).slice(2, 4), [
      { t: 'account', account: 'x' },
      { t: 'account', account: 'y' },
    ]);
    await again.close();
  });

  it('says so when an LSN is unknown or no body, and when there is no journal', async () => {
    const { storage, writer } = await journal();
    const reader = await JournalReader.open({ storage });
    await assert.rejects(reader.body(2 as Lsn), { code: 'JOURNAL_NOT_A_BODY' });
    await assert.rejects(reader.body(1_000_000 as Lsn), { code: 'JOURNAL_LSN_UNKNOWN' });
    await assert.rejects(reader.locate(0 as Lsn), { code: 'JOURNAL_LSN_UNKNOWN' });
    await assert.rejects(JournalReader.open({ storage: new MemoryStorage() }), { code: 'JOURNAL_NOT_FOUND' });
    await writer.close();
  });
});
