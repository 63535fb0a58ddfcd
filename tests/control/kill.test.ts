/**
 * Goal: what the control journal has acknowledged is there after `kill -9` anywhere in an append, in order and whole, an entry of many records as
 * much as a short one; and a tail that was torn by a loss of power is cut where the last commit ends. Method: a child appends numbered entries and is
 * killed at every named point of several passes; the last append is cut at many lengths.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { ControlJournal, ControlReader, type ControlView } from '../../src/control/index.ts';
import { verifyJournal } from '../../src/journal/index.ts';
import { Random, silentLog, systemClock } from '../../src/lib/index.ts';
import { temporaryDirectory } from '../lab/temp.ts';
import { entryOf, TOPIC } from './control-entries.ts';

const POINTS = [
  'journal.create.before-rename',
  'journal.append.before-write',
  'journal.append.after-write',
  'journal.append.before-sync',
  'journal.append.after-sync',
];
const PASSES = [1, 4];

const seed = process.env['UNDERSTUDY_SEED'] ?? String(Math.floor(Math.random() * 1e9));
console.log(`# UNDERSTUDY_SEED=${seed}`);

test('killed anywhere in an append: every acknowledged entry is there, whole and in order', async (t) => {
  const folder = temporaryDirectory('control');
  t.after(() => folder.remove());
  const dir = join(folder.path, 'control');
  let acknowledged = 0;
  for (const point of POINTS) {
    for (const pass of PASSES) {
      const { numbers, signal } = await child(dir, 12, `${point}:${pass}`);
      const isOnce = point === 'journal.create.before-rename';
      if (!isOnce || (pass === 1 && acknowledged === 0)) assert.equal(signal, 'SIGKILL', `${point}:${pass}`);
      acknowledged = Math.max(acknowledged, ...numbers.map((number) => number + 1));
      acknowledged = await assertWhole(dir, acknowledged, `${point}:${pass}`);
    }
  }
  assert.ok(acknowledged > 20, `${acknowledged} entries`);
});

test('a torn tail is cut where the last commit ends, and what comes next is kept', async (t) => {
  const folder = temporaryDirectory('control');
  t.after(() => folder.remove());
  const dir = join(folder.path, 'control');
  await child(dir, 8);
  const before = statSync(segmentOf(dir)).size;
  const kept = (await readNumbers(dir)).length;
  const journal = await open(dir);
  const { id, data } = entryOf(kept);
  await journal.append(TOPIC, id, data);
  // Closing adds that it is durable.
  const after = statSync(segmentOf(dir)).size;
  await journal.close();
  assert.ok(after > before + 100, 'the last entry has a length that can be cut');

  const random = new Random(seed);
  const cuts = [
    before + 1,
    after - 1,
    ...Array.from({ length: 12 }, () => random.integer(before, after - 1)),
  ];
  for (const [at, cut] of cuts.entries()) {
    const torn = join(folder.path, `torn-${at}`);
    cpSync(dir, torn, { recursive: true });
    truncateSync(segmentOf(torn), cut);
    // Some file systems give zeros for what was not written.
    if (at % 2 === 1) {
      const bytes = readFileSync(segmentOf(torn));
      writeFileSync(segmentOf(torn), Buffer.concat([bytes, Buffer.alloc(after - cut)]));
    }
    assert.deepEqual(await readNumbers(torn), upTo(kept), `beside nobody, cut at ${cut - before}`);
    const again = await open(torn);
    assert.deepEqual(numbersIn(again), upTo(kept), `cut at ${cut - before}`);
    const next = entryOf(kept);
    await again.append(TOPIC, next.id, next.data);
    await again.close();
    assert.deepEqual(await readNumbers(torn), upTo(kept + 1));
    const { faults } = await verifyJournal({ storage: join(torn, 'journal') });
    assert.deepEqual(faults, []);
  }
});

interface Run {
  readonly numbers: readonly number[];
  readonly signal: NodeJS.Signals | null;
}

function child(dir: string, count: number, crashAt?: string): Promise<Run> {
  const running = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, 'control-child.ts'),
      dir,
      String(count),
    ],
    {
      env: { ...process.env, ...(crashAt === undefined ? {} : { UNDERSTUDY_CRASH_AT: crashAt }) },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let output = '';
  running.stdout.on('data', (chunk) => {
    output += chunk;
  });
  return new Promise((resolve, reject) => {
    running.on('error', reject);
    running.on('close', (_, signal) =>
      resolve({ numbers: output.split('\n').filter(Boolean).map(Number), signal }),
    );
  });
}

/** By a reader, then by the next writer, which recovers it. Gives how many entries there are. */
async function assertWhole(dir: string, acknowledged: number, when: string): Promise<number> {
  const read = await readNumbers(dir);
  assert.deepEqual(read, upTo(read.length), when);
  assert.ok(read.length >= acknowledged, `${when}: ${acknowledged} acknowledged, ${read.length} there`);
  const journal = await open(dir);
  assert.deepEqual(numbersIn(journal), read, `${when}: the writer knows what a reader knew`);
  await journal.close();
  const { faults } = await verifyJournal({ storage: join(dir, 'journal') });
  assert.deepEqual(faults, [], when);
  return read.length;
}

function open(dir: string): Promise<ControlJournal> {
  return ControlJournal.open({ dir, clock: systemClock, log: silentLog });
}

async function readNumbers(dir: string): Promise<number[]> {
  const reader = await ControlReader.open({ dir });
  try {
    return numbersIn(reader);
  } finally {
    await reader.close();
  }
}

/** In their order; each as it was written, to the last character. */
function numbersIn(view: ControlView): number[] {
  return [...view.entries(TOPIC)].map(({ id, data }) => {
    const { number } = data as { readonly number: number };
    assert.deepEqual({ id, data }, entryOf(number));
    return number;
  });
}

function upTo(count: number): number[] {
  return [...Array(count).keys()];
}

function segmentOf(dir: string): string {
  const folder = join(dir, 'journal');
  const [last] = readdirSync(folder)
    .filter((name) => name.endsWith('.seg'))
    .sort()
    .reverse();
  assert.ok(last);
  return join(folder, last);
}
