/** Goal: ARCHITECTURE.md is a map of what is there. Method: its tables against the folders and package.json. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from './markdown.ts';

const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');

function section(title: string): string {
  const text = page.split(/^## /m).find((each) => each.startsWith(`${title}\n`));
  assert.ok(text, `ARCHITECTURE.md has no section ${title}`);
  return text;
}

/** What the first column of the section's tables names, in backquotes. */
function firstColumn(text: string): string[] {
  return [...text.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name as string).sort();
}

function folders(path: string): string[] {
  return readdirSync(join(root, path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${path}/${entry.name}`);
}

test('the code map names every folder of the sources and none that is not there', () => {
  const there = [...folders('src').filter((path) => path !== 'src/workloads'), 'src/workloads/mail'];
  const named = firstColumn(section('Code map'));
  const wanted = [...there, ...folders('src/workloads/mail'), ...folders('src/plans')];
  assert.deepEqual(
    wanted.filter((path) => !named.includes(path)),
    [],
    'every one of these is named',
  );
  // A deeper one may be named too.
  assert.deepEqual(
    named.filter((path) => path.startsWith('src/') && !existsSync(join(root, path))),
    [],
    'all that is named is there',
  );
});

test('every dependency has its reason, and no reason lacks its dependency', () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: object;
    devDependencies: object;
  };
  const [, inPackage, forDevelopment] = section('Dependencies').split(
    /^(?:In the package|For development):$/m,
  );
  assert.deepEqual(firstColumn(inPackage ?? ''), Object.keys(dependencies).sort());
  assert.deepEqual(firstColumn(forDevelopment ?? ''), Object.keys(devDependencies).sort());
});

test('files and folders that it names are there', () => {
  const named = [...page.matchAll(/`((?:src|tests|docs|scripts|bench)\/[\w./-]+)`/g)].map(
    ([, path]) => path as string,
  );
  assert.deepEqual(
    named.filter((path) => !existsSync(join(root, path))),
    [],
  );
});
