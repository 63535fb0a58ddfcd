/** Builds the command line: the operations' commands from their declarations, the others from `commands/`. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import {
  type Adapters,
  allOperations,
  type Operation,
  operationNamed,
  operationNames,
} from '../api/index.ts';
import { addArguments, inputFrom, watchOption } from './arguments.ts';
import { type OwnCommand, ownCommandNamed, ownCommandNames } from './commands/index.ts';
import { cliErrors } from './errors.ts';
import type { Io } from './io.ts';
import { runOperation } from './run-operation.ts';

/** What every command has. */
export interface CommandContext {
  readonly io: Io;
  readonly adapters: Adapters;
  /** The module that a thread of the service begins with. */
  readonly entry: URL;
  readonly configFile: string;
  /** False when `configFile` is only the default. */
  readonly configGiven: boolean;
  readonly json: boolean;
  readonly yes: boolean;
  readonly signal: AbortSignal;
  /** The demonstration; gives the exit status. */
  readonly runDemo: (options: DemoRequest) => Promise<number>;
}

export interface DemoRequest {
  readonly keep: boolean;
  readonly json: boolean;
  readonly seed: string;
  /** How many messages the mail server has at first. */
  readonly messages: number;
  readonly signal: AbortSignal;
}

export type BaseContext = Pick<CommandContext, 'io' | 'adapters' | 'entry' | 'signal' | 'runDemo'>;

const DEFAULT_CONFIG = 'understudy.yaml';

/** Runs the command in `argv` (without node and script) and gives its exit status. @throws CLI_USAGE and what the command throws */
export async function runProgram(argv: readonly string[], base: BaseContext): Promise<number> {
  let status = 0;
  const program = newProgram(base.io);
  const context = (): CommandContext => {
    const options = program.opts<{ config?: string; json?: boolean; yes?: boolean }>();
    return {
      ...base,
      configFile: options.config ?? DEFAULT_CONFIG,
      configGiven: options.config !== undefined,
      json: options.json ?? false,
      yes: options.yes ?? false,
    };
  };

  for (const operation of await operationsFor(argv)) {
    const command = commandAt(program, operation.name).description(operation.summary);
    addArguments(command, operation);
    if (operation.placement === 'live') command.addOption(watchOption());
    command.action(async () => {
      const input = inputFrom(operation, command.args, command.opts());
      status = await runOperation(operation, input, context(), { watch: command.opts()['watch'] === true });
    });
  }
  for (const own of await ownCommandsFor(argv)) {
    own.declare(commandAt(program, own.name), async (run) => {
      status = await run(context());
    });
  }

  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    const message =
      error.code === 'commander.help' ? 'no command given' : error.message.replace(/^error: /, '');
    throw cliErrors.make('CLI_USAGE', message.replace(/\n/g, ' '), { remedy: remedyFor(argv) });
  }
  return status;
}

function newProgram(io: Io): Command {
  return new Command('understudy')
    .description('Shadows live servers into a journal, and brings back what was lost, with its identity.')
    .version(version(), '--version', 'Print the version.')
    .option('--config <FILE>', `Configuration file. (default: ${DEFAULT_CONFIG})`)
    .option('--json', 'One JSON document on stdout; logs and progress on stderr.')
    .option('--yes', 'Answer every question with yes.')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.err(text),
      outputError: () => {},
    })
    .exitOverride();
}

/** package.json lies two folders up, from the sources as from what is built of them. */
function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** Makes the command `journal info` below a command `journal`, which is made when it is not there yet. */
function commandAt(program: Command, name: string): Command {
  const words = name.split(' ');
  return words.reduce((parent, word) => {
    const known = parent.commands.find((command) => command.name() === word);
    return known ?? parent.command(word).helpCommand(false);
  }, program);
}

/** The one that is named, so that it starts fast; all of them for help and for unknown names. */
async function operationsFor(argv: readonly string[]): Promise<readonly Operation[]> {
  const name = nameIn(argv, operationNames);
  if (name !== undefined) return [await operationNamed(name)];
  return nameIn(argv, ownCommandNames) === undefined ? allOperations() : [];
}

async function ownCommandsFor(argv: readonly string[]): Promise<readonly OwnCommand[]> {
  const name = nameIn(argv, ownCommandNames);
  if (name !== undefined) return [await ownCommandNamed(name)];
  return nameIn(argv, operationNames) === undefined ? Promise.all(ownCommandNames.map(ownCommandNamed)) : [];
}

function nameIn(argv: readonly string[], names: readonly string[]): string | undefined {
  const words = commandWords(argv);
  return names.find((name) => name.split(' ').every((word, index) => words[index] === word));
}

/** The first words that are neither a global option nor its value. */
function commandWords(argv: readonly string[]): readonly string[] {
  const start = argv.findIndex((word, index) => !word.startsWith('-') && argv[index - 1] !== '--config');
  return start < 0 ? [] : argv.slice(start, start + 2);
}

function remedyFor(argv: readonly string[]): string {
  const name = nameIn(argv, [...operationNames, ...ownCommandNames]);
  return `See: understudy ${name === undefined ? '' : `${name} `}--help`;
}
