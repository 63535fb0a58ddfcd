/**
 * Goal: kill -9 at any moment loses no acknowledged commit and shows nothing partial. Method: a child appends known steps to one journal and is
 * killed at every named point and at random moments (seed printed); after each, this process reads, verifies and recovers the journal, and
 * the next child goes on with it.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { JournalReader, verifyJournal } from '../../src/journal/index.ts';
import { hasCode } from '../../src/lib/index.ts';
import { RECORDS_PER_STEP, SEGMENT_BYTES, stepNumber } from './crash-steps.ts';
import { contentOf, contentOfSteps, openWriter } from './support.ts';

const POINTS = [
  'journal.create.before-rename',
  'journal.append.before-write',
  'journal.append.after-write',
  'journal.append.before-sync',
  'journal.append.after-sync',
  'journal.seal.before',
  'journal.seal.after-seal',
  'journal.seal.after-create',
  'journal.seal.after',
];
const RANDOM_KILLS = 30;

const root = mkdtempSync(join(tmpdir(), 'understudy-crash-'));
after(() => rmSync(root, { recursive: true }));
const childPath = fileURLToPath(new URL('crash-child.ts', import.meta.url));

interface Run {
  /** Number of the last step that the child acknowledged, if any. */
  readonly acknowledged: number | undefined;
  readonly signal: NodeJS.Signals | null;
}

/** Runs the child; `kill` is given it once it has acknowledged a step. */
function run(folder: string, crashAt?: string, kill?: (child: ChildProcess) => void): Promise<Run> {
  const env = { ...process.env, ...(crashAt ? { UNDERSTUDY_CRASH_AT: crashAt } : {}) };
  const child = spawn(process.execPath, [childPath, folder, '100'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    if (output === '') kill?.(child);
    output += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (_, signal) => {
      const numbers = output.split('\n').filter(Boolean).map(Number);
      assert.deepEqual(
        numbers,
        [...numbers].sort((left, right) => left - right),
        'acknowledged in order',
      );
      resolve({ acknowledged: numbers.at(-1), signal });
    });
  });
}

/** Checks the journal as the crash left it, and again after recovery. @returns the number of steps in it */
async function check(folder: string, acknowledged: number): Promise<number> {
  let reader: JournalReader;
  try {
    reader = await JournalReader.open({ storage: folder });
  } catch (error) {
    assert.ok(hasCode(error, 'JOURNAL_NOT_FOUND') && acknowledged < 0, String(error));
    return 0;
  }
  const content = await contentOf(reader);
  await reader.close();
  assert.equal(content.length % RECORDS_PER_STEP, 0, 'whole steps');
  const steps = content.length / RECORDS_PER_STEP;
  assert.ok(steps > acknowledged, `step ${acknowledged} was acknowledged, ${steps} steps are there`);
  assert.deepEqual(content, contentOfSteps([...Array(steps).keys()].map(stepNumber)));
  const report = await verifyJournal({ storage: folder });
  assert.deepEqual(report.faults, []);

  const writer = await openWriter(folder, { segmentBytes: SEGMENT_BYTES });
  assert.equal(writer.committedLsn, content.length);
  await writer.close();
  const again = await openWriter(folder, { segmentBytes: SEGMENT_BYTES });
  assert.equal(again.recovery.cutBytes, 0, 'the second opening is clean');
  await again.close();
  assert.equal((await verifyJournal({ storage: folder })).torn, undefined);
  return steps;
}

describe('journal after kill -9', () => {
  for (const point of POINTS) {
    it(`keeps every acknowledged commit: ${point}`, async () => {
      const folder = join(root, point);
      let acknowledged = -1;
      for (const pass of [1, 2, 3]) {
        // Only the first run creates the first segment; later ones meet the point when a segment is full.
        const result = await run(folder, `${point}:${point.startsWith('journal.append') ? pass * 3 : pass}`);
        assert.equal(result.signal, 'SIGKILL', 'the point was reached');
        acknowledged = result.acknowledged ?? acknowledged;
        await check(folder, acknowledged);
      }
    });
  }

  it(`keeps every acknowledged commit: ${RANDOM_KILLS} random moments`, async () => {
    const seed = Number(process.env['UNDERSTUDY_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    console.log(`# seed ${seed}`);
    let state = seed;
    const folder = join(root, 'random');
    let acknowledged = -1;
    let killed = 0;
    for (let kill = 0; kill < RANDOM_KILLS; kill++) {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      const delayMs = (state % 400) / 10;
      const result = await run(folder, undefined, (child) =>
        setTimeout(() => child.kill('SIGKILL'), delayMs),
      );
      if (result.signal === 'SIGKILL') killed += 1;
      acknowledged = result.acknowledged ?? acknowledged;
      await check(folder, acknowledged);
    }
    assert.ok(
      killed > RANDOM_KILLS / 2,
      `${killed} of ${RANDOM_KILLS} children were killed before they were done`,
    );
  });
});
