/** From an operation's input schema to a command's arguments and options, and from what was typed back to its input. */
import { Argument, type Command, Option } from 'commander';
import type { z } from 'zod';
import type { Operation } from '../api/index.ts';
import { cliErrors } from './errors.ts';

interface Input {
  readonly key: string;
  readonly kind: 'flag' | 'number' | 'text';
  readonly required: boolean;
  readonly description: string;
  /** Stands for the value in help: `T`, `SERVER`. */
  readonly placeholder: string;
  readonly choices?: readonly string[];
}

interface Definition {
  readonly type: string;
  readonly innerType?: z.core.$ZodType;
  readonly entries?: Readonly<Record<string, string>>;
}

/** What an operation takes, in the order of its schema. */
export function inputsOf(operation: Operation): readonly Input[] {
  return Object.entries(operation.input.shape).map(([key, schema]) => {
    const layers = layersOf(schema as z.core.$ZodType);
    const meta = Object.assign({}, ...layers.map(metaOf).reverse()) as {
      description?: string;
      value?: string;
    };
    const definition = definitionOf(layers.at(-1) as z.core.$ZodType);
    const kind = definition.type === 'boolean' ? 'flag' : definition.type === 'number' ? 'number' : 'text';
    return {
      key,
      kind,
      required: layers.length === 1,
      description: meta.description ?? '',
      placeholder: meta.value ?? (kind === 'number' ? 'N' : key.toUpperCase()),
      ...(definition.entries === undefined ? {} : { choices: Object.values(definition.entries) }),
    };
  });
}

export function addArguments(command: Command, operation: Operation): void {
  const inputs = inputsOf(operation);
  for (const key of operation.positional) {
    const input = inputs.find((candidate) => candidate.key === key);
    if (input === undefined) throw new Error(`${operation.name} has no input ${key}`);
    const name = input.required ? `<${input.placeholder}>` : `[${input.placeholder}]`;
    command.addArgument(new Argument(name, input.description));
  }
  for (const input of inputs) {
    if (!operation.positional.includes(input.key)) command.addOption(optionOf(input));
  }
}

/** Of operations that tell how things go now. */
export function watchOption(): Option {
  return new Option(
    '--watch',
    'Go on showing it, every second, until Ctrl-C; not on a terminal: whenever it changes, or with `--json` one document per line.',
  );
}

function optionOf(input: Input): Option {
  const flag = flagOf(input.key);
  const choices = input.choices === undefined ? '' : ` (${input.choices.join('|')})`;
  const option = new Option(
    input.kind === 'flag' ? flag : `${flag} <${input.placeholder}>`,
    `${input.description}${choices}`,
  );
  return input.required && input.kind !== 'flag' ? option.makeOptionMandatory() : option;
}

/** Checks what was typed against the schema. @throws CLI_USAGE, naming the argument */
export function inputFrom(
  operation: Operation,
  positional: readonly string[],
  options: Record<string, unknown>,
): unknown {
  const typed: Record<string, unknown> = {};
  for (const { key, kind } of inputsOf(operation)) {
    const index = operation.positional.indexOf(key);
    const value = index >= 0 ? positional[index] : options[key];
    if (value !== undefined) typed[key] = kind === 'number' ? numberOr(value) : value;
  }
  const parsed = operation.input.safeParse(typed);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const key = String(issue?.path[0] ?? '');
  const name = operation.positional.includes(key) ? key.toUpperCase() : flagOf(key);
  throw cliErrors.make('CLI_USAGE', `${name}: ${issue?.message ?? 'is not valid'}`, {
    remedy: `See: understudy ${operation.name} --help`,
    details: { argument: key },
  });
}

/** `--dry-run` for `dryRun`. */
export function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The number, or the text itself, which the schema then refuses by name. */
function numberOr(value: unknown): unknown {
  return /^-?\d+(\.\d+)?$/.test(String(value)) ? Number(value) : value;
}

function layersOf(schema: z.core.$ZodType): z.core.$ZodType[] {
  const inner = definitionOf(schema).innerType;
  return inner === undefined ? [schema] : [schema, ...layersOf(inner)];
}

function definitionOf(schema: z.core.$ZodType): Definition {
  return schema._zod.def as unknown as Definition;
}

function metaOf(schema: z.core.$ZodType): object {
  return (schema as { meta?: () => object | undefined }).meta?.() ?? {};
}
