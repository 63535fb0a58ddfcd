/**
 * Goal: configuration that pages show is accepted. Method: every YAML block goes through the parser of the product; one
 * that is only a part is laid over the configuration that docs/start.md writes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { parseConfig } from '../../src/config/index.ts';
import { pagePaths, readPage } from './markdown.ts';

type Tree = Record<string, unknown>;

const blocks = pagePaths().flatMap((page) =>
  readPage(page)
    .blocks.filter(({ language }) => language === 'yaml')
    .map((block) => ({ page, ...block })),
);
const whole = blocks.find(({ shows }) => shows !== undefined);

for (const { page, line, text } of blocks) {
  test(`${page}:${line} is a configuration`, () => {
    const shown = parse(text) as Tree;
    const complete = 'dataDir' in shown ? shown : merged(parse(whole?.text ?? '') as Tree, shown);
    assert.deepEqual(parseConfig(stringify(complete), `${page}:${line}`).warnings, []);
  });
}

/** Mappings are merged key by key; but `accounts` says one thing or another. */
function merged(below: Tree, above: Tree): Tree {
  const result: Tree = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const old = result[key];
    result[key] = key !== 'accounts' && isTree(old) && isTree(value) ? merged(old, value) : value;
  }
  return result;
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
