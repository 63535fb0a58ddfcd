/** `understudy demo`: supplied by main.ts, since the demonstration stands beside the command line. */
import { cliErrors } from '../errors.ts';
import type { OwnCommand } from './index.ts';

/** Fewer leave some mailboxes without any, and nothing to lose. */
const MESSAGES_LEAST = 300;

export const demo: OwnCommand = {
  name: 'demo',
  declare(command, run) {
    command
      .description(
        'A real mail server, a shadow of it, and three disasters; then a standby, a directory and a front door with clients, a kill -9, and the takeover; on this machine, and nothing else is touched.',
      )
      .option('--keep', 'Leave everything running at the end, and say how to use it.')
      .option('--seed <SEED>', 'The same seed makes the same mail.', '1')
      .option('--messages <N>', 'How many messages the server has at first.', '2400')
      .action(() => {
        const { keep, seed, messages } = command.opts<{ keep?: true; seed: string; messages: string }>();
        return run(({ runDemo, json, signal }) =>
          runDemo({ keep: keep === true, json, seed, messages: countFrom(messages), signal }),
        );
      });
  },
};

function countFrom(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count >= MESSAGES_LEAST) return count;
  throw cliErrors.make('CLI_USAGE', `--messages is \`${text}\`, and is a number from ${MESSAGES_LEAST} on`, {
    remedy: 'See: understudy demo --help',
  });
}
