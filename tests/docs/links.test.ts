/** Goal: no page leads nowhere. Method: every link of every page that is not to another site, file and heading. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
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

test('pages of the package lead to pages of the package', () => {
  const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { files: string[] };
  const isPacked = (path: string) => files.some((file) => path === file || path.startsWith(`${file}/`));
  const dead = pagePaths()
    .filter(isPacked)
    .flatMap((path) =>
      readPage(path)
        .links.filter(({ target }) => !/^([a-z]+:|#)/.test(target))
        .filter(({ target }) => !isPacked(normalize(join(dirname(path), target.split('#')[0] as string))))
        .map(({ target, line }) => `${path}:${line}: ${target}`),
    );
  assert.deepEqual(dead, []);
});

function leadsSomewhere(from: string, target: string): boolean {
  const [file = '', anchor] = target.split('#');
  const path = file === '' ? from : normalize(join(dirname(from), decodeURI(file)));
  if (path.startsWith('..') || !existsSync(join(root, path))) return false;
  return anchor === undefined || readPage(path).anchors.has(anchor);
}
