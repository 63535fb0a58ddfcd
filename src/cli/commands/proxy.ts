/** `understudy proxy PAIR`: the front door of a pair in the foreground, until SIGINT or SIGTERM. */
import type { Adapters } from '../../api/index.ts';
import { type Config, loadConfig } from '../../config/index.ts';
import { createLog } from '../../lib/index.ts';
import { runProxy, stopProxy } from '../../rehome/index.ts';
import { exitCodes } from '../exit-codes.ts';
import type { OwnCommand } from './index.ts';

export const proxy: OwnCommand = {
  name: 'proxy',
  declare(command, run) {
    command
      .description(
        'The front door of a pair, in the foreground and in a process of its own: clients stay connected while the service is restarted. A plan starts one in the background where none runs.',
      )
      .argument('<PAIR>', 'The pair, by its name in the configuration.')
      .option('--stop', 'End the one that runs: clients are drained first. Its state is kept.')
      .action(() =>
        run(async ({ configFile, adapters, io, json, signal }) => {
          const config = loadConfig(configFile);
          const pair = command.args[0] as string;
          const log = createLog(config.log.level).child({ site: config.site });
          const { clock } = adapters;
          if (command.opts<{ stop?: true }>().stop !== true) {
            await runProxy({
              config,
              pair,
              clock,
              log,
              signal,
              whoActs: () => whoActs(adapters, config, pair),
            });
            return exitCodes.done;
          }
          const pid = await stopProxy(config, pair, { clock, log, signal });
          if (json) io.out(`${JSON.stringify({ pair, stopped: pid ?? null })}\n`);
          else io.out(pid === undefined ? `no front door of ${pair} runs\n` : `process ${pid} has ended\n`);
          return exitCodes.done;
        }),
      );
  },
};

/** As plans have left it; nothing is written. @throws CONTROL_DAMAGED, JOURNAL_… */
async function whoActs(adapters: Adapters, config: Config, pair: string) {
  const { actingServer } = await import('../../control/index.ts');
  const { plansIn } = await import('../../plans/index.ts');
  const { hasTakenOff } = await import('../../plans/mail/index.ts');
  const control = await adapters.readControl(config);
  try {
    const plans = plansIn(control, () => false).filter((plan) => plan.pair === pair);
    return {
      server: actingServer(config, control, pair),
      isMoving: plans.some(hasTakenOff),
    };
  } finally {
    await control.close();
  }
}
