/** `understudy run`: the service in the foreground, until SIGINT or SIGTERM. */
import { startService } from '../../api/index.ts';
import { checkUsedSecrets, loadConfig } from '../../config/index.ts';
import { type Clock, createLog } from '../../lib/index.ts';
import { exitCodes } from '../exit-codes.ts';
import type { OwnCommand } from './index.ts';

const START_ENDS_WITHIN_MS = 10_000;

export const run: OwnCommand = {
  name: 'run',
  declare(command, run) {
    command
      .description(
        'The near-line service, in the foreground: follows every server that has accounts, and answers on api.listen.',
      )
      .action(() =>
        run(async ({ configFile, adapters, entry, signal }) => {
          process.umask(0o077);
          const config = loadConfig(configFile);
          const log = createLog(config.log.level).child({ site: config.site });
          for (const warning of config.warnings) log.warn({ file: config.file }, warning);
          checkUsedSecrets(config);
          const starting = startService({ config, adapters, log }, entry);
          const started = new AbortController();
          const service = await Promise.race([
            starting.finally(() => started.abort()),
            endOfPatience(signal, adapters.clock, started.signal),
          ]);
          if (service === undefined) {
            log.error(
              {},
              'it was still starting when it was told to stop, and is ended; what was committed stays',
            );
            process.exit(exitCodes.failed);
          }
          await aborted(signal);
          log.info({}, 'stopping');
          await service.stop();
          return exitCodes.done;
        }),
      );
  },
};

/** Resolves a while after the signal, unless the start came to its end: one that waits for something that never comes must not outlive it. */
async function endOfPatience(signal: AbortSignal, clock: Clock, started: AbortSignal): Promise<undefined> {
  await aborted(AbortSignal.any([signal, started]));
  await clock.sleep(START_ENDS_WITHIN_MS, started).catch(() => never());
}

/** Whoever waits for the start hears of it, and of nothing else. */
function never(): Promise<never> {
  return new Promise(() => {});
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
