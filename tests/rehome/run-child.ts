/** Runs one rehome adapter in a process of its own, for tests that kill it: `run-child.ts CONFIG PAIR INDEX STATE`. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { loadConfig } from '../../src/config/index.ts';
import { silentLog, systemClock } from '../../src/lib/index.ts';
import { type DoorState, rehomesOf } from '../../src/rehome/index.ts';

const [file = '', pair = '', index = '0', state = '{}'] = process.argv.slice(2);
const entry = pathToFileURL(join(import.meta.dirname, 'proxy-entry.ts'));
const deps = { clock: systemClock, log: silentLog, entry };
const rehome = rehomesOf(loadConfig(file), pair, deps)[Number(index)];
if (rehome === undefined) throw new Error(`no rehome ${index}`);
console.log('begins');
await rehome.run(JSON.parse(state) as DoorState);
console.log('done');
