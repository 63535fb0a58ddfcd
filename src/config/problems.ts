/**
 * Turns what the schema says about a value into what an operator needs: the line and column in the file, the
 * key, and for an unknown key the nearest known one.
 */
import { type Document, isMap, isNode, isPair, isScalar, type LineCounter } from 'yaml';
import type { z } from 'zod';
import { nearest, type UnderstudyError } from '../lib/index.ts';
import { configErrors } from './errors.ts';
import { knownKeys } from './known-keys.ts';

export interface Source {
  readonly file: string;
  readonly document: Document;
  readonly lines: LineCounter;
}

export type Path = readonly PropertyKey[];

export interface ConfigProblem {
  readonly code: 'CONFIG_UNKNOWN_KEY' | 'CONFIG_INVALID' | 'CONFIG_UNKNOWN_REFERENCE';
  /** Where: `servers.mail-a.imap.port`. */
  readonly key: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** All problems of a file as one error: the first one's code and place, the others in `details.problems`. */
export function configError(source: Source, problems: readonly ConfigProblem[]): UnderstudyError {
  // A misspelt key often makes a required one missing as well: it is the cause, so it goes first.
  const sorted = [...problems].sort((a, b) => rank(a) - rank(b) || a.line - b.line || a.column - b.column);
  const first = sorted[0] as ConfigProblem;
  const more = sorted.length > 1 ? ` (and ${sorted.length - 1} more)` : '';
  return configErrors.make(
    first.code,
    `${source.file}:${first.line}:${first.column}: ${first.message}${more}`,
    { details: { file: source.file, problems: sorted } },
  );
}

function rank(problem: ConfigProblem): number {
  return problem.code === 'CONFIG_UNKNOWN_KEY' ? 0 : 1;
}

/** What zod found, one problem per unknown key and wrong value. */
export function problemsOf(source: Source, issues: readonly z.core.$ZodIssue[]): ConfigProblem[] {
  return issues.flatMap((issue) => problemsOfIssue(source, issue, issue.path));
}

function problemsOfIssue(source: Source, issue: z.core.$ZodIssue, path: Path): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownKey(source, [...path, key]));
  }
  if (issue.code === 'invalid_union') {
    const branch = closestBranch(source, issue, path);
    if (branch !== undefined) {
      return branch.flatMap((inner) => problemsOfIssue(source, inner, [...path, ...inner.path]));
    }
  }
  return [problemAt(source, path, 'CONFIG_INVALID', `${label(path)}${describe(source, issue, path)}`)];
}

/** Of a union's branches, the one that got past the type of the value: what its author meant to write. */
function closestBranch(source: Source, issue: z.core.$ZodIssueInvalidUnion, path: Path) {
  const written = valueAt(source, path);
  return issue.errors.find((branch) =>
    branch.every((inner) => inner.path.length > 0 || inner.code !== 'invalid_type' || written === undefined),
  );
}

function unknownKey(source: Source, path: Path): ConfigProblem {
  const key = String(path.at(-1));
  const near = nearest(key, knownKeys(path.slice(0, -1)));
  const where = path.length > 1 ? ` in ${keyOf(path.slice(0, -1))}` : '';
  const hint = near === undefined ? '' : `; did you mean \`${near}\`?`;
  return problemAt(source, path, 'CONFIG_UNKNOWN_KEY', `unknown key \`${key}\`${where}${hint}`);
}

export function problemAt(
  source: Source,
  path: Path,
  code: ConfigProblem['code'],
  message: string,
): ConfigProblem {
  const { line, col } = source.lines.linePos(offsetOf(source.document, path));
  return { code, key: keyOf(path), line, column: col, message };
}

function describe(source: Source, issue: z.core.$ZodIssue, path: Path): string {
  if (issue.code === 'invalid_type') {
    const written = valueAt(source, path);
    if (written === undefined) return ' is required';
    if (issue.expected === 'string' && typeof written === 'number') return inQuotes(written);
    return ` must be ${article(issue.expected)}, not ${article(typeName(written))}`;
  }
  if (issue.code === 'invalid_union') {
    const written = valueAt(source, path);
    // The key that says which of several kinds of entry this is.
    if ('options' in issue && issue.options !== undefined) return isOneOf(issue.options, written);
    return typeof written === 'number' ? inQuotes(written) : ` cannot be ${article(typeName(written))}`;
  }
  if (issue.code === 'invalid_value') return isOneOf(issue.values, valueAt(source, path));
  if (issue.code === 'too_small') return ` must be at least ${issue.minimum}${unitOf(issue.origin)}`;
  if (issue.code === 'too_big') return ` must be at most ${issue.maximum}${unitOf(issue.origin)}`;
  if (issue.code === 'invalid_key') return `: ${issue.issues[0]?.message ?? issue.message}`;
  return `: ${issue.message}`;
}

function isOneOf(values: readonly unknown[], written: unknown): string {
  const names = values.map(String);
  const near = typeof written === 'string' ? nearest(written, names) : undefined;
  const said = ` must be ${names.map((name) => `\`${name}\``).join(' or ')}`;
  return near === undefined ? said : `${said}; did you mean \`${near}\`?`;
}

function inQuotes(written: number): string {
  return ` must be text: write it in quotes, as in "${written}"`;
}

function unitOf(origin: string): string {
  return origin === 'string' ? ' character(s) long' : origin === 'array' ? ' item(s) long' : '';
}

function typeName(value: unknown): string {
  return value === null ? 'nothing' : Array.isArray(value) ? 'list' : typeof value;
}

function article(type: string): string {
  const names: Record<string, string> = {
    string: 'text',
    object: 'a mapping of keys',
    record: 'a mapping of names',
    array: 'a list',
    list: 'a list',
    int: 'a whole number',
    number: 'a number',
    boolean: 'true or false',
    nothing: 'empty',
  };
  return names[type] ?? type;
}

function label(path: Path): string {
  return path.length === 0 ? 'the file' : `\`${keyOf(path)}\``;
}

export function keyOf(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : String(part)))
    .join('.')
    .replaceAll('.[', '[');
}

function valueAt(source: Source, path: Path): unknown {
  const node = path.length === 0 ? source.document.contents : source.document.getIn([...path], true);
  return isNode(node) ? node.toJS(source.document) : undefined;
}

/** Offset of the key that `path` ends in, or of the nearest enclosing one that is written. */
function offsetOf(document: Document, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const last = path[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isPair(item) && keyText(item.key) === String(last));
      if (isNode(pair?.key) && pair.key.range) return pair.key.range[0];
    } else {
      const node = document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return node.range[0];
    }
  }
  return document.contents?.range?.[0] ?? 0;
}

function keyText(key: unknown): string {
  return String(isScalar(key) ? key.value : key);
}
