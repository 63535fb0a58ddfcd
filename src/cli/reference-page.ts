/** docs/reference/cli.md, written from the commands themselves; a test holds the page equal to it. */
import { allOperations, type Operation } from '../api/index.ts';
import { flagOf, inputsOf, watchOption } from './arguments.ts';
import { exitCodes } from './exit-codes.ts';
import { helpOfOwnCommands } from './own-command-help.ts';

export async function cliPage(): Promise<string> {
  const operations = await allOperations();
  return [
    introduction(operations),
    exitCodeTable(),
    ...operations.map(section),
    '## Other commands\n',
    await helpOfOwnCommands(),
  ].join('\n');
}

function introduction(operations: readonly Operation[]): string {
  const plans = operations.filter(({ needsAnswer }) => needsAnswer).map(({ name }) => `\`${name}\``);
  return `# Command line

<!-- Generated from the operations by: npm run docs. Change those, not this page. -->

\`understudy COMMAND … [--config FILE] [--json] [--yes]\`

- \`--config FILE\`: the configuration; default \`understudy.yaml\` in the current directory. Before or after the command.
- \`--json\`: exactly one JSON document on stdout, of errors too: \`{"error": {"code", "message", "remedy", …}}\`. Logs and
  progress go to stderr.
- \`--yes\`: answers every question. Without a terminal nothing is asked: what acts on a plan
  (${plans.join(', ')}) then needs it, else it ends with
  \`CLI_ANSWER_NEEDED\` and exit status 2, and nothing is changed; other commands do their work. \`--dry-run\` asks nothing.
- A moment \`T\` is an RFC 3339 time, \`lsn:N\`, a checkpoint label, or a time back: \`-2h\`.
- While a service runs on the data folder, commands are done by it; else the command does the work itself. Two
  processes never write one vault.
`;
}

function exitCodeTable(): string {
  const meaning: [number, string][] = [
    [exitCodes.done, 'done'],
    [exitCodes.failed, 'failed'],
    [exitCodes.usage, 'usage or configuration'],
    [exitCodes.refused, 'refused because unsafe or not ready; says why and what to do'],
    [exitCodes.partial, 'partly done; says what is left'],
    [exitCodes.differs, 'the two sides differ (verify)'],
  ];
  const rows = meaning.map(([code, what]) => `| ${code} | ${what} |`);
  return ['| exit status | meaning |', '| --- | --- |', ...rows, ''].join('\n');
}

function section(operation: Operation): string {
  const inputs = inputsOf(operation);
  const positional = operation.positional.map(
    (key) => inputs.find((input) => input.key === key)?.placeholder ?? key,
  );
  const rows = inputs.map((input) => {
    const name = operation.positional.includes(input.key)
      ? input.placeholder
      : `${flagOf(input.key)}${input.kind === 'flag' ? '' : ` ${input.placeholder}`}`;
    const choices = input.choices === undefined ? '' : ` One of: ${input.choices.join(', ')}.`;
    return `| \`${name}\` | ${input.required ? 'yes' : ''} | ${input.description}${choices} |`;
  });
  if (operation.placement === 'live')
    rows.push(`| \`${watchOption().flags}\` |  | ${watchOption().description} |`);
  const table = ['| argument | required | |', '| --- | --- | --- |', ...rows, ''];
  return [
    `## ${operation.name}\n`,
    `\`understudy ${[operation.name, ...positional].join(' ')}${rows.length > positional.length ? ' [options]' : ''}\`\n`,
    `${operation.summary} Permission: ${operation.permission}.\n`,
    ...(rows.length > 0 ? table : []),
  ].join('\n');
}
