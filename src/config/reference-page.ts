/** docs/reference/configuration.md, written from the schema (npm run docs); a test holds the page equal to it. */
import { allKeys, type Key } from './known-keys.ts';

const INTRODUCTION = `# Configuration

<!-- Generated from src/config/schema.ts by: npm run docs. Change the schema, not this page. -->

One YAML file, \`understudy.yaml\` in the current directory unless \`--config FILE\` names another. \`understudy init\`
writes one, and \`understudy config check\` says whether it is right and every secret in place.

- A key that is not listed here is refused, with the nearest known one and its line.
- A **duration** is a number and \`ms\`, \`s\`, \`m\`, \`h\` or \`d\`: \`30s\`. A **size** is a number and \`KiB\`, \`MiB\` or
  \`GiB\`: \`4MiB\`. An **address** is \`HOST:PORT\`.
- A **secret** is \`\${file:PATH}\` (one trailing newline is not part of it) or \`\${env:NAME}\`. The secret itself is
  accepted too, with a warning: the file must then be kept as private as the secret. Secrets are looked up when they
  are used, so a changed one counts from the next log-in on, without a restart.
- Relative paths are relative to the configuration file. \`NAME\` stands for a name that you choose.
`;

export function configurationPage(): string {
  const sections = new Map<string, Key[]>();
  for (const key of allKeys()) {
    const top = key.path.split(/[.[]/)[0] as string;
    sections.set(top, [...(sections.get(top) ?? []), key]);
  }
  return [INTRODUCTION, ...[...sections].map(([top, keys]) => section(top, keys))].join('\n');
}

function section(top: string, keys: readonly Key[]): string {
  const rows = keys.map(
    (key) => `| \`${key.path}\` | ${key.type} | ${defaultOf(key)} | ${key.description} |`,
  );
  return [
    `## ${top}`,
    '',
    '| key | takes | default | what for |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

function defaultOf(key: Key): string {
  if (key.required) return '**required**';
  return key.default === undefined ? '' : `\`${key.default}\``;
}
