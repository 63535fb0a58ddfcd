/** `understudy run`: the service in the foreground, until SIGINT or SIGTERM. */
import { startService } from '../../api/index.ts';
import { checkUsedSecrets, loadConfig } from '../../config/index.ts';
import { createLog } from '../../lib/index.ts';
import { exitCodes } from '../exit-codes.ts';
import type { OwnCommand } from './index.ts';

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
          const service = await startService({ config, adapters, log }, entry);
          await aborted(signal);
          log.info({}, 'stopping');
          await service.stop();
          return exitCodes.done;
        }),
      );
  },
};

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
