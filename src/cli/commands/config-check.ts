/** `understudy config check`: reads the file and looks every secret up, and changes nothing. */
import { checkUsedSecrets, loadConfig, shadowedServers } from '../../config/index.ts';
import { loadKeyFile } from '../../journal/index.ts';
import { exitCodes } from '../exit-codes.ts';
import type { OwnCommand } from './index.ts';

export const configCheck: OwnCommand = {
  name: 'config check',
  declare(command, run) {
    command.description('Say whether the configuration is right and every secret in place.').action(() =>
      run(async ({ configFile, io, json }) => {
        const config = loadConfig(configFile);
        checkUsedSecrets(config);
        const keyFile = config.journal.encryption?.keyFile;
        if (keyFile !== undefined) await loadKeyFile(keyFile);
        const report = {
          file: config.file,
          dataDir: config.dataDir,
          servers: Object.keys(config.servers),
          shadowed: shadowedServers(config),
          warnings: config.warnings,
        };
        if (json) io.out(`${JSON.stringify(report)}\n`);
        else {
          for (const warning of config.warnings) io.err(`warning: ${warning}\n`);
          io.out(`${config.file} is right; servers: ${report.servers.join(', ') || 'none'}\n`);
        }
        return exitCodes.done;
      }),
    );
  },
};
