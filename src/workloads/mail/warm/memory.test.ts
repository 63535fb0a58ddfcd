/** Goal: what is remembered of a standby is what was written, and a file of an earlier shape is begun anew. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { temporaryDirectory } from '../../../../tests/lab/temp.ts';
import type { Lsn } from '../../../journal/index.ts';
import { WarmMemory } from './memory.ts';

const KEY = { journalId: 'j', target: 'mail-b 127.0.0.1:143' };

test('accounts apart are those of the last time', (t) => {
  const file = join(temporaryDirectory('warm', t).path, 'warm.sqlite');
  const memory = WarmMemory.open(file, KEY);
  const apart = [
    { account: 'alice', filled: false },
    { account: 'bob', filled: true },
  ];
  memory.applied(7 as Lsn, apart);
  assert.deepEqual(WarmMemory.peek(file, KEY)?.apart, apart);
  memory.applied(8 as Lsn, apart.slice(1));
  memory.close();
  const again = WarmMemory.open(file, KEY);
  t.after(() => again.close());
  assert.deepEqual([again.read().appliedLsn, again.read().apart], [8, apart.slice(1)]);
  again.beginFill(9 as Lsn);
  assert.deepEqual(again.read().apart, []);
});

test('of a file without accounts apart nothing counts: its LSN may have stood still for weeks', (t) => {
  const file = join(temporaryDirectory('warm', t).path, 'warm.sqlite');
  const db = new DatabaseSync(file);
  db.exec(
    `CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
     CREATE TABLE filled (account TEXT PRIMARY KEY) WITHOUT ROWID;
     CREATE TABLE held (account TEXT PRIMARY KEY, at_lsn, removed, of_messages, since, released) WITHOUT ROWID;
     CREATE TABLE passed (account TEXT PRIMARY KEY, lsn) WITHOUT ROWID;
     INSERT INTO meta VALUES ('schema', '1'), ('journal_id', 'j'), ('target', 'mail-b 127.0.0.1:143'), ('applied_lsn', 5);`,
  );
  db.close();
  assert.equal(WarmMemory.peek(file, KEY), undefined);
  const memory = WarmMemory.open(file, KEY);
  t.after(() => memory.close());
  memory.beginFill(9 as Lsn);
  assert.deepEqual(memory.read(), { fillLsn: 9, filled: new Set(), held: [], passed: new Map(), apart: [] });
});
