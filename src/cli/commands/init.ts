/** `understudy init`: writes the configuration, or adds a server to it, and says what the server needs. */
import { accessSync, constants, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import {
  type Config,
  loadConfig,
  type MailServerConfig,
  parseConfig,
  readConfigText,
  serverNamed,
} from '../../config/index.ts';
import { hasCode, messageOf, visible } from '../../lib/index.ts';
import { cliErrors } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';
import {
  type Answers,
  askForServer,
  type DovecotSeries,
  dovecotConfiguration,
  pushSetup,
  tryConnection,
  withServer,
} from '../init/index.ts';
import type { CommandContext } from '../program.ts';
import { confirm } from '../question.ts';
import type { OwnCommand } from './index.ts';

const PORT_MOST = 65_535;

interface Options {
  readonly server?: string;
  readonly host?: string;
  readonly port?: string;
  readonly security?: Answers['security'];
  readonly masterUser?: string;
  readonly masterSecret?: string;
  readonly separator?: string;
  readonly doveadmUrl?: string;
  readonly doveadmKey?: string;
  readonly accounts?: string;
  readonly pushMode?: Answers['pushMode'];
  readonly site?: string;
  readonly dataDir?: string;
  readonly listen?: string;
  readonly printPush?: string;
  readonly printServer?: string;
  readonly dovecot?: string;
}

export const init: OwnCommand = {
  name: 'init',
  declare(command, run) {
    addOptions(
      command.description(
        'Write understudy.yaml, or add a server to it, and print what to configure on the server.',
      ),
    ).action(() => run((context) => runInit(context, command.opts<Options>())));
  },
};

function addOptions(command: Command): Command {
  return command
    .option('--server <NAME>', 'Name of the server. Without a terminal this and --host are needed.')
    .option('--host <H>', 'Its address.')
    .option('--port <N>', 'IMAP port. Default: 993 with tls, else 143.')
    .option('--security <S>', 'tls, starttls or none. Default: tls.')
    .option('--master-user <USER>', 'User that may read every account.')
    .option(
      '--master-secret <REF>',
      'Its password, as a reference to a file or an environment variable, in single quotes.',
    )
    .option('--separator <C>', 'Dovecot’s auth_master_user_separator. Default: SASL PLAIN.')
    .option('--doveadm-url <URL>', 'The doveadm HTTP API, where the server is Dovecot.')
    .option('--doveadm-key <REF>', 'Its key, as a reference.')
    .option('--accounts <A>', 'directory, doveadm, or a list: alice,bob.')
    .option('--push-mode <M>', 'hint or synchronous. Default: hint.')
    .option('--site <NAME>', 'Name of this location, in a new file.')
    .option('--data-dir <DIR>', 'Folder for journals, in a new file.')
    .option('--listen <ADDRESS>', 'Address of the API, in a new file.')
    .option('--print-push <SERVER>', 'Write nothing: print the push script of a configured server.')
    .option('--print-server <SERVER>', 'Write nothing: print what to configure on a configured server.')
    .option('--dovecot <RELEASE>', '2.3 or 2.4: whose words the printed configuration is in. Default: 2.3.');
}

async function runInit(context: CommandContext, options: Options): Promise<number> {
  const series = seriesOf(options);
  if (options.printPush !== undefined) return printPush(context, options.printPush, series);
  if (options.printServer !== undefined) return printServer(context, options.printServer, series);
  const { configFile } = context;
  const before = textOf(configFile);
  // A file that is wrong already is not made longer.
  const known = before === undefined ? undefined : parseConfig(before, configFile);
  const asked = context.io.interactive && !context.yes && !context.json;
  // Before anything is asked: answers that cannot be kept are lost.
  requireWritable(configFile, before !== undefined);
  const answers = asked
    ? await askForServer(before === undefined, givenBy(options), Object.keys(known?.directories ?? {}))
    : answersFrom(options);
  const after = withServer(before, answers);
  const config = parseAnswered(context, after, asked);
  if (asked) await showAndAsk(context, after, serverNamed(config, answers.server));
  write(configFile, after);
  const server = serverNamed(config, answers.server);
  const serverConfiguration = dovecotConfiguration(answers.server, server, config.api.listen, series);
  if (context.json) {
    context.io.out(`${JSON.stringify({ file: config.file, server: answers.server, serverConfiguration })}\n`);
  } else {
    context.io.out(
      `${configFile} is written. For the server, where it is Dovecot ${series}:\n\n${serverConfiguration}\nThen: understudy config check · understudy shadow ${answers.server} --once · understudy run\n`,
    );
  }
  return exitCodes.done;
}

/** Undefined where there is no file. @throws CONFIG_NOT_READABLE */
function textOf(file: string): string | undefined {
  try {
    return readConfigText(file);
  } catch (error) {
    if (hasCode(error, 'CONFIG_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** @throws CLI_FILE_UNWRITABLE */
function requireWritable(file: string, exists: boolean): void {
  try {
    accessSync(exists ? file : dirname(resolve(file)), constants.W_OK);
  } catch (error) {
    throw unwritable(file, error);
  }
}

/** @throws CLI_FILE_UNWRITABLE */
function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw unwritable(file, error);
  }
}

function unwritable(file: string, error: unknown): Error {
  return cliErrors.make('CLI_FILE_UNWRITABLE', `cannot write ${file}: ${messageOf(error)}`, {
    cause: error,
    details: { file },
  });
}

/** What was answered and does not do is shown, to be corrected by hand. */
function parseAnswered(context: CommandContext, text: string, asked: boolean): Config {
  try {
    return parseConfig(text, context.configFile);
  } catch (error) {
    if (asked) context.io.err(`\n${text}\n`);
    throw error;
  }
}

/** @throws CLI_DECLINED */
async function showAndAsk(context: CommandContext, text: string, server: MailServerConfig): Promise<void> {
  context.io.err(`\n${text}\ntrying it…\n`);
  const trials = await tryConnection(server, context.adapters.clock);
  for (const trial of trials) context.io.err(`  ${trial.ok ? 'ok' : 'no'}  ${visible(trial.text)}\n`);
  const question = trials.every((trial) => trial.ok)
    ? 'Write this'
    : 'Not all of it works yet. Write this all the same';
  if (!(await confirm(`${question} to ${context.configFile}?`))) {
    throw cliErrors.make('CLI_DECLINED', 'declined; nothing was written');
  }
}

/** @throws CLI_USAGE */
function seriesOf({ dovecot = '2.3' }: Options): DovecotSeries {
  if (dovecot === '2.3' || dovecot === '2.4') return dovecot;
  throw cliErrors.make('CLI_USAGE', `--dovecot is 2.3 or 2.4, not ${dovecot}`, {
    remedy: 'See: understudy init --help',
  });
}

function printPush(context: CommandContext, name: string, series: DovecotSeries): number {
  const config = loadConfig(context.configFile);
  const push = pushSetup(name, serverNamed(config, name), config.api.listen, series);
  context.io.out(context.json ? `${JSON.stringify(push)}\n` : push.script);
  return exitCodes.done;
}

function printServer(context: CommandContext, name: string, series: DovecotSeries): number {
  const config = loadConfig(context.configFile);
  const text = dovecotConfiguration(name, serverNamed(config, name), config.api.listen, series);
  context.io.out(context.json ? `${JSON.stringify({ server: name, serverConfiguration: text })}\n` : text);
  return exitCodes.done;
}

function answersFrom(options: Options): Answers {
  const { server, host, accounts, ...rest } = givenBy(options);
  if (server === undefined || host === undefined || accounts === undefined) {
    const missing = Object.entries({ '--server': server, '--host': host, '--accounts': accounts })
      .filter(([, value]) => value === undefined)
      .map(([flag]) => flag);
    throw cliErrors.make('CLI_USAGE', `without questions init needs ${missing.join(', ')}`, {
      remedy: 'See: understudy init --help',
    });
  }
  return { security: 'tls', pushMode: 'hint', ...rest, server, host, accounts };
}

/** @throws CLI_USAGE */
function portFrom(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= PORT_MOST) return port;
  throw cliErrors.make('CLI_USAGE', `--port is a number from 1 to ${PORT_MOST}, not ${text}`, {
    remedy: 'See: understudy init --help',
  });
}

/** What the options answer. @throws CLI_USAGE */
function givenBy(options: Options): Partial<Answers> {
  const { port, accounts, printPush: _, printServer: __, dovecot: ___, ...rest } = options;
  return {
    ...rest,
    ...(port === undefined ? {} : { port: portFrom(port) }),
    ...(accounts === undefined
      ? {}
      : {
          accounts:
            accounts === 'directory' || accounts === 'doveadm'
              ? { from: accounts }
              : { list: accounts.split(',').filter((name) => name !== '') },
        }),
  };
}
