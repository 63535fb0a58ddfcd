/** The commands that are not operations, as they describe themselves. */
import { Command } from 'commander';
import { ownCommandNamed, ownCommandNames } from './commands/index.ts';

export async function helpOfOwnCommands(): Promise<string> {
  const commands = await Promise.all(ownCommandNames.map(ownCommandNamed));
  return commands
    .map((own) => {
      const command = new Command(own.name);
      own.declare(command, async () => {});
      const options = command.options.map((option) => `| \`${option.flags}\` | ${option.description} |`);
      const table = options.length === 0 ? '' : `\n\n| option | |\n| --- | --- |\n${options.join('\n')}`;
      return `### ${own.name}\n\n${command.description()}${table}\n`;
    })
    .join('\n');
}
