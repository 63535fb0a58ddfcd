/**
 * Goal: a vault survives `kill -9` anywhere. Method: a child fills it and is killed, at every named point of the catalog and at
 * random moments; then it is opened again, must hold every commit that the child saw resolve, and its catalog must be the one
 * that a rebuild from the journal gives.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { rebuildCatalog, Vault, VaultReader, vaultFiles } from '../../src/catalog/index.ts';
import { dumpTables } from '../../src/catalog/testing.ts';
import type { MailboxId } from '../../src/journal/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';
import { temporaryDirectory } from '../lab/temp.ts';

const clock = systemClock;
const childFile = join(import.meta.dirname, 'crash-child.ts');

/** Runs the child until it dies; gives the commits it saw. `killAfter`: lines after which it is killed from outside. */
async function runChild(
  mode: 'fill' | 'rebuild',
  dir: string,
  crashAt: string | undefined,
  killAfter = Infinity,
) {
  const env = { ...process.env, ...(crashAt === undefined ? {} : { UNDERSTUDY_CRASH_AT: crashAt }) };
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', childFile, mode, dir], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  let lines = 0;
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
    lines += piece.split('\n').length - 1;
    if (lines >= killAfter) child.kill('SIGKILL');
  });
  const signal = await new Promise<string | null>((done) => child.on('close', (_, by) => done(by)));
  const seen = text
    .slice(0, text.lastIndexOf('\n') + 1)
    .trim()
    .split('\n')
    .filter(Boolean);
  return { signal, seen: seen.map((line) => line.split(' ').map(Number) as [MailboxId, number]) };
}

async function check(dir: string, seen: readonly [MailboxId, number][]): Promise<void> {
  const reader = await VaultReader.open({ dir, clock });
  assert.equal(reader.catalog.appliedLsn, reader.journal.committedLsn, 'a reader brings the catalog up');
  await reader.close();
  const vault = await Vault.open({ dir, clock, log: silentLog });
  const removed = new Set<string>();
  for (const { mailboxId } of vault.catalog.removals({ limit: 100_000 })) removed.add(`${mailboxId}`);
  for (const [id, uid] of seen) {
    const at = vault.catalog.summary(id, uid);
    if (at)
      assert.deepEqual(
        (await vault.body(at.bodyLsn)).subarray(0, 9),
        Buffer.from(`Subject: ${id} ${uid}`).subarray(0, 9),
      );
    else
      assert.ok(
        uid % 5 === 1 && removed.has(`${id}`),
        `message ${uid} of mailbox ${id} was committed and is not there`,
      );
  }
  await vault.close();
  const live = dumpTables(vaultFiles(dir).catalog);
  await rebuildCatalog({ dir, clock });
  assert.deepEqual(dumpTables(vaultFiles(dir).catalog), live);
}

for (const point of [
  'vault.apply.before:3',
  'vault.apply.after:3',
  'vault.apply.before:40',
  'vault.apply.after:40',
]) {
  test(`killed at ${point}`, async (t) => {
    const dir = temporaryDirectory('crash', t).path;
    const { signal, seen } = await runChild('fill', dir, point);
    assert.equal(signal, 'SIGKILL');
    await check(dir, seen);
  });
}

test('killed at random moments, again and again', async (t) => {
  const dir = temporaryDirectory('crash', t).path;
  const all: [MailboxId, number][] = [];
  for (const killAfter of [1, 20, 333, 90, 700]) {
    const { signal, seen } = await runChild('fill', dir, undefined, killAfter);
    assert.equal(signal, 'SIGKILL');
    all.push(...seen);
    await check(dir, all);
  }
});

for (const point of ['catalog.fold.batch', 'catalog.rebuild.before-rename', 'catalog.rebuild.between']) {
  test(`a rebuild killed at ${point} is finished by the next, or by opening the vault`, async (t) => {
    const dir = temporaryDirectory('crash', t).path;
    const { seen } = await runChild('fill', dir, undefined, 500);
    await check(dir, seen);
    const before = dumpTables(vaultFiles(dir).catalog);
    assert.equal((await runChild('rebuild', dir, point)).signal, 'SIGKILL');
    await (await Vault.open({ dir, clock, log: silentLog })).close();
    assert.deepEqual(dumpTables(vaultFiles(dir).catalog), before);
    // It goes on with what the first one left, so it may be through before it meets the point.
    await runChild('rebuild', dir, point);
    rmSync(vaultFiles(dir).catalog, { force: true });
    await rebuildCatalog({ dir, clock });
    assert.deepEqual(dumpTables(vaultFiles(dir).catalog), before);
  });
}

test('a vault held by a process that lives is refused with its number; killed, it is free at once', async (t) => {
  const dir = temporaryDirectory('crash', t).path;
  let refusal: unknown;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', childFile, 'fill', dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((ready) => child.stdout.once('data', ready));
  child.stdout.resume();
  await Vault.open({ dir, clock, log: silentLog }).catch((error: unknown) => {
    refusal = error;
  });
  assert.match(String(refusal), new RegExp(`in use by process ${child.pid}`));
  const reader = await VaultReader.open({ dir, clock });
  assert.ok(reader.catalog.appliedLsn > 0);
  await reader.close();
  child.kill('SIGKILL');
  await new Promise((done) => child.on('close', done));
  await (await Vault.open({ dir, clock, log: silentLog })).close();
});
