/** Appends the known steps to the journal in the folder given, and prints the number of each when its commit has resolved. */
import { writeSync } from 'node:fs';
import { JournalWriter } from '../../src/journal/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';
import { RECORDS_PER_STEP, SEGMENT_BYTES, stepNumber } from './crash-steps.ts';
import { appendStep } from './support.ts';

const [folder = '', count = '100'] = process.argv.slice(2);
const writer = await JournalWriter.open({
  storage: folder,
  clock: systemClock,
  log: silentLog,
  frameBytes: 8 << 10,
  segmentBytes: SEGMENT_BYTES,
});
const first = writer.committedLsn / RECORDS_PER_STEP;
const underWay: Promise<void>[] = [];
for (let number = first; number < first + Number(count); number++) {
  underWay.push(
    appendStep(writer, stepNumber(number)).then(() => {
      writeSync(1, `${number}\n`);
    }),
  );
  // Several commits wait at once, so that they share syncs.
  if (underWay.length >= 4) await underWay.shift();
}
await Promise.all(underWay);
await writer.close();
