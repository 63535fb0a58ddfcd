/** Flags of a bench: `--messages 2000`. Every one has a default, which is the size that the figures in the documentation have. */
import { parseArgs } from 'node:util';

export interface Flag<T extends number | string> {
  readonly default: T;
  readonly what: string;
}

type Flags = Readonly<Record<string, Flag<number> | Flag<string>>>;

export type FlagValues<T extends Flags> = { readonly [K in keyof T]: T[K]['default'] } & {
  /** One JSON document on stdout instead of tables. */
  readonly json: boolean;
};

/** Reads the command line; `--help` and a wrong flag print what there is and end the process. */
export function readFlags<const T extends Flags>(about: string, flags: T): Widened<T> {
  const options = Object.fromEntries(Object.keys(flags).map((name) => [name, { type: 'string' as const }]));
  let given: Record<string, string | boolean | undefined>;
  try {
    given = parseArgs({
      options: { ...options, json: { type: 'boolean' }, help: { type: 'boolean' } },
    }).values;
  } catch (error) {
    return usage(about, flags, (error as Error).message);
  }
  if (given['help']) return usage(about, flags);
  const values: Record<string, unknown> = { json: given['json'] ?? false };
  for (const [name, flag] of Object.entries(flags)) {
    const text = given[name];
    if (typeof text !== 'string') values[name] = flag.default;
    else if (typeof flag.default === 'string') values[name] = text;
    else if (/^\d+(\.\d+)?$/.test(text)) values[name] = Number(text);
    else return usage(about, flags, `--${name} takes a number, not ${text}`);
  }
  return values as Widened<T>;
}

/** Literal defaults stand for any number or text. */
type Widened<T extends Flags> = {
  readonly [K in keyof T]: T[K]['default'] extends number ? number : string;
} & { readonly json: boolean };

function usage(about: string, flags: Flags, problem?: string): never {
  const lines = Object.entries(flags).map(
    ([name, flag]) => `  --${name.padEnd(14)} ${flag.what} Default: ${flag.default}.`,
  );
  const text = `${about}\n\n${lines.join('\n')}\n  --${'json'.padEnd(14)} One JSON document on stdout.`;
  if (problem === undefined) console.log(text);
  else console.error(`${problem}\n\n${text}`);
  process.exit(problem === undefined ? 0 : 2);
}
