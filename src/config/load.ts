/** Reads the configuration file: YAML → schema → names that refer to each other. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { messageOf, nearest } from '../lib/index.ts';
import { configErrors } from './errors.ts';
import {
  type ConfigProblem,
  configError,
  keyOf,
  type Path,
  problemAt,
  problemsOf,
  type Source,
} from './problems.ts';
import { type ConfigValues, configSchema } from './schema.ts';
import { Secret } from './secret.ts';

/** A whole, checked configuration. Paths in it are absolute. */
export interface Config extends ConfigValues {
  /** The file it came from, absolute. */
  readonly file: string;
  /** What is allowed and yet better changed, one sentence each. */
  readonly warnings: readonly string[];
}

/**
 * @throws CONFIG_NOT_FOUND, CONFIG_NOT_READABLE, CONFIG_SYNTAX, CONFIG_UNKNOWN_KEY, CONFIG_INVALID,
 * CONFIG_UNKNOWN_REFERENCE; every one names file, line and column where there is one. Secrets are not looked
 * up here: see `Secret.reveal`.
 */
export function loadConfig(file: string): Config {
  return parseConfig(readConfigText(file), file);
}

/** The same from a text; `file` names it in messages and is what relative paths are relative to. */
export function parseConfig(text: string, file: string): Config {
  const source = parseYaml(text, file);
  const parsed = configSchema.safeParse(source.document.toJS() ?? {}, { reportInput: false });
  if (!parsed.success) throw configError(source, problemsOf(source, parsed.error.issues));
  const dangling = danglingReferences(source, parsed.data);
  if (dangling.length > 0) throw configError(source, dangling);
  return locate(parsed.data, resolve(file));
}

/** A configuration without servers, for what works where there is no file. */
export function emptyConfig(): Config {
  return parseConfig('dataDir: .\nservers: {}\n', 'understudy.yaml');
}

/** @throws CONFIG_NOT_FOUND, CONFIG_NOT_READABLE */
export function readConfigText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw configErrors.make(
      absent ? 'CONFIG_NOT_FOUND' : 'CONFIG_NOT_READABLE',
      absent ? `there is no configuration file ${file}` : `cannot read ${file}: ${messageOf(error)}`,
      { cause: error, details: { file } },
    );
  }
}

function parseYaml(text: string, file: string): Source {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const error = document.errors[0];
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    throw configErrors.make('CONFIG_SYNTAX', `${file}:${line}:${col}: ${error.message}`, {
      cause: error,
      details: { file, line, column: col },
    });
  }
  return { file, document, lines };
}

/** Names of servers and directories that are used and not defined, and accounts that cannot be logged in to. */
function danglingReferences(source: Source, config: ConfigValues): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const serverNames = Object.keys(config.servers);
  const directoryNames = Object.keys(config.directories);
  const expect = (path: Path, name: string, names: readonly string[], kind: string) => {
    if (names.includes(name)) return;
    const near = nearest(name, names);
    const hint =
      near !== undefined
        ? `; did you mean \`${near}\`?`
        : names.length > 0
          ? `; there is ${names.join(', ')}`
          : '';
    problems.push(
      problemAt(
        source,
        path,
        'CONFIG_UNKNOWN_REFERENCE',
        `\`${keyOf(path)}\` names ${kind} \`${name}\`, which is not defined${hint}`,
      ),
    );
  };
  const wrong = (path: Path, message: string) =>
    problems.push(problemAt(source, path, 'CONFIG_INVALID', message));

  for (const [name, server] of Object.entries(config.servers)) {
    const path = ['servers', name];
    const accounts = server.accounts;
    if (accounts === undefined) continue;
    if (accounts.directory !== undefined) {
      expect([...path, 'accounts', 'directory'], accounts.directory, directoryNames, 'directory');
    } else if (accounts.from === 'directory' && directoryNames.length !== 1) {
      const many = directoryNames.length > 1;
      wrong(
        [...path, 'accounts', 'from'],
        many
          ? `\`${name}\` takes its accounts from a directory, and there are ${directoryNames.join(', ')}: say which with \`directory\``
          : `\`${name}\` takes its accounts from a directory, and \`directories\` defines none`,
      );
    }
    if (accounts.from === 'doveadm' && server.doveadm === undefined) {
      wrong(
        [...path, 'accounts', 'from'],
        `\`${name}\` takes its accounts from doveadm and has no \`doveadm\` key`,
      );
    }
    if (server.imap.masterUser === undefined) {
      const index = accounts.list.findIndex((account) => account.secret === undefined);
      if (accounts.from !== 'list') {
        wrong(
          [...path, 'imap'],
          `\`${name}\` has no \`masterUser\`, so its accounts must be listed with a secret each`,
        );
      } else if (index >= 0) {
        wrong(
          [...path, 'accounts', 'list', index],
          `\`${name}\` has no \`masterUser\`, so the account ${accounts.list[index]?.name} needs a secret: { name, secret }`,
        );
      }
    }
  }
  for (const [name, pair] of Object.entries(config.pairs)) {
    const path = ['pairs', name];
    expect([...path, 'live'], pair.live, serverNames, 'server');
    expect([...path, 'standby'], pair.standby, serverNames, 'server');
    if (pair.live === pair.standby) {
      wrong([...path, 'standby'], `\`${name}\` has the same server as live and standby`);
    }
    if (pair.directory !== undefined)
      expect([...path, 'directory'], pair.directory, directoryNames, 'directory');
  }
  return problems;
}

/** Makes paths absolute and tells each secret its key. */
function locate(values: ConfigValues, file: string): Config {
  const baseDir = dirname(file);
  const warnings: string[] = [];
  const visit = (value: unknown, path: Path): unknown => {
    if (value instanceof Secret) {
      const key = keyOf(path);
      if (value.source === 'literal') {
        warnings.push(
          `${key} holds the secret itself; a reference such as \${file:PATH} keeps it out of this file`,
        );
      }
      return value.at(key, baseDir);
    }
    if (Array.isArray(value)) return value.map((item, index) => visit(item, [...path, index]));
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, visit(item, [...path, key])]),
      );
    }
    const isPath = path.at(-1) === 'ca' || path.at(-1) === 'keyFile' || keyOf(path) === 'dataDir';
    return isPath && typeof value === 'string' ? resolve(baseDir, value) : value;
  };
  const located = visit(values, []) as ConfigValues;
  for (const [name, { failover }] of Object.entries(values.pairs)) {
    if (failover.mode === 'automatic')
      warnings.push(
        `pairs.${name}.failover.mode is automatic, and this version starts no failover by itself: somebody has to`,
      );
  }
  return { ...located, file, warnings };
}
