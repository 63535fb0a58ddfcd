/** Goal: no page leads nowhere. Method: every link of every page that is not to another site, file and heading. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { pagePaths, readPage, root } from './markdown.ts';

for (const path of pagePaths()) {
  test(`links of ${path}`, () => {
    const dead = readPage(path)
      .links.filter(({ target }) => !/^[a-z]+:/.test(target))
      .filter(({ target }) => !leadsSomewhere(path, target))
      .map(({ target, line }) => `${path}:${line}: ${target}`);
    assert.deepEqual(dead, []);
  });
}

test('docs/README.md leads to every page of docs/', () => {
  const index = readPage('docs/README.md').links.map(({ target }) => normalize(join('docs', target)));
  const pages = pagePaths().filter((path) => path.startsWith('docs/') && path !== 'docs/README.md');
  assert.deepEqual(
    pages.filter((path) => !index.includes(path)),
    [],
  );
});

function leadsSomewhere(from: string, target: string): boolean {
  const [file = '', anchor] = target.split('#');
  const path = file === '' ? from : normalize(join(dirname(from), decodeURI(file)));
  if (path.startsWith('..') || !existsSync(join(root, path))) return false;
  return anchor === undefined || readPage(path).anchors.has(anchor);
}
