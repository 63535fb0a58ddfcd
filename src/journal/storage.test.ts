/** The contract of the storage port, run against every adapter. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { FaultyStorage } from './faulty-storage.ts';
import { localStorage } from './local-storage.ts';
import { MemoryStorage } from './memory-storage.ts';
import type { SegmentStorage } from './storage.ts';

const root = mkdtempSync(join(tmpdir(), 'understudy-storage-'));
after(() => rmSync(root, { recursive: true }));
let folders = 0;
const newFolder = () => join(root, `not-made-yet-${++folders}`, 'journal');

const adapters: Record<string, () => SegmentStorage> = {
  local: () => localStorage(newFolder()),
  memory: () => new MemoryStorage(),
  'faulty, without faults': () => new FaultyStorage(new MemoryStorage()),
};

for (const [adapter, make] of Object.entries(adapters)) {
  describe(`segment storage, ${adapter}`, () => {
    const header = Buffer.from('header');

    it('has no segments before the first is created', async () => {
      const storage = make();
      assert.deepEqual(await storage.list(), []);
      await storage.tidy();
      await storage.close();
    });

    it('lists segments by name with size and seal', async () => {
      const storage = make();
      await storage.create('0b.seg', header);
      await storage.create('0a.seg', header);
      await storage.append('0a.seg', 6, [Buffer.from('12'), Buffer.alloc(0), Buffer.from('3')]);
      await storage.seal('0a.seg');
      await storage.seal('0a.seg');
      assert.deepEqual(await storage.list(), [
        { name: '0a.seg', size: 9, sealed: true },
        { name: '0b.seg', size: 6, sealed: false },
      ]);
      assert.equal(await storage.size('0a.seg'), 9);
      await storage.close();
    });

    it('does not create a segment twice', async () => {
      const storage = make();
      await storage.create('0a.seg', header);
      await assert.rejects(storage.create('0a.seg', Buffer.from('other')), { code: 'EEXIST' });
      assert.equal(String(await storage.read('0a.seg', 0, 100)), 'header');
      await storage.close();
    });

    it('reads ranges, fewer bytes at the end and none beyond', async () => {
      const storage = make();
      await storage.create('0a.seg', header);
      await storage.append('0a.seg', 6, [Buffer.from('0123456789')]);
      await storage.sync('0a.seg');
      assert.equal(String(await storage.read('0a.seg', 6, 3)), '012');
      assert.equal(String(await storage.read('0a.seg', 14, 10)), '89');
      assert.equal((await storage.read('0a.seg', 100, 10)).length, 0);
      await storage.close();
    });

    it('cuts a segment, also a sealed one, and appends after the cut', async () => {
      const storage = make();
      await storage.create('0a.seg', header);
      await storage.append('0a.seg', 6, [Buffer.from('0123456789')]);
      await storage.seal('0a.seg');
      await storage.truncate('0a.seg', 8);
      assert.deepEqual(await storage.list(), [{ name: '0a.seg', size: 8, sealed: false }]);
      await storage.append('0a.seg', 8, [Buffer.from('x')]);
      await storage.rewrite('0a.seg', 6, Buffer.from('01'));
      assert.equal(String(await storage.read('0a.seg', 0, 100)), 'header01x');
      await storage.close();
    });

    it('can be used again after close, and closed again', async () => {
      const storage = make();
      await storage.create('0a.seg', header);
      await storage.close();
      await storage.append('0a.seg', 6, [Buffer.from('!')]);
      assert.equal(String(await storage.read('0a.seg', 0, 100)), 'header!');
      await storage.close();
      await storage.close();
    });

    it('says ENOENT of a segment that is not there', async () => {
      const storage = make();
      await storage.create('0a.seg', header);
      await assert.rejects(storage.read('0c.seg', 0, 1), { code: 'ENOENT' });
      await assert.rejects(storage.append('0c.seg', 0, [header]), { code: 'ENOENT' });
      await storage.close();
    });
  });
}

describe('segment storage, local: what only files have', () => {
  it('seals with mode 0444, keeps others out of active ones, and clears what an interrupted create left', async () => {
    const folder = newFolder();
    const storage = localStorage(folder);
    await storage.create('0a.seg', Buffer.from('header'));
    assert.equal(statSync(join(folder, '0a.seg')).mode & 0o007, 0);
    await storage.seal('0a.seg');
    assert.equal(statSync(join(folder, '0a.seg')).mode & 0o777, 0o444);
    writeFileSync(join(folder, '0b.seg.new'), 'half');
    assert.equal((await storage.list()).length, 1);
    await storage.tidy();
    assert.deepEqual(readdirSync(folder), ['0a.seg']);
    chmodSync(join(folder, '0a.seg'), 0o644);
    await storage.close();
  });

  it('reads from more segments than it keeps open', async () => {
    const storage = localStorage(newFolder());
    const names = [...Array(40).keys()].map((index) => `${String(index).padStart(2, '0')}.seg`);
    for (const name of names) await storage.create(name, Buffer.from(name));
    const read = await Promise.all(names.map((name) => storage.read(name, 0, 100)));
    assert.deepEqual(read.map(String), names);
    await storage.close();
  });
});
