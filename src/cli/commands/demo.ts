/** `understudy demo`: supplied by main.ts, since the demonstration stands beside the command line. */
import type { OwnCommand } from './index.ts';

export const demo: OwnCommand = {
  name: 'demo',
  declare(command, run) {
    command
      .description(
        'A real mail server, a shadow of it, and a disaster, on this machine; nothing else is touched.',
      )
      .option('--keep', 'Leave everything running at the end, and say how to use it.')
      .action(() => run((context) => context.runDemo({ keep: command.opts()['keep'] === true })));
  },
};
