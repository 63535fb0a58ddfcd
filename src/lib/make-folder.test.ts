import assert from 'node:assert/strict';
import fs, { existsSync, mkdtempSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeFolder } from './make-folder.ts';

const root = mkdtempSync(join(tmpdir(), 'understudy-test-folder-'));
after(() => rmSync(root, { recursive: true }));

test('a folder and those above it are made, and making it again changes nothing', () => {
  makeFolder(join(root, 'a/b/c'), 0o700);
  makeFolder(join(root, 'a/b/c'), 0o755);
  assert.equal(statSync(join(root, 'a/b/c')).mode & 0o777, 0o700);
});

test('every folder above one that was made is synced, so that its name survives a power cut', (t) => {
  const synced: string[] = [];
  t.mock.method(fs, 'fsyncSync', (handle: number) => {
    synced.push(readlinkSync(`/proc/self/fd/${handle}`));
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  makeFolder(join(root, 'd/e/f'), 0o700);
  assert.deepEqual(synced, [root, join(root, 'd'), join(root, 'd/e')]);
  makeFolder(join(root, 'd/e/f'), 0o700);
  assert.equal(synced.length, 3, 'where nothing is made there is nothing to sync');
});

test('a file in the way is an error', () => {
  writeFileSync(join(root, 'file'), '');
  assert.throws(() => makeFolder(join(root, 'file/below'), 0o700), { code: 'EEXIST' });
});

test('a file system that takes no folders is an error, not an endless try', {
  skip: existsSync('/proc/self') ? false : 'no procfs here',
}, () => {
  assert.throws(() => makeFolder('/proc/understudy/vault', 0o700), { code: 'ENOENT' });
});
