/** Goal: pages and service have the same metrics. Method: every name on a page against the service's registry, and the other way round. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Metrics } from '../../src/api/http/metrics.ts';
import { pagePaths, root } from './markdown.ts';

const { text } = await new Metrics({ vaults: new Map() }).render();
const known = new Set([...text.matchAll(/^# TYPE (understudy_\S+)/gm)].map(([, name]) => name as string));

function namesOn(page: string): string[] {
  const names = readFileSync(join(root, page), 'utf8').matchAll(/`(understudy_[a-z_]+)`/g);
  return [...names].map(([, name]) => name as string);
}

test('every metric that a page names is one', () => {
  const unknown = pagePaths().flatMap((page) =>
    namesOn(page)
      .filter((name) => !known.has(name))
      .map((name) => `${page}: ${name}`),
  );
  assert.deepEqual(unknown, []);
});

test('the guide to operating names every metric of ours', () => {
  const named = new Set(namesOn('docs/guides/operating.md'));
  assert.ok(known.size > 0);
  assert.deepEqual(
    [...known].filter((name) => !named.has(name)),
    [],
  );
});
