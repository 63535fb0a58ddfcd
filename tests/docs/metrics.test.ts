/** Goal: metrics that pages name exist. Method: every such name against the service's registry. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Metrics } from '../../src/api/http/metrics.ts';
import { pagePaths, root } from './markdown.ts';

test('every metric that a page names is one', async () => {
  const { text } = await new Metrics({ vaults: new Map() }).render();
  const known = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  const unknown = pagePaths().flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(/`(understudy_[a-z_]+)`/g)]
      .map(([, name]) => name as string)
      .filter((name) => !known.has(name))
      .map((name) => `${page}: ${name}`),
  );
  assert.deepEqual(unknown, []);
});
