/** Walks the schema: which keys may stand at a path, and every key with what it takes (for the reference page). */
import type { z } from 'zod';
import type { Path } from './problems.ts';
import { configSchema } from './schema.ts';

/** The parts of a zod definition that the walk looks at. */
interface Definition {
  readonly type: string;
  readonly innerType?: Schema;
  readonly in?: Schema;
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly valueType?: Schema;
  readonly element?: Schema;
  readonly options?: readonly Schema[];
  readonly entries?: Readonly<Record<string, string>>;
  readonly values?: readonly unknown[];
  readonly defaultValue?: unknown;
  readonly format?: string;
}
type Schema = z.core.$ZodType;

export interface Key {
  readonly path: string;
  readonly type: string;
  /** As one would write it; absent for a required key and for one that is optional without a value. */
  readonly default?: string;
  readonly required: boolean;
  readonly description: string;
}

/** Keys that the mapping at `path` may have; none where it is not a mapping with fixed keys. */
export function knownKeys(path: Path): readonly string[] {
  const found = path.reduce<Schema | undefined>(
    (schema, part) => (schema === undefined ? undefined : childOf(schema, String(part))),
    configSchema,
  );
  const keys = found === undefined ? [] : mappingsOf(found).flatMap(({ shape }) => Object.keys(shape ?? {}));
  return [...new Set(keys)];
}

/** Every key of the configuration, parents before children; `NAME` stands for a name that the operator chooses. */
export function allKeys(): readonly Key[] {
  return keysBelow(configSchema, '');
}

function keysBelow(schema: Schema, prefix: string): Key[] {
  const mappings = mappingsOf(schema);
  return mappings.flatMap((mapping) => {
    const keys = keysOf(mapping, prefix);
    // Of several kinds, each begins with the key that says which, and the others say whose they are.
    const kind = mappings.length > 1 ? keys[0] : undefined;
    if (kind === undefined) return keys;
    const when = `\`${kind.path.slice(prefix.length)}: ${kind.type}\``;
    return keys.map((key) => (key === kind ? key : { ...key, description: `(${when}) ${key.description}` }));
  });
}

function keysOf(mapping: Definition, prefix: string): Key[] {
  return Object.entries(mapping.shape ?? {}).flatMap(([name, child]) => {
    const path = `${prefix}${name}`;
    const definition = core(child);
    const own = describeKey(path, child);
    if (definition.type === 'record' && definition.valueType) {
      return [own, ...keysBelow(definition.valueType, `${path}.NAME.`)];
    }
    if (definition.type === 'array' && definition.element) {
      return [own, ...keysBelow(definition.element, `${path}[].`)];
    }
    return [own, ...keysBelow(child, `${path}.`)];
  });
}

function describeKey(path: string, schema: Schema): Key {
  const layers = layersOf(schema);
  const meta = Object.assign({}, ...layers.map((layer) => metaOf(layer)).reverse()) as {
    description?: string;
    type?: string;
  };
  const withDefault = layers.map(definitionOf).find((layer) => 'defaultValue' in layer);
  const optional = layers.some((layer) => definitionOf(layer).type === 'optional');
  const shown = withDefault === undefined ? undefined : showDefault(withDefault.defaultValue);
  return {
    path,
    type: meta.type ?? typeName(core(schema)),
    ...(shown === undefined ? {} : { default: shown }),
    required: withDefault === undefined && !optional,
    description: meta.description ?? '',
  };
}

function showDefault(value: unknown): string | undefined {
  if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) return undefined;
  return String(value);
}

function typeName(definition: Definition): string {
  switch (definition.type) {
    case 'enum':
      return Object.values(definition.entries ?? {}).join(' \\| ');
    case 'literal':
      return (definition.values ?? []).map(String).join(' \\| ');
    case 'object':
      return 'mapping';
    case 'record':
      return 'mapping by name';
    case 'array':
      return 'list';
    case 'string':
      return 'text';
    case 'number':
      return definition.format === undefined ? 'number' : 'whole number';
    case 'boolean':
      return 'true \\| false';
    default:
      return definition.type;
  }
}

function childOf(schema: Schema, key: string): Schema | undefined {
  const definition = core(schema);
  if (definition.type === 'record') return definition.valueType;
  if (definition.type === 'array') return definition.element;
  return mappingsOf(schema).find(({ shape }) => shape?.[key] !== undefined)?.shape?.[key];
}

/** The definitions with fixed keys: one, or those among the branches of a union. */
function mappingsOf(schema: Schema): readonly Definition[] {
  const definition = core(schema);
  if (definition.type === 'object') return [definition];
  return definition.options?.flatMap(mappingsOf) ?? [];
}

/** The definition under defaults, optionality and transforms. */
function core(schema: Schema): Definition {
  return definitionOf(layersOf(schema).at(-1) as Schema);
}

function layersOf(schema: Schema): Schema[] {
  const definition = definitionOf(schema);
  const inner = definition.innerType ?? (definition.type === 'pipe' ? definition.in : undefined);
  return inner === undefined ? [schema] : [schema, ...layersOf(inner)];
}

function definitionOf(schema: Schema): Definition {
  return schema._zod.def as unknown as Definition;
}

function metaOf(schema: Schema): object {
  return (schema as { meta?: () => object | undefined }).meta?.() ?? {};
}
