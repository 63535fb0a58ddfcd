/** What the tests of the journal share: random records, random steps, and runs of properties that print their seed. */
import { hash } from 'node:crypto';
import fc from 'fast-check';
import { bodyPieces } from '../../src/journal/body-pieces.ts';
import type { JournalReader } from '../../src/journal/reader.ts';
import type { BodyRecord, JournalRecord, Lsn, MailboxId, StepRecord } from '../../src/journal/records.ts';
import type { SegmentStorage } from '../../src/journal/storage.ts';
import { JournalWriter } from '../../src/journal/writer.ts';
import { silentLog, TestClock } from '../../src/lib/index.ts';

/** Runs a property with a seed that is printed, so that a failure can be repeated: `UNDERSTUDY_SEED=n`. */
export async function runProperty(property: fc.IRawProperty<unknown>, numRuns = 100): Promise<void> {
  const seed = Number(process.env['UNDERSTUDY_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`# seed ${seed}`);
  await fc.assert(property as fc.IAsyncProperty<unknown>, { seed, numRuns, interruptAfterTimeLimit: 20_000 });
}

const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const texts = fc.array(text, { maxLength: 5 });
const uint32 = fc.nat({ max: 0xffffffff });
const int = fc.oneof(uint32, fc.maxSafeNat(), fc.constantFrom(0, 23, 24, 255, 256, 65535, 65536, 2 ** 32));
const id = uint32.map((number) => number as MailboxId);
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const requiredOnly = { noNullPrototype: true } as const;

function record<T extends object>(
  required: { [K in keyof T]: fc.Arbitrary<T[K]> },
  optional: Record<string, fc.Arbitrary<unknown>> = {},
): fc.Arbitrary<JournalRecord> {
  return fc.record(
    { ...required, ...optional },
    { requiredKeys: Object.keys(required) as never[], ...requiredOnly },
  ) as unknown as fc.Arbitrary<JournalRecord>;
}

const is = <const T extends string>(type: T) => fc.constant(type);
const nullableText = fc.option(text, { nil: null });

const stepRecords = [
  record({ t: is('account'), account: text }),
  record({ t: is('account-gone'), account: text }),
  record(
    {
      t: is('mailbox'),
      id,
      account: text,
      name: text,
      delimiter: nullableText,
      uidValidity: uint32,
      specialUse: texts,
      subscribed: fc.boolean(),
    },
    { guid: text },
  ),
  record(
    { t: is('mailbox-change'), id },
    { name: text, delimiter: nullableText, guid: text, specialUse: texts, subscribed: fc.boolean() },
  ),
  record({ t: is('mailbox-gone'), id }),
  record({ t: is('position'), id, uidNext: uint32 }, { highestModSeq: text, complete: fc.boolean() }),
  record(
    { t: is('message'), id, uid: uint32, hash: bytes32, size: int, flags: texts, date: text },
    { guid: text },
  ),
  record({ t: is('flags'), id, uid: uint32, flags: texts }),
  record({ t: is('vanished'), id, uids: text }),
  record({ t: is('set-aside'), id, uid: uint32, code: text, detail: text }),
  record({ t: is('subscriptions'), account: text, names: texts }),
  record(
    { t: is('checkpoint'), cause: fc.constantFrom('operator', 'pass', 'burst') },
    { label: text, account: text },
  ),
];

export const arbitraryStepRecord = fc.oneof(...stepRecords) as fc.Arbitrary<StepRecord>;
export const arbitraryRecord = fc.oneof(
  ...stepRecords,
  record({ t: is('control'), topic: text, id: text, data: text }, { more: fc.boolean() }),
  record({ t: is('commit'), time: int }),
  record({ t: is('body'), hash: bytes32, size: int, at: int, data: fc.uint8Array({ maxLength: 300 }) }),
);

/** One commit: bodies, then records. */
export interface Step {
  readonly bodies: readonly Uint8Array[];
  readonly records: readonly StepRecord[];
}

/** Bodies of several sizes and kinds: empty, text that compresses, noise that does not. */
const arbitraryBody = fc.oneof(
  fc.uint8Array({ maxLength: 400 }),
  fc.tuple(text, fc.nat({ max: 300 })).map(([line, times]) => Buffer.from(`${line}\r\n`.repeat(times))),
);

export const arbitrarySteps = fc.array(
  fc.record({
    bodies: fc.array(arbitraryBody, { maxLength: 4 }),
    records: fc.array(arbitraryStepRecord, { maxLength: 5 }),
  }),
  { maxLength: 12 },
);

/** Comparable by `deepEqual`: byte strings as hexadecimal digits. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]));
  }
  return value;
}

/** Small frames and segments, so that short tests meet many of both. */
export function openWriter(
  storage: SegmentStorage | string,
  options: { key?: Uint8Array; clock?: TestClock; frameBytes?: number; segmentBytes?: number } = {},
): Promise<JournalWriter> {
  return JournalWriter.open({
    storage,
    clock: new TestClock(),
    log: silentLog,
    frameBytes: 1000,
    segmentBytes: 4000,
    ...options,
  });
}

export function recordsOf(step: Step): (BodyRecord | StepRecord)[] {
  const bodies = step.bodies.flatMap((data) => [...bodyPieces(hash('sha256', data, 'buffer'), data)]);
  return [...bodies, ...step.records];
}

export function appendStep(writer: JournalWriter, step: Step): Promise<{ lsn: Lsn; time: number }> {
  for (const record of recordsOf(step)) writer.append(record);
  return writer.commit();
}

/** All records that a reader sees, commits' times left out, and the LSNs checked to have no gap. */
export async function contentOf(reader: JournalReader, fromLsn = 1): Promise<unknown[]> {
  const content: unknown[] = [];
  let expected = fromLsn;
  for await (const { lsn, record } of reader.entries(fromLsn as Lsn)) {
    if (lsn !== expected) throw new Error(`LSN ${lsn} where ${expected} was expected`);
    expected += 1;
    content.push(record.t === 'commit' ? 'commit' : plain(record));
  }
  return content;
}

/** What `contentOf` gives after these steps. */
export function contentOfSteps(steps: readonly Step[]): unknown[] {
  return steps.flatMap((step) => [...recordsOf(step).map(plain), 'commit']);
}
