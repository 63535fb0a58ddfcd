/** Stands for main.ts where many proxies are started: `proxy PAIR --config FILE --json`, and nothing else is loaded. */
import { parseArgs } from 'node:util';
import { loadConfig } from '../../src/config/index.ts';
import { createLog, systemClock, UnderstudyError } from '../../src/lib/index.ts';
import { runProxy } from '../../src/rehome/index.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { config: { type: 'string' }, json: { type: 'boolean' } },
});
const ending = new AbortController();
process.once('SIGTERM', () => ending.abort());
try {
  await runProxy({
    config: loadConfig(values.config ?? ''),
    pair: positionals[1] ?? '',
    clock: systemClock,
    log: createLog(),
    signal: ending.signal,
  });
} catch (error) {
  if (!(error instanceof UnderstudyError)) throw error;
  console.log(JSON.stringify({ error }));
  process.exitCode = 1;
}
