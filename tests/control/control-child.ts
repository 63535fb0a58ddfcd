/** Appends numbered entries to the control journal in the folder given, and prints the number of each when it is durable: `DIR COUNT`. */
import { writeSync } from 'node:fs';
import { ControlJournal } from '../../src/control/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';
import { entryOf, TOPIC } from './control-entries.ts';

const [dir = '', count = ''] = process.argv.slice(2);
const journal = await ControlJournal.open({ dir, clock: systemClock, log: silentLog });
const first = [...journal.entries(TOPIC)].length;
// Two at once, as the notes of a step and its outcome are.
for (let number = first; number < first + Number(count); number += 2) {
  await Promise.all(
    [number, number + 1].map(async (each) => {
      const { id, data } = entryOf(each);
      await journal.append(TOPIC, id, data);
      writeSync(1, `${each}\n`);
    }),
  );
}
await journal.close();
