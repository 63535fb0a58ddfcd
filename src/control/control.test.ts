/** Goal: what the control journal has acknowledged is there, whoever looks and whatever was killed; and two never write it. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { temporaryDirectory } from '../../tests/lab/temp.ts';
import type { Config } from '../config/index.ts';
import { verifyJournal } from '../journal/index.ts';
import { systemClock as clock, silentLog } from '../lib/index.ts';
import { actingServer, ControlJournal, ControlReader, rolesOf, setRoles } from './index.ts';

const folder = temporaryDirectory('control');
after(() => folder.remove());
const options = (name: string) => ({ dir: join(folder.path, name), clock, log: silentLog });
const said = (view: ControlReader | ControlJournal, topic?: string, id?: string) =>
  [...view.entries(topic, id)].map((entry) => entry.data);

test('entries are read back in order, by topic and by id, by the writer, after it, and beside it', async () => {
  const journal = await ControlJournal.open(options('order'));
  const reader = await ControlReader.open({ dir: journal.dir });
  await Promise.all([1, 2, 3].map((n) => journal.append('plan', n === 2 ? 'b' : 'a', { n })));
  await journal.append('roles', 'a', null);
  assert.deepEqual(said(journal, 'plan'), [{ n: 1 }, { n: 2 }, { n: 3 }]);
  assert.deepEqual(said(reader), [], 'a reader sees what was there when it last looked');
  await reader.refresh();
  assert.deepEqual(said(reader, 'plan', 'a'), [{ n: 1 }, { n: 3 }]);
  assert.equal(reader.hasWriter, true);
  await journal.append('plan', 'c', {});
  await reader.refresh();
  assert.equal(said(reader).length, 5);
  await journal.close();
  assert.equal(reader.hasWriter, false);
  await reader.close();
  const again = await ControlJournal.open(options('order'));
  assert.deepEqual(said(again, undefined, 'a'), [{ n: 1 }, { n: 3 }, null]);
  await again.close();
});

test('where there is no control journal a reader finds nothing and makes nothing', async () => {
  const reader = await ControlReader.open({ dir: join(folder.path, 'none') });
  assert.deepEqual(said(reader), []);
  const journal = await ControlJournal.open(options('none'));
  await journal.append('plan', 'a', 1);
  await reader.refresh();
  assert.deepEqual(said(reader), [1]);
  await reader.close();
  await journal.close();
});

test('a second writer is refused and told who has it', async () => {
  const journal = await ControlJournal.open(options('locked'));
  await assert.rejects(ControlJournal.open(options('locked')), {
    code: 'CONTROL_LOCKED',
    message: new RegExp(`process ${process.pid}`),
  });
  await journal.close();
});

test('a disk that is full when the lock is taken is called full, not forbidden', async (t) => {
  t.mock.method(fs, 'writeFileSync', () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  await assert.rejects(ControlJournal.open(options('full')), {
    code: 'CONTROL_STORAGE_FAILED',
    retry: 'later',
  });
});

test('an entry of many MB is one entry, whatever characters it has, and the journal is whole', async () => {
  const journal = await ControlJournal.open(options('large'));
  const value = Array.from({ length: 20_000 }, (_, n) => `uid=${n},ou=Ä😀 people,dc=example`.repeat(3));
  await journal.append('plan-memory', 'a', { value });
  await journal.append('plan', 'a', 'after');
  assert.deepEqual(said(journal), [{ value }, 'after']);
  await journal.close();
  const reader = await ControlReader.open({ dir: journal.dir });
  assert.deepEqual(said(reader), [{ value }, 'after']);
  await reader.close();
  const { ok, commits } = await verifyJournal({ storage: join(journal.dir, 'journal') });
  assert.deepEqual({ ok, commits }, { ok: true, commits: 2 });
});

test('with a key nothing is readable without it', async () => {
  const key = Buffer.alloc(32, 7);
  const journal = await ControlJournal.open({ ...options('secret'), key });
  await journal.append('plan', 'a', 'x');
  await journal.close();
  await assert.rejects(ControlReader.open({ dir: journal.dir }), { code: 'JOURNAL_KEY_MISSING' });
  const reader = await ControlReader.open({ dir: journal.dir, key });
  assert.deepEqual(said(reader), ['x']);
  await reader.close();
});

test('who acts: the configuration until a plan says otherwise; of other servers nothing counts', async () => {
  const config = (live: string, standby: string) =>
    ({ pairs: { p: { live, standby } } }) as unknown as Config;
  const journal = await ControlJournal.open(options('roles'));
  assert.equal(actingServer(config('a', 'b'), journal, 'p'), 'a');
  await setRoles(journal, { pair: 'p', acting: 'b', former: 'a', since: 5, plan: '20260101-0000' });
  assert.equal(rolesOf(config('a', 'b'), journal, 'p').acting, 'b');
  assert.equal(rolesOf(config('a', 'c'), journal, 'p').acting, 'a');
  await journal.close();
});
